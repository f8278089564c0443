//! `forecast export`: a trained model for PyTorch or onnxruntime.

use crate::config::RunConfig;
use crate::model::Model;
use crate::run::{PROGRAM, Trained};
use crate::view::{Anchor, View};
use burn::tensor::Device;
use rnn_core::Key;
use rnn_export::{Beside, Dense, ExportError, Input, Matrix, Network, Read, int8};
use rnn_harness::export::{ExportArgs, Rounded, or_not_measured};
use rnn_harness::progress::waiting;
use rnn_harness::{Failure, say};
use serde_json::json;

/// The file that says how values become features, and answers forecasts.
const FORECAST: &str = "forecast.json";

impl Model {
    /// What is exported: a forecast's scaled difference from the mean, or from the value a season before. That from the
    /// last value is undone by the layer beside the recurrent one, which reads it. It names every field, so that a new one
    /// cannot be left out of the export by mistake.
    fn network(&self, config: &RunConfig) -> Result<Network, ExportError> {
        let Self { layer, dense, linear } = self;
        let (sizes, targets) = (&config.model, config.model.targets);
        let mut dense = Dense::of(dense);
        let answers = dense.weight.rows;
        let mut beside = match linear {
            Some(linear) => {
                let Dense { weight, bias } = Dense::of(linear);
                dense.bias.iter_mut().zip(bias).for_each(|(sum, bias)| *sum += bias);
                weight
            }
            None if config.view.anchor == Anchor::Last => {
                Matrix { rows: answers, columns: targets, values: vec![0.0; answers * targets] }
            }
            None => return Network::new(Input::Features, layer, Read::Last, dense),
        };
        if config.view.anchor == Anchor::Last {
            for (answer, row) in beside.values.chunks_exact_mut(beside.columns).enumerate() {
                let target = answer / sizes.quantiles.len() % targets;
                row[beside.columns - targets + target] += 1.0;
            }
        }
        let network = Network::new(Input::Features, layer, Read::Last, dense)?;
        Ok(network.with_beside(Beside { features: targets, weight: beside }))
    }

    /// With recurrent weights that int8 can hold.
    fn rounded(&self) -> Self {
        let mut rounded = self.clone();
        rounded.layer = int8::rounded(rounded.layer);
        rounded
    }
}

/// Loads the model, writes it, and measures on the run's series what int8 costs.
pub fn export(args: &ExportArgs) -> Result<(), Failure> {
    args.check()?;
    let selected = args.device.select()?;
    let trained = Trained::load(&args.run, &selected.device)?;
    let network = trained.model.network(&trained.config)?;
    let rounded = if args.int8 { measure(&trained, &selected.device)? } else { None };
    let reading = serde_json::to_string_pretty(&reading(&trained.config)).map_err(Failure::failed)?;
    args.write(PROGRAM, &trained.config.data.corpus, &network, Some((FORECAST, &reading)), rounded)
}

/// How values become features, and answers forecasts.
fn reading(config: &RunConfig) -> serde_json::Value {
    let RunConfig { model, data, view, .. } = config;
    let season = (view.anchor == Anchor::Season).then(|| view.seasons[0]);
    json!({
        "columns": data.targets.iter().chain(&data.inputs).collect::<Vec<_>>(),
        "targets": model.targets,
        "window": model.window,
        "horizon": model.horizon,
        "quantiles": model.quantiles,
        "scaling": view.scaling,
        "log": view.log,
        "calendar": view.calendar,
        "season": season,
        "features": "[batch, window, features]. First the columns, targets first: (x - mean) / deviation, for targets of \
                     ln(1 + x) if log is true; with a season, less what the target was so many steps before. Then of \
                     each cycle of the calendar sin(2*pi*p) and cos(2*pi*p), where p is the part of it that is over (a \
                     week begins on Monday).",
        "logits": "[batch, horizon * targets * quantiles]: by step ahead, then target, then quantile. With a season, add \
                   the scaled value a season before. Then x * deviation + mean, and with log exp(x) - 1, is the forecast. \
                   Sort the quantiles of a forecast.",
    })
}

fn measure(trained: &Trained, device: &Device) -> Result<Option<Rounded>, Failure> {
    let waiting = waiting("reading the series");
    let config = &trained.config;
    let load = || {
        let series = config.data.load_again()?;
        config.check_series(&series)?;
        let view = View::new(&series, &config.view, &config.model)?;
        Ok((series, view))
    };
    let Some((series, view)) = or_not_measured(load())? else { return Ok(None) };
    let parts = config.parts(series.len());
    let (part, of) = match view.origins(parts.validation..parts.all) {
        test if test.is_empty() => (view.origins(parts.train..parts.validation), "validation windows"),
        test => (test, "test windows"),
    };
    if part.is_empty() {
        say!("what int8 costs is not measured, because the run has neither a test part nor a validation part");
        return Ok(None);
    }
    let batches = view.batches(part, config.training.batch, None, Key::new(0), device);
    drop(waiting);
    Rounded::measure(&trained.model, &trained.model.rounded(), &batches, of).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RunConfig;
    use crate::model::Batch;
    use burn::module::Param;
    use burn::nn::Linear;
    use burn::tensor::{Tensor, TensorData};
    use rnn_core::{CellKind, Preset};

    const ROWS: usize = 2;
    const WINDOW: usize = 4;

    fn random<const D: usize>(shape: [usize; D], key: u64) -> Tensor<D> {
        let values: Vec<f32> = Key::new(key).normals(shape.iter().product()).map(|x| x as f32).collect();
        Tensor::from_data(TensorData::new(values, shape), &Device::default())
    }

    /// Of two targets and another column, two steps ahead, three quantiles.
    fn config(anchor: &str, linear: usize) -> RunConfig {
        let dropout = json!({"input": 0.0, "recurrent": 0.0, "masks": "shared"});
        let scaling = json!({"mean": 0.0, "deviation": 1.0});
        let optimizer = json!({"name": "adam", "learning_rate": 0.001, "momentum": 0.0});
        let config = json!({
            "model": {"window": WINDOW, "horizon": 2, "features": 3, "targets": 2, "quantiles": [0.1, 0.5, 0.9],
                "cell": CellKind::Gru, "layers": 1, "hidden": 5, "dropout": dropout, "linear": linear},
            "data": {"corpus": "x", "data": null, "name": "x", "targets": ["a", "b"], "inputs": ["c"], "time": [],
                "missing": "last", "fingerprint": ""},
            "view": {"anchor": anchor, "seasons": [7], "log": false, "calendar": [], "scaling": [scaling, scaling, scaling],
                "test": 0.2},
            "training": {"seed": 0, "batch": 8, "validation": 0.1, "device": "flex", "threads": 1,
                "plan": {"epochs": 1, "optimizer": optimizer}},
        });
        serde_json::from_value(config).expect("a configuration")
    }

    /// The layers of the exported network, computed here, give the model's forecasts.
    #[test]
    fn the_exported_layers_give_the_models_forecasts() {
        for (anchor, linear) in [("none", 0), ("none", 2), ("last", 0), ("last", 3)] {
            let config = config(anchor, linear);
            let mut model = config.model.init(Key::new(1), &Device::default()).expect("a model");
            model.dense.bias = Some(Param::from_tensor(random([12], 2)));
            let random_linear = |_: &Linear| {
                let mut layer = Preset::Keras.linear(2 * linear, 12, Key::new(3), &Device::default());
                layer.bias = Some(Param::from_tensor(random([12], 4)));
                layer
            };
            model.linear = model.linear.as_ref().map(random_linear);
            let input = random([ROWS, WINDOW, 3], 5);
            let last = input.clone().slice([0..ROWS, WINDOW - 1..WINDOW, 0..2]).reshape([ROWS, 2]);
            let anchors =
                if anchor == "last" { last.repeat_dim(1, 2) } else { Tensor::zeros([ROWS, 4], &Device::default()) };
            let flat = || Tensor::<2>::ones([ROWS, 4], &Device::default());
            let batch = Batch {
                input: input.clone(),
                anchor: anchors,
                truth: flat(),
                counts: flat(),
                mean: flat(),
                deviation: flat(),
                log: false,
                levels: Tensor::ones([1, 1, 3], &Device::default()),
                median: 1,
                targets: 2,
                known: 4.0,
                dropout: Key::new(0),
            };
            let expected: Vec<f32> = model.quantiles(&batch, None).into_data().iter().collect();
            let network = model.network(&config).expect("it can be exported");
            let matrix = |matrix: &Matrix| {
                let data = TensorData::new(matrix.values.clone(), [matrix.rows, matrix.columns]);
                Tensor::<2>::from_data(data, &Device::default()).transpose()
            };
            let bias = TensorData::new(network.dense.bias.clone(), [1, 12]);
            let mut answers = model.layer.forward(input.clone()).last_hidden().matmul(matrix(&network.dense.weight))
                + Tensor::<2>::from_data(bias, &Device::default());
            assert_eq!(network.beside.is_some(), anchor == "last" || linear > 0);
            if let Some(Beside { features, weight }) = &network.beside {
                let steps = weight.columns / features;
                let last = input.slice([0..ROWS, WINDOW - steps..WINDOW, 0..*features]);
                answers = answers + last.reshape([ROWS, weight.columns]).matmul(matrix(weight));
            }
            let answers: Vec<f32> = answers.into_data().iter().collect();
            let worst = answers.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-5 && answers.len() == expected.len(), "{anchor}, {linear}: {worst}");
        }
    }
}
