//! The lesson's model: one-hot → recurrent layer → Dense over the symbols.

use burn::module::Module;
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::tensor::{Device, Int, Tensor};
use burn::train::{InferenceStep, TrainOutput, TrainStep};
use rnn_core::stepper::{Dense, Stepper};
use rnn_core::{AnyConfig, AnyRecurrent, CellKind, ForwardArgs, Input, Key, Preset, RnnError};
use rnn_harness::options::{DropoutConfig, LAYERS, SIZES, check_size};
use rnn_harness::{Failure, check_range};
use rnn_train::{Figure, StepOutput, Task, trained};
use serde::{Deserialize, Serialize};

/// Every size of the model; saved with a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// Distinct characters.
    pub symbols: usize,
    /// The number of characters that the model reads to predict the next one.
    pub window: usize,
    /// rnn, lstm or gru.
    pub cell: CellKind,
    /// Stacked recurrent layers.
    pub layers: usize,
    /// Units of each.
    pub hidden: usize,
    /// Dropout on the layer's input and on the recurrence.
    pub dropout: DropoutConfig,
}

/// One-hot → recurrent layer → Dense.
#[derive(Module, Debug)]
pub struct Model {
    pub layer: AnyRecurrent,
    pub dense: Linear,
}

/// The number of Unicode characters.
const MOST_SYMBOLS: u64 = char::MAX as u64 + 1;

impl ModelConfig {
    /// Checks that a model of these sizes, and a step of `batch` windows with it, fit into memory.
    pub fn check(&self, batch: usize) -> Result<(), Failure> {
        check_range("symbols", self.symbols, &(1..=MOST_SYMBOLS))?;
        check_range("--window", self.window, &SIZES)?;
        check_range("--layers", self.layers, &LAYERS)?;
        check_range("--hidden", self.hidden, &SIZES)?;
        self.dropout.check()?;
        let dense = self.hidden.saturating_mul(self.symbols);
        let options = ["--hidden or --layers", "--batch, --window or --hidden"];
        check_size(&self.layer(), dense, batch, self.window, options)
    }

    /// The recurrent layer.
    pub fn layer(&self) -> AnyConfig {
        self.dropout.apply(AnyConfig::of_kind(self.cell, self.symbols, self.hidden).with_num_layers(self.layers))
    }

    /// A new model with Keras' initialisation, drawn from `key`.
    pub fn init(&self, key: Key, device: &Device) -> Result<Model, RnnError> {
        Ok(Model {
            layer: self.layer().try_init(key.child(0), device)?,
            dense: Preset::Keras.linear(self.hidden, self.symbols, key.child(1), device),
        })
    }

    /// A model of zeros to load weights into, because drawing many random numbers takes time.
    pub fn zeros(&self, device: &Device) -> Result<Model, RnnError> {
        let dense = LinearConfig::new(self.hidden, self.symbols).with_initializer(Initializer::Zeros);
        Ok(Model { layer: self.layer().try_init_zeros(device)?, dense: dense.init(device) })
    }
}

impl Task for Model {
    /// The share of characters that are predicted correctly.
    const FIGURES: &'static [Figure] = &[Figure { name: "accuracy", higher_is_better: true }];
}

impl Model {
    /// Windows of symbols, `[batch, window]` row by row, to a logit for each possible next symbol, `[batch, symbols]`.
    /// The layer takes each symbol for its one-hot row. Dropout acts when a key is given.
    pub fn logits(&self, windows: &[u32], shape: [usize; 2], dropout: Option<Key>) -> Tensor<2> {
        let args = ForwardArgs::default().with_dropout_key(dropout);
        let output = self.layer.forward_with(Input::symbols(windows, shape), args);
        rnn_core::linear(&self.dense, output.last_hidden())
    }
}

/// The model for generation: a copy of its weights on the CPU, stepped character by character on slices.
pub struct Reader {
    layer: Stepper,
    dense: Dense,
    logits: Vec<f32>,
}

impl Model {
    /// A reader with a zero state.
    pub fn reader(&self) -> Result<Reader, RnnError> {
        let [_, symbols] = self.dense.weight.dims();
        Ok(Reader { layer: Stepper::new(&self.layer)?, dense: Dense::new(&self.dense), logits: vec![0.0; symbols] })
    }
}

impl Reader {
    /// Reads characters and returns a logit for each possible next one.
    pub fn read(&mut self, ids: &[u32]) -> &[f32] {
        for (number, &id) in ids.iter().enumerate() {
            let hidden = self.layer.step_symbol(id as usize);
            if number + 1 == ids.len() {
                self.dense.apply(hidden, &mut self.logits);
            }
        }
        &self.logits
    }

    /// Resets the state to zero.
    pub fn forget(&mut self) {
        self.layer.reset();
    }
}

/// The mean cross-entropy of `logits`, `[batch, symbols]`, and the symbols that followed, `[batch]`.
pub fn loss(logits: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    rnn_core::cross_entropy(logits, targets)
}

/// A mini-batch of windows.
pub struct Batch {
    /// `[batch, window]`, row by row.
    pub windows: Vec<u32>,
    /// The symbol after each window, `[batch]`.
    pub next: Tensor<1, Int>,
    /// The key of this step's dropout masks.
    pub dropout: Key,
}

impl Batch {
    /// `[batch, window]`.
    fn shape(&self) -> [usize; 2] {
        let batch = self.next.dims()[0];
        [batch, self.windows.len() / batch]
    }
}

impl TrainStep for Model {
    type Input = Batch;
    type Output = StepOutput;

    fn step(&self, batch: Batch) -> TrainOutput<StepOutput> {
        let logits = self.logits(&batch.windows, batch.shape(), Some(batch.dropout));
        let loss = loss(logits.clone(), batch.next.clone());
        trained(self, loss.clone(), output(loss.inner(), logits.inner(), batch.next))
    }
}

impl InferenceStep for Model {
    type Input = Batch;
    type Output = StepOutput;

    fn step(&self, batch: Batch) -> StepOutput {
        let logits = self.logits(&batch.windows, batch.shape(), None);
        let loss = loss(logits.clone(), batch.next.clone());
        output(loss, logits, batch.next)
    }
}

fn output(loss: Tensor<1>, logits: Tensor<2>, next: Tensor<1, Int>) -> StepOutput {
    let items = next.dims()[0];
    let correct = logits.argmax(1).squeeze_dim::<1>(1).equal(next).float().sum();
    StepOutput::new(items, loss, [correct])
}
