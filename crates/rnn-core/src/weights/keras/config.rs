//! The options that a `.keras` archive gives its layers, in its `config.json`.

use super::super::{WeightError, file, shown};
use super::cells::{KerasCell, python};
use super::h5;
use crate::{Bias, Direction};
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;

/// A model: `{"class_name": "Sequential", "config": {"layers": [{"class_name": "LSTM", "config": {"name": …, …}},
/// …]}}`.
pub struct Config {
    model: Value,
}

/// What one layer must be in Keras, to be the layer here.
pub struct Expected {
    class: &'static str,
    direction: Direction,
    /// Options that both directions have.
    options: Vec<(&'static str, String)>,
}

impl Expected {
    pub fn new<C: KerasCell>(cell: &C, direction: Direction, bias: Bias, units: usize) -> Self {
        let mut options = vec![("units", units.to_string())];
        options.extend(cell.keras_options());
        options.push(("use_bias", python(bias != Bias::None)));
        Self { class: C::KERAS_CLASS, direction, options }
    }
}

impl Config {
    pub fn parse(path: &Path, json: &[u8]) -> Result<Self, WeightError> {
        let model = serde_json::from_slice(json).map_err(|e| file(path, format!("config.json: {e}")))?;
        Ok(Self { model })
    }

    /// The name of the layer whose group lies at `path` in the file of weights.
    pub fn name_at(&self, path: &str) -> Option<&str> {
        name_of(self.at(path)?)
    }

    /// The object at a path of the file of weights. Keras calls a layer's group after its class, `lstm`, `lstm_1`, in
    /// the order of the model's layers, and everything else after the attribute that holds it.
    fn at(&self, path: &str) -> Option<&Value> {
        let mut object = &self.model;
        let mut parts = path.split('/');
        while let Some(part) = parts.next() {
            let config = object.get("config")?;
            object = match part {
                "layers" => {
                    let wanted = parts.next()?;
                    let mut counts: HashMap<String, usize> = HashMap::new();
                    config.get("layers")?.as_array()?.iter().find(|layer| {
                        let class = snake_case(class_name(layer));
                        let count = counts.entry(class.clone()).or_default();
                        let group = if *count == 0 { class } else { format!("{class}_{count}") };
                        *count += 1;
                        group == wanted
                    })?
                }
                other => config.get(other).filter(|value| value.get("class_name").is_some())?,
            };
        }
        Some(object)
    }

    /// Everything called `name`, wherever it is.
    fn called<'a>(object: &'a Value, name: &str, found: &mut Vec<&'a Value>) {
        match object {
            Value::Object(fields) => {
                if object.get("class_name").is_some() && name_of(object) == Some(name) {
                    found.push(object);
                }
                fields.values().for_each(|value| Self::called(value, name, found));
            }
            Value::Array(values) => values.iter().for_each(|value| Self::called(value, name, found)),
            _ => {}
        }
    }

    /// Compares what the archive says of `layer` with what it must be.
    pub fn check(&self, path: &Path, layer: &h5::Layer, expected: &Expected) -> Result<(), WeightError> {
        let by_path = self.at(&layer.path).filter(|o| layer.name.is_none() || name_of(o) == layer.name.as_deref());
        let object = by_path.or_else(|| {
            // A model of a class of one's own has other paths.
            let mut found = Vec::new();
            Self::called(&self.model, layer.name.as_deref()?, &mut found);
            let first = *found.first()?;
            found.iter().all(|object| object.get("config") == first.get("config")).then_some(first)
        });
        let Some(object) = object else {
            let problem = "config.json does not describe it, so its options cannot be compared; \
                           unpack the archive and load model.weights.h5";
            return Err(file(path, format!("layer {}: {problem}", layer.described())));
        };
        let report = |part: &str, option: &str, found: String, expected: &str| WeightError::Option {
            path: path.into(),
            layer: format!("layer {}{part}", layer.called()),
            option: option.into(),
            found: shown(&found),
            expected: expected.into(),
        };
        let mut parts = vec![("", object, expected.direction == Direction::Backward)];
        let both = expected.direction == Direction::Bidirectional;
        if both != (class_name(object) == "Bidirectional") {
            let expected = if both { "Bidirectional" } else { expected.class };
            return Err(report("", "class", class_name(object).into(), expected));
        }
        if both {
            let merge = option(object, "merge_mode").unwrap_or_else(|| "concat".into());
            if merge != "concat" {
                return Err(report("", "merge_mode", merge, "concat"));
            }
            let inner = |key: &str| object.get("config").and_then(|config| config.get(key));
            parts = vec![(", forward_layer", inner("layer").unwrap_or(&Value::Null), false)];
            parts.extend(inner("backward_layer").map(|backward| (", backward_layer", backward, true)));
        }
        for (part, object, backward) in parts {
            // `RNN(LSTMCell(4))` is an LSTM, too.
            let cell = object.get("config").and_then(|config| config.get("cell"));
            let cell = cell.filter(|_| class_name(object) == "RNN").unwrap_or(object);
            let class = class_name(cell);
            let plain = if class_name(object) == "RNN" { class.strip_suffix("Cell").unwrap_or(class) } else { class };
            // A class that Keras itself does not have is registered.
            let registered = cell.get("registered_name").and_then(Value::as_str);
            if plain != expected.class || registered.is_some() {
                return Err(report(part, "class", registered.unwrap_or(class).into(), expected.class));
            }
            for (name, expected) in &expected.options {
                let found = option(cell, name).unwrap_or_else(|| default(name, expected));
                if found != *expected {
                    return Err(report(part, name, found, expected));
                }
            }
            let found = option(object, "go_backwards").unwrap_or_else(|| python(false));
            if found != python(backward) {
                return Err(report(part, "go_backwards", found, &python(backward)));
            }
        }
        Ok(())
    }
}

fn class_name(object: &Value) -> &str {
    object.get("class_name").and_then(Value::as_str).unwrap_or("unknown")
}

fn name_of(object: &Value) -> Option<&str> {
    object.get("config")?.get("name")?.as_str()
}

/// An option as Python writes it; none that the object does not have.
fn option(object: &Value, name: &str) -> Option<String> {
    let value = object.get("config")?.get(name)?;
    Some(match value {
        _ if name.ends_with("activation") => activation(value),
        Value::Bool(value) => python(*value),
        Value::String(text) => text.clone(),
        Value::Null => "None".into(),
        other => other.to_string(),
    })
}

/// What Keras takes where an option is not given.
fn default(name: &str, expected: &str) -> String {
    match name {
        "activation" => "tanh".into(),
        "recurrent_activation" => "sigmoid".into(),
        "use_bias" | "reset_after" => python(true),
        // Units have no default; the arrays' shapes tell them.
        _ => expected.into(),
    }
}

/// A name; where it is a layer instead of a function, `{"class_name": "LeakyReLU", "config": {"negative_slope":
/// 0.3}}`, the name and what it has beside it.
fn activation(value: &Value) -> String {
    let option = |key: &str| value.get("config").and_then(|config| config.get(key)).and_then(Value::as_f64);
    match value {
        Value::Null => "linear".into(),
        Value::String(name) => match name.as_str() {
            "swish" => "silu".into(),
            other => other.into(),
        },
        _ => match (class_name(value), option("negative_slope"), option("alpha")) {
            ("LeakyReLU", Some(slope), _) if (slope - 0.2).abs() < 1e-9 => "leaky_relu".into(),
            ("LeakyReLU", Some(slope), _) => format!("leaky_relu of slope {slope}"),
            ("ELU", _, Some(1.0)) => "elu".into(),
            // A function of one's own.
            ("function", ..) => format!("function {}", value.get("config").unwrap_or(value)),
            _ => value.to_string(),
        },
    }
}

/// Keras' way to name a group after a class: `SimpleRNN` becomes `simple_rnn`.
fn snake_case(class: &str) -> String {
    let characters: Vec<char> = class.chars().filter(|c| c.is_alphanumeric() || *c == '_').collect();
    let mut name = String::new();
    for (i, &character) in characters.iter().enumerate() {
        let after_small = i > 0 && characters[i - 1].is_lowercase();
        let before_small = i > 0 && characters.get(i + 1).is_some_and(|next| next.is_lowercase());
        if character.is_uppercase() && (after_small || before_small) {
            name.push('_');
        }
        name.extend(character.to_lowercase());
    }
    name
}
