//! The lessons' models as the programs have them, on random data.

use burn::module::Module;
use burn::nn::{Embedding, Linear};
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn::train::{InferenceStep, TrainOutput, TrainStep};
use rnn_core::{AnyConfig, AnyRecurrent, CellKind, ForwardArgs, Input, Key, Preset};
use rnn_train::optim::{OptimizerConfig, OptimizerName};
use rnn_train::{Batches, Figure, Plan, StepOutput, Task, trained};

/// One of the two lessons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lesson {
    /// Embedding 20000×128, dropout of the input 0.2, LSTM 128, one logit; 50 reviews of 80 words; Adam.
    Sentiment,
    /// Characters as symbols, GRU 128, 55 scores; 128 windows of 10; RMSprop.
    Chargen,
}

impl Lesson {
    /// Sequences in a mini-batch, their steps, and how many words or characters there are.
    pub fn sizes(self) -> [usize; 3] {
        match self {
            Lesson::Sentiment => [50, 80, 20_000],
            Lesson::Chargen => [128, 10, 55],
        }
    }

    /// How the lesson trains.
    pub fn plan(self) -> Plan {
        Plan::new(
            1,
            OptimizerConfig::new(if self == Self::Sentiment { OptimizerName::Adam } else { OptimizerName::Rmsprop }),
        )
    }

    /// A new model.
    pub fn model(self, device: &Device) -> Model {
        let (key, [_, _, ids]) = (Key::new(0), self.sizes());
        let (embedding, config, classes) = match self {
            Lesson::Sentiment => {
                let config = AnyConfig::of_kind(CellKind::Lstm, HIDDEN, HIDDEN).with_dropout(0.2);
                (Some(Preset::Keras.embedding(ids, HIDDEN, key.child(0), device)), config, 1)
            }
            Lesson::Chargen => (None, AnyConfig::of_kind(CellKind::Gru, ids, HIDDEN), ids),
        };
        let dense = Preset::Keras.linear(HIDDEN, classes, key.child(2), device);
        Model { embedding, layer: config.init(key.child(1), device), dense }
    }

    /// Random mini-batches.
    pub fn batches(self, device: &Device) -> Batches<Batch> {
        let [batch, time, ids] = self.sizes();
        let classes = if self == Self::Sentiment { 2 } else { ids };
        Batches::new(STEPS * batch, batch, None, device, move |items, step, device| {
            let key = Key::new(step);
            let draw =
                |key: Key, below: usize, count: usize| key.uniforms(count).map(move |u| (u * below as f64) as u32);
            let targets: Vec<i32> = draw(key.child(1), classes, items.len()).map(|id| id as i32).collect();
            let targets = Tensor::from_data(TensorData::new(targets, [items.len()]), device);
            Batch { ids: draw(key.child(0), ids, items.len() * time).collect(), time, targets, dropout: key.child(2) }
        })
    }
}

const HIDDEN: usize = 128;
/// Mini-batches that are different.
const STEPS: usize = 64;

/// Embedding or symbols → layer → dense.
#[derive(Module, Debug)]
pub struct Model {
    embedding: Option<Embedding>,
    layer: AnyRecurrent,
    dense: Linear,
}

/// A mini-batch.
pub struct Batch {
    ids: Vec<u32>,
    time: usize,
    targets: Tensor<1, Int>,
    dropout: Key,
}

impl Task for Model {
    const FIGURES: &'static [Figure] = &[Figure { name: "accuracy", higher_is_better: true }];
}

impl Model {
    fn measured(&self, batch: &Batch, dropout: Option<Key>) -> (Tensor<1>, Tensor<2>) {
        let shape = [batch.ids.len() / batch.time, batch.time];
        let input = match &self.embedding {
            Some(table) => Input::ids(table, &batch.ids, shape),
            None => Input::symbols(&batch.ids, shape),
        };
        let last = self.layer.forward_with(input, ForwardArgs::default().with_dropout_key(dropout)).last_hidden();
        let logits = rnn_core::linear(&self.dense, last);
        let loss = match logits.dims() {
            [_, 1] => rnn_core::binary_cross_entropy(logits.clone().squeeze_dim::<1>(1), batch.targets.clone()),
            _ => rnn_core::cross_entropy(logits.clone(), batch.targets.clone()),
        };
        (loss, logits)
    }
}

/// The loss and the accuracy, as the programs count it.
fn output(loss: Tensor<1>, logits: Tensor<2>, targets: Tensor<1, Int>) -> StepOutput {
    let judged = match logits.dims() {
        [_, 1] => logits.squeeze_dim::<1>(1).greater_elem(0.0).int(),
        _ => logits.argmax(1).squeeze_dim::<1>(1),
    };
    let items = targets.dims()[0];
    StepOutput::new(items, loss, [judged.equal(targets).float().sum()])
}

impl TrainStep for Model {
    type Input = Batch;
    type Output = StepOutput;

    fn step(&self, batch: Batch) -> TrainOutput<StepOutput> {
        let (loss, logits) = self.measured(&batch, Some(batch.dropout));
        trained(self, loss.clone(), output(loss.inner(), logits.inner(), batch.targets))
    }
}

impl InferenceStep for Model {
    type Input = Batch;
    type Output = StepOutput;

    fn step(&self, batch: Batch) -> StepOutput {
        let (loss, logits) = self.measured(&batch, None);
        output(loss, logits, batch.targets)
    }
}
