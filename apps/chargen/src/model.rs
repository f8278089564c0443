//! The model: one-hot rows or an embedding → recurrent layers → Dense over the symbols.

use crate::carried::Carried;
use burn::module::{Module, Param};
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn::train::{InferenceStep, TrainOutput, TrainStep};
use rnn_core::stepper::{Dense, Stepper};
use rnn_core::{AnyConfig, AnyRecurrent, CellKind, ForwardArgs, Input, Key, Preset, RnnError};
use rnn_harness::options::{DropoutConfig, LAYERS, SIZES, check_recurrence, check_size};
use rnn_harness::{Failure, check_range};
use rnn_train::{Figure, StepOutput, Task, trained};
use serde::{Deserialize, Serialize};

/// Every size of the model; saved with a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// Distinct characters.
    pub symbols: usize,
    /// The number of characters through which gradients flow.
    pub window: usize,
    /// Which one.
    pub cell: CellKind,
    /// Stacked recurrent layers.
    pub layers: usize,
    /// Units of each.
    pub hidden: usize,
    /// Dropout on the layer's input and on the recurrence.
    pub dropout: DropoutConfig,
    /// The width of the characters' vectors; without it they are one-hot rows.
    #[serde(default)]
    pub embedding: Option<usize>,
    /// Whether the scores of the characters are products with their vectors.
    #[serde(default)]
    pub tied: bool,
    /// Dropout on what each layer gives: between layers, and before the scores.
    #[serde(default)]
    pub layer_dropout: f64,
    /// Dropout on the recurrent weights.
    #[serde(default)]
    pub weight_dropout: f64,
    /// Whether a GPU stores as 16-bit floats what it keeps of a sequence.
    #[serde(default)]
    pub half_storage: bool,
}

/// One-hot rows or an embedding → recurrent layers → a score for each symbol.
#[derive(Module, Debug)]
pub struct Model {
    pub layer: AnyRecurrent,
    /// The scores' weights; absent if they are tied.
    pub dense: Option<Linear>,
    /// The characters' vectors, `[symbols, embedding]`.
    pub embedding: Option<Param<Tensor<2>>>,
    /// The scores' bias, `[symbols]`, if their weights are the vectors.
    pub bias: Option<Param<Tensor<1>>>,
    /// The dropout before the scores.
    #[module(skip)]
    pub dropout: f64,
    /// The state of the training's rows.
    #[module(skip)]
    pub carried: Carried,
    /// The state of the rows of a validation, which a training's must not lose its place to.
    #[module(skip)]
    pub validating: Carried,
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
        self.dropout.check(self.cell)?;
        for (option, rate) in [("--layer-dropout", self.layer_dropout), ("--weight-dropout", self.weight_dropout)] {
            if !(0.0..1.0).contains(&rate) {
                return Err(Failure::input(format!("{option} is {rate}; it must be at least 0 and less than 1")));
            }
        }
        check_recurrence(self.cell, "--weight-dropout", self.weight_dropout, "--dropout or --layer-dropout")?;
        if let Some(embedding) = self.embedding {
            check_range("--embedding", embedding, &SIZES)?;
        }
        if self.tied && self.embedding != Some(self.hidden) {
            return Err(Failure::input(format!(
                "--tied takes the characters' vectors for the scores' weights, so both must be as wide; give --embedding {}",
                self.hidden
            )));
        }
        let others = self.other_weights();
        let options = ["--hidden or --layers", "--batch, --window or --hidden"];
        check_size(&self.layer(), others, batch, self.window, options)
    }

    /// The number of weights beside those of the recurrent layers.
    pub fn other_weights(&self) -> usize {
        let table = self.embedding.map_or(0, |width| width.saturating_mul(self.symbols));
        let dense = if self.tied { 0 } else { self.hidden.saturating_mul(self.symbols) };
        table.saturating_add(dense)
    }

    /// The recurrent layers.
    pub fn layer(&self) -> AnyConfig {
        let input = self.embedding.unwrap_or(self.symbols);
        let layer = AnyConfig::of_kind(self.cell, input, self.hidden).with_num_layers(self.layers);
        let between = if self.layers > 1 { self.layer_dropout } else { 0.0 };
        let layer = self.dropout.apply(layer).with_layer_dropout(between).with_weight_dropout(self.weight_dropout);
        layer.with_half_storage(self.half_storage)
    }

    /// A new model with Keras' initialisation, drawn from `key`.
    pub fn init(&self, key: Key, device: &Device) -> Result<Model, RnnError> {
        let dense = (!self.tied).then(|| Preset::Keras.linear(self.hidden, self.symbols, key.child(1), device));
        let vectors = |width: usize| {
            // Of length 1 on average, as one-hot rows are.
            let scale = 1.0 / (width as f64).sqrt();
            let values = key.child(2).normals(self.symbols * width).map(|x| (x * scale) as f32);
            TensorData::new(values.collect::<Vec<f32>>(), [self.symbols, width])
        };
        let embedding = self.embedding.map(|width| Tensor::from_data(vectors(width), device));
        Ok(self.with(self.layer().try_init(key.child(0), device)?, dense, embedding, device))
    }

    /// A model of zeros to load weights into, because drawing many random numbers takes time.
    pub fn zeros(&self, device: &Device) -> Result<Model, RnnError> {
        let dense = LinearConfig::new(self.hidden, self.symbols).with_initializer(Initializer::Zeros);
        let dense = (!self.tied).then(|| dense.init(device));
        let embedding = self.embedding.map(|width| Tensor::zeros([self.symbols, width], device));
        Ok(self.with(self.layer().try_init_zeros(device)?, dense, embedding, device))
    }

    fn with(&self, layer: AnyRecurrent, dense: Option<Linear>, embedding: Option<Tensor<2>>, device: &Device) -> Model {
        Model {
            layer,
            dense,
            embedding: embedding.map(Param::from_tensor),
            bias: self.tied.then(|| Param::from_tensor(Tensor::zeros([self.symbols], device))),
            dropout: self.layer_dropout,
            carried: Carried::default(),
            validating: Carried::default(),
        }
    }
}

impl Task for Model {
    /// The share of characters that are predicted correctly.
    const FIGURES: &'static [Figure] = &[Figure { name: "accuracy", higher_is_better: true }];

    fn carried(&self) -> Vec<Tensor<2>> {
        self.carried.tensors()
    }

    fn carry(&self, tensors: Vec<Tensor<2>>) {
        self.carried.restore(tensors, self.layer.config.cell);
    }
}

/// The child of a step's key that draws the dropout before the scores. The layers' own children are small numbers.
const BEFORE_SCORES: u64 = 1 << 32;

impl Model {
    /// The logits of the symbol that follows: of each window, `[batch, symbols]`, or of each character of a stream,
    /// `[batch·time, symbols]`. The layer takes each symbol for its vector or one-hot row. Dropout acts when a key is
    /// given.
    fn logits(&self, batch: &Batch, carried: &Carried, dropout: Option<Key>) -> Tensor<2> {
        let shape = [batch.rows, batch.symbols.len() / batch.rows];
        let args = ForwardArgs::default().with_dropout_key(dropout);
        let Reading::Stream { begins, before } = &batch.reading else {
            return self.scores(self.layer.forward_with(self.input(&batch.symbols, shape), args).last_hidden());
        };
        if *begins {
            carried.clear();
        }
        if !before.is_empty() {
            let shape = [batch.rows, before.len() / batch.rows];
            carried.set(self.layer.forward(self.input(before, shape)).state);
        }
        let output = self.layer.forward_with(self.input(&batch.symbols, shape), carried.args(args, self.is_training()));
        carried.set(output.state);
        let [rows, time, width] = output.sequence.dims();
        let mut hidden = output.sequence;
        if let (Some(key), true) = (dropout, self.dropout > 0.0) {
            let kept = 1.0 / (1.0 - self.dropout) as f32;
            // One mask for all steps of a row (Gal and Ghahramani, 2016).
            let draw = key.child(BEFORE_SCORES).uniforms(rows * width);
            let mask: Vec<f32> = draw.map(|u| if u < self.dropout { 0.0 } else { kept }).collect();
            hidden =
                hidden.clone() * Tensor::from_data(TensorData::new(mask, [rows, 1, width]), &inner(&hidden.device()));
        }
        self.scores(hidden.reshape([rows * time, width]))
    }

    fn is_training(&self) -> bool {
        self.layer.layers.first().is_some_and(|layer| layer.weight_ih.val().is_autodiff())
    }

    /// What the first layer reads.
    fn input<'a>(&self, symbols: &'a [u32], shape: [usize; 2]) -> Input<'a> {
        match &self.embedding {
            Some(table) => Input::ids(table.val(), symbols, shape),
            None => Input::symbols(symbols, shape),
        }
    }

    /// The layer of the scores, on its own: tied ones are the transposed vectors.
    pub fn linear(&self) -> Linear {
        match (&self.dense, &self.embedding) {
            (Some(dense), _) => dense.clone(),
            (None, Some(table)) => {
                Linear { weight: Param::from_tensor(table.val().transpose()), bias: self.bias.clone() }
            }
            _ => unreachable!("a model has scores of its own or tied ones"),
        }
    }

    /// A logit for each symbol, `[rows, symbols]`, of h, `[rows, hidden]`.
    fn scores(&self, hidden: Tensor<2>) -> Tensor<2> {
        match (&self.dense, &self.embedding, &self.bias) {
            (Some(dense), ..) => rnn_core::linear(dense, hidden),
            (None, Some(table), Some(bias)) => hidden.matmul(table.val().transpose()) + bias.val().unsqueeze::<2>(),
            _ => unreachable!("a model has scores of its own or tied ones"),
        }
    }
}

fn inner(device: &Device) -> Device {
    device.clone().inner()
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
        let layer = match &self.embedding {
            Some(table) => Stepper::new(&self.layer.over_embedding(table.val())?)?,
            None => Stepper::new(&self.layer)?,
        };
        let dense = self.linear();
        Ok(Reader { layer, logits: vec![0.0; dense.weight.dims()[1]], dense: Dense::new(&dense) })
    }
}

impl Reader {
    /// Reads characters and returns a logit for each possible next one: those before, where there are no characters.
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

/// A mini-batch.
pub struct Batch {
    /// `[batch, time]`, row by row.
    pub symbols: Vec<u32>,
    /// The number of rows.
    pub rows: usize,
    /// How the rows are read.
    pub reading: Reading,
    /// The symbol after each window, `[batch]`; after each character of a stream, `[batch·time]` row by row.
    pub next: Tensor<1, Int>,
    /// The key of this step's dropout masks.
    pub dropout: Key,
}

/// How the rows of a mini-batch are read.
pub enum Reading {
    /// Each from a zero state; the symbol after it is predicted.
    Windows,
    /// From the state after the mini-batch before; the symbol after each character is predicted.
    Stream {
        /// Whether this is the first one, from a zero state.
        begins: bool,
        /// What the rows read before without a prediction, row by row.
        before: Vec<u32>,
    },
}

impl TrainStep for Model {
    type Input = Batch;
    type Output = StepOutput;

    fn step(&self, batch: Batch) -> TrainOutput<StepOutput> {
        let logits = self.logits(&batch, &self.carried, Some(batch.dropout));
        let loss = rnn_core::cross_entropy(logits.clone(), batch.next.clone());
        trained(self, loss.clone(), output(loss.inner(), logits.inner(), batch.next))
    }
}

impl InferenceStep for Model {
    type Input = Batch;
    type Output = StepOutput;

    fn step(&self, batch: Batch) -> StepOutput {
        let logits = self.logits(&batch, &self.validating, None);
        let loss = rnn_core::cross_entropy(logits.clone(), batch.next.clone());
        output(loss, logits, batch.next)
    }
}

fn output(loss: Tensor<1>, logits: Tensor<2>, next: Tensor<1, Int>) -> StepOutput {
    let items = next.dims()[0];
    let correct = logits.argmax(1).squeeze_dim::<1>(1).equal(next).float().sum();
    StepOutput::new(items, loss, [correct])
}
