//! A small task with a table of embeddings, and a renderer that notes what burn-train shows.
#![allow(dead_code, reason = "each test file uses a part of it")]

use burn::module::Module;
use burn::nn::loss::BinaryCrossEntropyLossConfig;
use burn::nn::{Embedding, Linear};
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn::train::logger::{EvaluationProgressLogger, TrainingProgressLogger};
use burn::train::metric::MetricDefinition;
use burn::train::renderer::{
    EvaluationName, MetricState, MetricsRenderer, MetricsRendererEvaluation, MetricsRendererTraining,
};
use burn::train::{InferenceStep, TrainOutput, TrainStep};
use rnn_core::{AnyConfig, AnyRecurrent, CellKind, ForwardArgs, Input, Key, Preset};
use rnn_train::optim::{OptimizerConfig, OptimizerName};
use rnn_train::{Batches, EpochRecord, Figure, Flow, Hooks, Plan, StepOutput, Task, TrainError, TrainState, trained};
use std::sync::{Arc, Mutex};

pub const WORDS: usize = 30;
pub const TIME: usize = 5;

#[derive(Module, Debug)]
pub struct Model {
    pub embedding: Embedding,
    layer: AnyRecurrent,
    dense: Linear,
}

pub struct Batch {
    pub ids: Vec<u32>,
    pub labels: Tensor<1, Int>,
    pub dropout: Key,
}

pub fn model(seed: u64) -> Model {
    let device = Device::default().autodiff();
    let key = Key::new(seed);
    let config = AnyConfig::of_kind(CellKind::Lstm, 6, 7).with_dropout(0.2);
    Model {
        embedding: Preset::Keras.embedding(WORDS, 6, key.child(0), &device),
        layer: config.try_init(key.child(1), &device).expect("a layer"),
        dense: Preset::Keras.linear(7, 1, key.child(2), &device),
    }
}

impl Model {
    fn measured(&self, batch: &Batch, dropout: Option<Key>) -> (Tensor<1>, StepOutput) {
        let items = batch.labels.dims()[0];
        let args = ForwardArgs::default().with_dropout_key(dropout);
        let output = self.layer.forward_with(Input::ids(&self.embedding, &batch.ids, [items, TIME]), args);
        let logits: Tensor<1> = self.dense.forward(output.last_hidden()).squeeze_dim(1);
        let loss = BinaryCrossEntropyLossConfig::new().with_logits(true).init(&logits.device());
        let loss = loss.forward(logits.clone(), batch.labels.clone());
        let inner = |tensor: Tensor<1>| if tensor.is_autodiff() { tensor.inner() } else { tensor };
        let correct = inner(logits).greater_elem(0.0).int().equal(batch.labels.clone()).float().sum();
        (loss.clone(), StepOutput::new(items, inner(loss), [correct]))
    }
}

impl TrainStep for Model {
    type Input = Batch;
    type Output = StepOutput;

    fn step(&self, batch: Batch) -> TrainOutput<StepOutput> {
        let (loss, output) = self.measured(&batch, Some(batch.dropout));
        trained(self, loss, output)
    }
}

impl InferenceStep for Model {
    type Input = Batch;
    type Output = StepOutput;

    fn step(&self, batch: Batch) -> StepOutput {
        self.measured(&batch, None).1
    }
}

impl Task for Model {
    const FIGURES: &'static [Figure] = &[Figure { name: "accuracy", higher_is_better: true }];
}

/// `items` sequences of words, positive where the sum of their ids is even; another set for each `key`.
pub fn batches(items: usize, batch: usize, key: u64) -> Batches<Batch> {
    let ids: Vec<u32> = Key::new(key).uniforms(items * TIME).map(|u| (u * u * WORDS as f64) as u32).collect();
    Batches::new(items, batch, Some(Key::new(key + 1)), &Device::default(), move |indices, step, device| {
        let rows: Vec<&[u32]> = indices.iter().map(|i| &ids[i * TIME..(i + 1) * TIME]).collect();
        let labels: Vec<i32> = rows.iter().map(|row| i32::from(row.iter().sum::<u32>().is_multiple_of(2))).collect();
        Batch {
            ids: rows.concat(),
            labels: Tensor::from_data(TensorData::new(labels, [indices.len()]), device),
            dropout: Key::new(9).child(step),
        }
    })
}

pub fn plan(epochs: usize) -> Plan {
    Plan::new(epochs, OptimizerConfig { learning_rate: 0.01, ..OptimizerConfig::new(OptimizerName::Adam) })
}

/// The weights of a model as bytes.
pub fn bytes(model: &Model) -> Vec<u8> {
    let mut data = vec![model.embedding.weight.val().into_data(), model.dense.weight.val().into_data()];
    for (_, tensor) in burn_weights(&model.layer) {
        data.push(tensor);
    }
    data.iter().flat_map(|data| data.as_bytes().to_vec()).collect()
}

fn burn_weights(layer: &AnyRecurrent) -> Vec<(String, TensorData)> {
    struct Visit(Vec<(String, TensorData)>);
    impl burn::module::ModuleVisitor for Visit {
        fn visit_float<const D: usize>(&mut self, param: &burn::module::Param<Tensor<D>>) {
            self.0.push((String::new(), param.val().into_data()));
        }
    }
    let mut visit = Visit(Vec::new());
    layer.visit(&mut visit);
    visit.0
}

/// What is called after a step and after an epoch.
pub struct Watch<S, E> {
    pub step: S,
    pub epoch: E,
}

impl<S, E> Hooks<Model> for Watch<S, E>
where
    S: FnMut(&mut TrainState<Model>) -> Flow,
    E: FnMut(&mut TrainState<Model>, &EpochRecord, bool) -> Flow,
{
    fn after_step(&mut self, state: &mut TrainState<Model>) -> Result<Flow, TrainError> {
        Ok((self.step)(state))
    }

    fn after_epoch(
        &mut self,
        state: &mut TrainState<Model>,
        record: &EpochRecord,
        is_best: bool,
    ) -> Result<Flow, TrainError> {
        Ok((self.epoch)(state, record, is_best))
    }
}

/// Nothing is done between steps and epochs.
pub fn no_hooks() -> impl Hooks<Model> {
    Watch { step: |_: &mut _| Flow::Continue, epoch: |_: &mut _, _: &_, _| Flow::Continue }
}

/// A renderer that notes the events it is sent.
#[derive(Clone, Default)]
pub struct Notes(pub Arc<Mutex<Vec<String>>>);

impl Notes {
    fn note(&self, text: String) {
        self.0.lock().expect("no thread panics").push(text);
    }

    /// What was noted, and forgets it.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("no thread panics"))
    }

    fn metric(&self, part: &str, state: MetricState) {
        if let MetricState::Numeric(entry, Some(value)) = state {
            self.note(format!("{part} {:?} {:.3}", entry.metric_id, value.current()));
        }
    }
}

impl TrainingProgressLogger for Notes {
    fn start(&mut self, epochs: usize, first: usize, _: Option<usize>, _: Option<&str>) {
        self.note(format!("start {epochs} from {first}"));
    }
    fn update_epoch(&mut self, epoch: usize) {
        self.note(format!("epoch {epoch}"));
    }
    fn start_split(&mut self, part: &str, items: usize) {
        self.note(format!("start {part} {items}"));
    }
    fn update_split(&mut self, items: usize) {
        self.note(format!("items {items}"));
    }
    fn end_split(&mut self) {
        self.note("end".into());
    }
    fn end(&mut self) {
        self.note("end of training".into());
    }
    fn log_event_training(&mut self, _: String) {}
}

impl EvaluationProgressLogger for Notes {
    fn start_global_progress(&mut self, _: usize) {}
    fn start_test(&mut self, _: &str, _: usize) {}
    fn update_test_progress(&mut self, _: usize) {}
    fn end_test(&mut self) {}
    fn end_global_progress(&mut self) {}
    fn log_event_evaluation(&mut self, _: String) {}
}

impl MetricsRendererTraining for Notes {
    fn update_train(&mut self, state: MetricState) {
        self.metric("train", state);
    }
    fn update_valid(&mut self, state: MetricState) {
        self.metric("valid", state);
    }
}

impl MetricsRendererEvaluation for Notes {
    fn update_test(&mut self, _: EvaluationName, _: MetricState) {}
}

impl MetricsRenderer for Notes {
    fn manual_close(&mut self) {}
    fn register_metric(&mut self, _: MetricDefinition) {}
}
