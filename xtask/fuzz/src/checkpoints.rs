//! Resumes from checkpoints that libFuzzer makes up.

use crate::scratch::folder;
use burn::module::Module;
use burn::nn::{Embedding, Linear};
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn::train::{InferenceStep, TrainOutput, TrainStep};
use rnn_core::{ForwardArgs, Gru, GruConfig, Input, Key, Preset};
use rnn_train::optim::{OptimizerConfig, OptimizerName};
use rnn_train::{Batches, Figure, Plan, StepOutput, Task, Training, trained};
use sha2::{Digest, Sha256};

/// The files of a checkpoint, in the order that the bytes have them; an empty one is left out.
const FILES: [&str; 7] =
    ["state.json", "model.bpk", "optimizer.bpk", "moments.bpk", "carried.bpk", "best.bpk", "average.bpk"];
/// Between the files in the bytes.
const CUT: &[u8] = b"\n----\n";

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
    let plan = Plan::new(2, OptimizerConfig::new(OptimizerName::Adam));
    let batches = || Batches::new(6, 2, None, &Device::default(), |_: &[usize], _, _: &Device| vec![0, 1, 3, 2]);
    Training::new(plan, batches()).with_validation(Some(batches())).with_checkpoints(folder().join("checkpoints"), None)
}

/// The files of `data` in one folder, with their checksums.
pub fn checkpoints(data: &[u8]) {
    let path = folder().join("checkpoints/00000003");
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).expect("the folder of `cargo xtask fuzz`");
    let mut sums = Vec::new();
    let mut rest = Some(data);
    for name in FILES {
        let Some(bytes) = rest else { break };
        let cut = bytes.windows(CUT.len()).position(|window| window == CUT);
        let (this, next) = cut.map_or((bytes, None), |at| (&bytes[..at], Some(&bytes[at + CUT.len()..])));
        rest = next;
        if !this.is_empty() {
            std::fs::write(path.join(name), this).expect("written");
            let sum: String = Sha256::digest(this).iter().map(|byte| format!("{byte:02x}")).collect();
            sums.push(format!("\"{name}\": \"{sum}\""));
        }
    }
    let sums = format!("{{\"format\": 2, \"sha256\": {{{}}}}}", sums.join(", "));
    std::fs::write(path.join("checksums.json"), sums).expect("written");
    if let Ok(mut state) = training().state(model(), true) {
        // What was loaded can be used.
        let _ = state.model();
        assert!(state.history().iter().all(|record| record.validation.is_some()));
    }
}
