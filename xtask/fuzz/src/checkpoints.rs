//! Resumes from a checkpoint of which libFuzzer makes up one file. The others are real, and the checksums are right.

use crate::scratch::folder;
use burn::module::Module;
use burn::nn::{Embedding, Linear};
use burn::tensor::{Device, Tensor};
use burn::train::renderer::CliMetricsRenderer;
use burn::train::{InferenceStep, TrainOutput, TrainStep};
use rnn_core::{ForwardArgs, Gru, GruConfig, Input, Key, Preset};
use rnn_train::optim::{OptimizerConfig, OptimizerName};
use rnn_train::{
    Batches, EpochRecord, Figure, Flow, Hooks, Plan, StepOutput, Task, TrainError, TrainState, Training, trained,
};
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use std::sync::OnceLock;

/// The files of a checkpoint; the first byte says which one the others are.
const FILES: [&str; 6] = ["state.json", "model.bpk", "optimizer.bpk", "moments.bpk", "carried.bpk", "best.bpk"];

/// A table of embeddings, whose rows wait for their updates, a layer and its last state, which is carried too.
#[derive(Module, Debug)]
struct Model {
    table: Embedding,
    layer: Gru,
    dense: Linear,
}

impl Model {
    fn loss(&self, ids: &[u32]) -> Tensor<1> {
        let output = self.layer.forward_with(Input::ids(&self.table, ids, [2, 2]), ForwardArgs::default());
        let answer = self.dense.forward(output.last_hidden());
        (answer.clone() * answer).mean()
    }
}

impl Task for Model {
    const FIGURES: &'static [Figure] = &[Figure { name: "accuracy", higher_is_better: true }];

    fn carried(&self) -> Vec<Tensor<2>> {
        vec![Tensor::zeros([2, 2], &Device::default())]
    }
}

impl TrainStep for Model {
    type Input = Vec<u32>;
    type Output = StepOutput;

    fn step(&self, ids: Vec<u32>) -> TrainOutput<StepOutput> {
        let loss = self.loss(&ids);
        trained(self, loss.clone(), StepOutput::new(2, loss.clone().inner(), [loss.inner()]))
    }
}

impl InferenceStep for Model {
    type Input = Vec<u32>;
    type Output = StepOutput;

    fn step(&self, ids: Vec<u32>) -> StepOutput {
        let loss = self.loss(&ids);
        StepOutput::new(2, loss.clone(), [loss])
    }
}

fn model() -> Model {
    let device = Device::default().autodiff();
    Model {
        table: Preset::Keras.embedding(4, 3, Key::new(0), &device),
        layer: GruConfig::new(3, 2).init(Key::new(1), &device),
        dense: Preset::Keras.linear(2, 1, Key::new(2), &device),
    }
}

/// A training of three steps an epoch.
fn training() -> Training<Model> {
    let plan = Plan::new(1, OptimizerConfig::new(OptimizerName::Adam));
    let batches = || Batches::new(6, 2, None, &Device::default(), |_: &[usize], _, _: &Device| vec![0, 1, 3, 2]);
    Training::new(plan, batches()).with_validation(Some(batches())).with_checkpoints(folder().join("checkpoints"), None)
}

struct NoHooks;

impl Hooks<Model> for NoHooks {
    fn after_epoch(&mut self, _: &mut TrainState<Model>, _: &EpochRecord, _: bool) -> Result<Flow, TrainError> {
        Ok(Flow::Continue)
    }
}

/// The files of a training that went to its end.
fn real() -> Vec<Vec<u8>> {
    let state = training().state(model(), false).expect("a state");
    training().run(state, Box::new(CliMetricsRenderer::new()), NoHooks).expect("trained");
    FILES.iter().map(|name| std::fs::read(checkpoint().join(name)).expect("a file of the checkpoint")).collect()
}

/// Where the checkpoint lies after three steps.
fn checkpoint() -> PathBuf {
    folder().join("checkpoints/00000003")
}

/// Resumes with `data` as one of the files.
pub fn checkpoints(data: &[u8]) {
    static REAL: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let real = REAL.get_or_init(real);
    let Some((which, made_up)) = data.split_first() else { return };
    let which = usize::from(*which) % FILES.len();
    let sum = |bytes: &[u8]| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut sums = Vec::new();
    for (number, name) in FILES.iter().enumerate() {
        let bytes = if number == which { made_up } else { &real[number] };
        std::fs::write(checkpoint().join(name), bytes).expect("written");
        sums.push(format!("\"{name}\": \"{}\"", sum(bytes)));
    }
    let sums = format!("{{\"format\": 2, \"sha256\": {{{}}}}}", sums.join(", "));
    std::fs::write(checkpoint().join("checksums.json"), sums).expect("written");
    if let Ok(mut state) = training().state(model(), true) {
        // What was loaded can be used.
        let _ = state.model();
        assert!(state.history().iter().all(|record| record.validation.is_some()));
    }
}
