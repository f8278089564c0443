//! The model: recurrent layer → Dense, which gives every quantile of every target at every step ahead at once.

use burn::module::Module;
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use burn::train::{InferenceStep, TrainOutput, TrainStep};
use rnn_core::{AnyConfig, AnyRecurrent, CellKind, ForwardArgs, Key, Preset, RnnError};
use rnn_harness::options::{DropoutConfig, LAYERS, SIZES, check_size};
use rnn_harness::{Failure, check_range};
use rnn_train::{Figure, StepOutput, Task, trained};
use serde::{Deserialize, Serialize};

/// Every size of the model; saved with a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// Steps that the model reads.
    pub window: usize,
    /// Steps that it forecasts.
    pub horizon: usize,
    /// Numbers a step: columns, then the calendar.
    pub features: usize,
    /// The first columns, which are forecast.
    pub targets: usize,
    /// Rising, with the median among them.
    pub quantiles: Vec<f64>,
    /// Which one.
    pub cell: CellKind,
    /// Stacked recurrent layers.
    pub layers: usize,
    /// Units of each.
    pub hidden: usize,
    /// Dropout on the layer's input and on the recurrence.
    pub dropout: DropoutConfig,
    /// The last values of the targets that a linear layer beside the recurrent one reads; 0 for none.
    pub linear: usize,
    /// Whether a GPU stores as 16-bit floats what it keeps of a sequence.
    #[serde(default)]
    pub half_storage: bool,
}

/// Recurrent layer → Dense, and beside it a linear layer over the last values.
#[derive(Module, Debug)]
pub struct Model {
    pub layer: AnyRecurrent,
    pub dense: Linear,
    pub linear: Option<Linear>,
}

impl ModelConfig {
    /// Checks the sizes, and that a step of `batch` windows fits into memory.
    pub fn check(&self, batch: usize) -> Result<(), Failure> {
        check_range("--window", self.window, &SIZES)?;
        check_range("--horizon", self.horizon, &SIZES)?;
        check_range("features", self.features, &SIZES)?;
        check_range("--target", self.targets, &(1..=self.features as u64))?;
        check_range("--layers", self.layers, &LAYERS)?;
        check_range("--hidden", self.hidden, &SIZES)?;
        check_range("--linear", self.linear, &(0..=self.window as u64))?;
        let rising = self.quantiles.windows(2).all(|pair| pair[0] < pair[1]);
        if !rising || !self.quantiles.contains(&0.5) || !self.quantiles.iter().all(|q| *q > 0.0 && *q < 1.0) {
            return Err(Failure::input(format!(
                "--quantiles {} is not possible; give rising numbers between 0 and 1 with 0.5, the forecast itself, \
                 among them: 0.1,0.5,0.9",
                self.quantiles.iter().map(f64::to_string).collect::<Vec<_>>().join(",")
            )));
        }
        self.dropout.check(self.cell)?;
        let options = ["--hidden, --layers or --horizon", "--batch, --window or --hidden"];
        check_size(&self.layer(), self.head(), batch, self.window, options)
    }

    /// Weights behind and beside the layer.
    pub fn head(&self) -> usize {
        let inputs = self.hidden.saturating_add(self.linear.saturating_mul(self.targets));
        inputs.saturating_mul(self.outputs())
    }

    fn outputs(&self) -> usize {
        self.horizon.saturating_mul(self.targets).saturating_mul(self.quantiles.len())
    }

    /// The place of the median among the quantiles.
    pub fn median(&self) -> usize {
        self.quantiles.iter().position(|q| *q == 0.5).unwrap_or(0)
    }

    /// The recurrent layer.
    pub fn layer(&self) -> AnyConfig {
        let layer = AnyConfig::of_kind(self.cell, self.features, self.hidden).with_num_layers(self.layers);
        self.dropout.apply(layer).with_half_storage(self.half_storage)
    }

    fn linear(&self, device: &Device) -> Option<Linear> {
        let config = LinearConfig::new(self.linear * self.targets, self.outputs()).with_initializer(Initializer::Zeros);
        (self.linear > 0).then(|| config.init(device))
    }

    /// A new model with Keras' initialisation, drawn from `key`; the linear layer begins at zero.
    pub fn init(&self, key: Key, device: &Device) -> Result<Model, RnnError> {
        Ok(Model {
            layer: self.layer().try_init(key.child(0), device)?,
            dense: Preset::Keras.linear(self.hidden, self.outputs(), key.child(1), device),
            linear: self.linear(device),
        })
    }

    /// A model of zeros to load weights into.
    pub fn zeros(&self, device: &Device) -> Result<Model, RnnError> {
        let dense = LinearConfig::new(self.hidden, self.outputs()).with_initializer(Initializer::Zeros);
        let linear = self.linear(device);
        Ok(Model { layer: self.layer().try_init_zeros(device)?, dense: dense.init(device), linear })
    }
}

impl Task for Model {
    /// The mean absolute error of the median, in the targets' own units.
    const FIGURES: &'static [Figure] = &[Figure { name: "mae", higher_is_better: false }];
}

/// A mini-batch of windows. Outputs are ordered by step ahead, then by target.
pub struct Batch {
    /// `[batch, window, features]`; the targets are the first features.
    pub input: Tensor<3>,
    /// What the forecasts are differences from, scaled, `[batch, outputs]`.
    pub anchor: Tensor<2>,
    /// What came, scaled, `[batch, outputs]`.
    pub truth: Tensor<2>,
    /// 1 where that is known, else 0, `[batch, outputs]`.
    pub counts: Tensor<2>,
    /// The scaling, `[1, outputs]`.
    pub mean: Tensor<2>,
    /// The scaling, `[1, outputs]`.
    pub deviation: Tensor<2>,
    /// Whether targets are read as ln(1 + x).
    pub log: bool,
    /// `[1, 1, quantiles]`.
    pub levels: Tensor<3>,
    /// The place of the median among them.
    pub median: usize,
    /// How many features are targets.
    pub targets: usize,
    /// How many values of a window are known, the mean over all mini-batches.
    pub known: f64,
    /// The key of this step's dropout masks.
    pub dropout: Key,
}

impl Model {
    /// Scaled forecasts, `[batch, outputs, quantiles]`. Dropout acts when a key is given.
    pub fn quantiles(&self, batch: &Batch, dropout: Option<Key>) -> Tensor<3> {
        let [rows, outputs] = batch.anchor.dims();
        let [_, _, quantiles] = batch.levels.dims();
        let args = ForwardArgs::default().with_dropout_key(dropout);
        let hidden = self.layer.forward_with(batch.input.clone(), args).last_hidden();
        let mut change = rnn_core::linear(&self.dense, hidden);
        if let Some(linear) = &self.linear {
            let [_, window, _] = batch.input.dims();
            let [values, _] = linear.weight.dims();
            let last = batch.input.clone().slice([0..rows, window - values / batch.targets..window, 0..batch.targets]);
            change = change + rnn_core::linear(linear, last.reshape([rows, values]));
        }
        change.reshape([rows, outputs, quantiles]) + batch.anchor.clone().unsqueeze_dim::<3>(2)
    }
}

/// The pinball loss, `max(q·d, (q − 1)·d)` for `d = truth − forecast`: its minimum is the quantile q.
fn pinball(forecast: Tensor<3>, batch: &Batch) -> Tensor<1> {
    let [_, _, quantiles] = forecast.dims();
    let d = batch.truth.clone().unsqueeze_dim::<3>(2) - forecast;
    let loss = (d.clone() * batch.levels.clone()).max_pair(d * (batch.levels.clone() - 1.0));
    let known = batch.counts.clone().sum().clamp_min(1.0);
    (loss * batch.counts.clone().unsqueeze_dim::<3>(2)).sum() / (known * quantiles as f64)
}

/// The natural logarithm of [`LARGEST`](crate::data::LARGEST).
const LARGEST_LN: f64 = 69.0;

/// What a step measured. The figures of an epoch are means over windows; here a window counts by its known values.
fn output(loss: Tensor<1>, forecast: Tensor<3>, batch: &Batch) -> StepOutput {
    let [rows, outputs, _] = forecast.dims();
    let unscaled = |z: Tensor<2>| {
        let value = z * batch.deviation.clone() + batch.mean.clone();
        value.clamp(-LARGEST_LN, LARGEST_LN).exp() - 1.0
    };
    let median = forecast.slice([0..rows, 0..outputs, batch.median..batch.median + 1]).reshape([rows, outputs]);
    // At a high level single precision has no digits left for the difference of two values.
    let error = match batch.log {
        true => (unscaled(median) - unscaled(batch.truth.clone())).abs(),
        false => (median - batch.truth.clone()).abs() * batch.deviation.clone(),
    };
    let known = batch.counts.clone().sum();
    let weight = known.clone() / (rows as f64 * batch.known).max(1e-9); // 0 of 0 are none
    let error = (error * batch.counts.clone()).sum() / known.clamp_min(1.0) * weight.clone();
    StepOutput::new(rows, loss * weight, [error * rows as f64])
}

impl TrainStep for Model {
    type Input = Batch;
    type Output = StepOutput;

    fn step(&self, batch: Batch) -> TrainOutput<StepOutput> {
        let forecast = self.quantiles(&batch, Some(batch.dropout));
        let loss = pinball(forecast.clone(), &batch);
        trained(self, loss.clone(), output(loss.inner(), forecast.inner(), &batch))
    }
}

impl InferenceStep for Model {
    type Input = Batch;
    type Output = StepOutput;

    fn step(&self, batch: Batch) -> StepOutput {
        let forecast = self.quantiles(&batch, None);
        output(pinball(forecast.clone(), &batch), forecast, &batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SeriesArgs;
    use crate::view::View;
    use clap::Parser;
    use rnn_train::evaluate;

    #[derive(Parser)]
    struct Args {
        #[command(flatten)]
        series: SeriesArgs,
    }

    /// However windows lie in mini-batches, some of which have no known value, and however high the level is.
    #[test]
    fn the_figures_of_a_part_are_means_over_its_known_values() {
        let args = Args::parse_from(["x", "--data", "sample", "--target", "sales", "--calendar", "false"]);
        let table = args.series.data.table().expect("the sample");
        let (sizes, mut config, mut series) = args.series.seen(&table).expect("a series");
        let device = Device::default();
        let model = sizes.init(Key::new(1), &device).expect("a model");
        let (part, known) = (60..160, |t: usize| t.is_multiple_of(29) || (100..110).contains(&t));
        for (t, present) in series.present[0].iter_mut().enumerate() {
            *present = known(t);
        }
        let figures = |series: &_, config: &_, batch| {
            let view = View::new(series, config, &sizes).expect("a view");
            let batches = view.batches(part.clone(), batch, None, Key::new(0), &device);
            let figures = evaluate(&model, &batches, |_| true).expect("not stopped");
            [figures.loss, figures.others[0]]
        };
        let whole = figures(&series, &config, part.len());
        assert!(whole.iter().all(|figure| *figure > 0.01), "{whole:?}");
        // By hand: the mean over the values that are known.
        let view = View::new(&series, &config, &sizes).expect("a view");
        let origins: Vec<usize> = part.clone().collect();
        let scaled: Vec<f32> =
            model.quantiles(&view.batch(&origins, Key::new(0), &device), None).into_data().iter().collect();
        let (mut sum, mut count) = (0.0, 0.0);
        for (row, origin) in origins.iter().enumerate() {
            for ahead in (1..=sizes.horizon).filter(|ahead| known(origin + ahead)) {
                let z = scaled[(row * sizes.horizon + ahead - 1) * sizes.quantiles.len() + sizes.median()];
                sum += (view.unscaled(0, f64::from(z)) - series.values[0][origin + ahead]).abs();
                count += 1.0;
            }
        }
        assert!((whole[1] - sum / count).abs() < 1e-4 * whole[1], "{} {}", whole[1], sum / count);
        const LEVEL: f64 = 33_554_432.0;
        for batch in [1, 7] {
            let apart = figures(&series, &config, batch);
            assert!(apart.iter().zip(&whole).all(|(a, b)| (a - b).abs() < 1e-4 * b), "{batch}: {apart:?} {whole:?}");
        }
        series.values[0].iter_mut().for_each(|value| *value += LEVEL);
        config.scaling[0].mean += LEVEL;
        let high = figures(&series, &config, 7);
        assert!(high.iter().zip(&whole).all(|(a, b)| (a - b).abs() < 1e-3 * b), "{high:?} {whole:?}");
    }
}
