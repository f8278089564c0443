//! `cargo xtask bench`: the time of one training step of both lesson models, with our layers and with burn-nn's.
//!
//! The two are timed in turn, A B A B …, because a machine's speed drifts; the ratio is the median of the pairs'.

use burn::module::{Module, ModuleDisplay};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig, gru, lstm};
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Int, Tensor, TensorData};
use rnn_core::{ForwardArgs, Gru, GruConfig, Key, Lstm, LstmConfig};
use rnn_harness::device::DeviceArgs;
use std::time::Instant;

/// What `cargo xtask bench` may be told.
#[derive(Debug, clap::Args)]
pub struct BenchArgs {
    /// Timed pairs of steps for each row
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pairs: u64,
    #[command(flatten)]
    device: DeviceArgs,
}

/// A recurrent layer as the lesson uses one: it reads a batch and gives the last hidden state.
trait Encoder: Module + ModuleDisplay {
    /// `[batch, time, d_input]` to `[batch, d_hidden]`.
    fn last(&self, input: Tensor<3>, dropout: Option<Key>) -> Tensor<2>;
}

impl Encoder for Lstm {
    fn last(&self, input: Tensor<3>, dropout: Option<Key>) -> Tensor<2> {
        let args = ForwardArgs::default().with_dropout(dropout);
        self.forward_with(input, args).state.last().hidden.clone()
    }
}

impl Encoder for Gru {
    fn last(&self, input: Tensor<3>, dropout: Option<Key>) -> Tensor<2> {
        let args = ForwardArgs::default().with_dropout(dropout);
        self.forward_with(input, args).state.last().hidden.clone()
    }
}

impl Encoder for lstm::Lstm {
    fn last(&self, input: Tensor<3>, _: Option<Key>) -> Tensor<2> {
        self.forward(input, None).1.hidden
    }
}

impl Encoder for gru::Gru {
    fn last(&self, input: Tensor<3>, _: Option<Key>) -> Tensor<2> {
        let steps = input.dims()[1];
        let sequence = self.forward(input, None);
        sequence.slice_dim(1, steps - 1..steps).squeeze_dim(1)
    }
}

/// Embedding → layer → dense. The lesson's character model feeds one-hot rows, which an embedding fixed to the
/// identity gives.
#[derive(Module, Debug)]
struct Model<E: Encoder> {
    embedding: Embedding,
    layer: E,
    dense: Linear,
}

/// One model in training.
struct Trainee<E: Encoder> {
    model: Model<E>,
    optimizer: ModuleOptimizer,
    tokens: Tensor<2, Int>,
    targets: Tensor<1, Int>,
    step: u64,
    dropout: bool,
}

/// The shape of a lesson's step.
#[derive(Clone, Copy)]
struct Shape {
    batch: usize,
    time: usize,
    symbols: usize,
    width: usize,
    one_hot: bool,
    classes: usize,
}

const SENTIMENT: Shape = Shape { batch: 50, time: 80, symbols: 20_000, width: 128, one_hot: false, classes: 2 };
const CHARGEN: Shape = Shape { batch: 128, time: 10, symbols: 55, width: 55, one_hot: true, classes: 55 };
const D_HIDDEN: usize = 128;

impl<E: Encoder> Trainee<E> {
    fn new(shape: Shape, layer: E, dropout: bool, device: &Device) -> Self {
        let mut embedding = EmbeddingConfig::new(shape.symbols, shape.width).init(device);
        if shape.one_hot {
            let eye = Tensor::<2>::eye(shape.symbols, &device.clone().inner());
            embedding.weight = burn::module::Param::from_tensor(eye).set_require_grad(false);
        }
        let indices = |key: u64, count: usize, below: usize| -> Vec<i64> {
            let uniforms = Key::new(key).uniforms(count);
            uniforms.map(|u| (u * below as f64) as i64).collect()
        };
        let tokens = indices(1, shape.batch * shape.time, shape.symbols);
        let targets = indices(2, shape.batch, shape.classes);
        let inner = device.clone().inner();
        Self {
            model: Model { embedding, layer, dense: LinearConfig::new(D_HIDDEN, shape.classes).init(device) },
            optimizer: AdamConfig::new().init(),
            tokens: Tensor::from_data(TensorData::new(tokens, [shape.batch, shape.time]), &inner),
            targets: Tensor::from_data(TensorData::new(targets, [shape.batch]), &inner),
            step: 0,
            dropout,
        }
    }

    /// Forward, backward and update; returns milliseconds.
    fn step(&mut self) -> f64 {
        let start = Instant::now();
        let key = self.dropout.then(|| Key::new(0).child(self.step));
        self.step += 1;
        let input = self.model.embedding.forward(self.tokens.clone());
        let input = if self.model.embedding.weight.val().is_require_grad() { input } else { input.inner() };
        let hidden = self.model.layer.last(input, key);
        let logits = self.model.dense.forward(hidden);
        let loss = CrossEntropyLossConfig::new().init(&logits.device());
        let loss = loss.forward(logits, self.targets.clone().autodiff());
        let grads = GradientsParams::from_grads(loss.backward(), &self.model);
        self.model = self.optimizer.step(1e-3, self.model.clone(), grads);
        // A value must be read for the work to be done on devices that run ahead.
        let _: f32 = loss.into_scalar();
        start.elapsed().as_secs_f64() * 1e3
    }
}

/// Times both in turn and prints a row.
fn row<A: Encoder, B: Encoder>(name: &str, ours: &mut Trainee<A>, theirs: &mut Trainee<B>, pairs: usize) {
    for _ in 0..2 {
        ours.step();
        theirs.step();
    }
    let (mut a, mut b, mut ratio) = (vec![], vec![], vec![]);
    for _ in 0..pairs {
        a.push(ours.step());
        b.push(theirs.step());
        ratio.push(a[a.len() - 1] / b[b.len() - 1]);
    }
    println!("| {name} | {:.1} | {:.1} | {:.2} |", median(&mut a), median(&mut b), median(&mut ratio));
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Runs all rows.
pub fn run(args: &BenchArgs) -> Result<(), String> {
    let selected = args.device.select().map_err(|e| e.to_string())?;
    let device = selected.device.autodiff();
    let pairs = args.pairs as usize;
    println!("One training step, milliseconds, median of {pairs} pairs, on {}", selected.name);
    println!("| step | rnn-core | burn-nn | ratio |\n|---|---:|---:|---:|");
    let s = SENTIMENT;
    let config = LstmConfig::new(s.width, D_HIDDEN);
    let their_lstm = || lstm::LstmConfig::new(s.width, D_HIDDEN, true).init(&device);
    let ours = config.init(Key::new(0), &device);
    row(
        "sentiment, no dropout",
        &mut Trainee::new(s, ours, false, &device),
        &mut Trainee::new(s, their_lstm(), false, &device),
        pairs,
    );
    let config = config.with_dropout(0.2).with_recurrent_dropout(0.2);
    let ours = config.init(Key::new(0), &device);
    row(
        "sentiment, dropout 0.2 and 0.2 (burn-nn: none)",
        &mut Trainee::new(s, ours, true, &device),
        &mut Trainee::new(s, their_lstm(), false, &device),
        pairs,
    );
    let s = CHARGEN;
    let ours = GruConfig::new(s.width, D_HIDDEN).init(Key::new(0), &device);
    let theirs = gru::GruConfig::new(s.width, D_HIDDEN, true).init(&device);
    row("chargen", &mut Trainee::new(s, ours, false, &device), &mut Trainee::new(s, theirs, false, &device), pairs);
    Ok(())
}
