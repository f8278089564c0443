//! The choice among several devices: a few steps of the very training on each of them.

use super::Selected;
use crate::Failure;
use crate::failure::caught;
use crate::options::Session;
use crate::say;
use burn::tensor::Device;
use rnn_train::{Batch, Batches, Plan, Task, seconds_per_step};

impl Session {
    /// Decides on which device to train, and gives its name, for the run's configuration: where there are several, each
    /// takes a few steps of `plan` with a model and mini-batches that `fresh` makes on it and that are thrown away, and
    /// the fastest one trains. Says on stderr what was chosen and by how much; with one device it does nothing.
    ///
    /// A device that fails, for want of memory for example, is left out.
    ///
    /// # Errors
    /// An error of `fresh`; no device that can train.
    pub fn decide<M: Task>(
        &mut self,
        plan: &Plan,
        fresh: impl Fn(&Device) -> Result<(M, Batches<Batch<M>>), Failure>,
    ) -> Result<String, Failure> {
        let rivals = std::mem::take(&mut self.rivals);
        if rivals.is_empty() {
            return Ok(self.device.name.clone());
        }
        let mut measured = Vec::new();
        for selected in std::iter::once(self.device.clone()).chain(rivals) {
            let device = &selected.device;
            match caught(|| {
                let (model, batches) = fresh(device)?;
                Ok(seconds_per_step(plan, model, &batches)?)
            }) {
                Ok(seconds) => measured.push((seconds, selected)),
                Err(Failure::Failed(why) | Failure::Device(why)) => say!("{} is left out: {why}", selected.name),
                Err(error) => return Err(error),
            }
        }
        measured.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let Some((seconds, chosen)) = measured.first() else {
            return Err(Failure::failed("no device can train this model"));
        };
        chosen.say(&beaten(*seconds, &measured[1..]));
        self.device = chosen.clone();
        Ok(self.device.name.clone())
    }
}

/// What the step of the chosen device takes, and how much longer it takes on the others.
fn beaten(seconds: f64, others: &[(f64, Selected)]) -> String {
    let others = others.iter().map(|(slower, selected)| {
        format!(", on {} {} ({:.1} times as long)", selected.name, duration(*slower), slower / seconds)
    });
    format!("; a training step takes {}{}", duration(seconds), others.collect::<String>())
}

fn duration(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.2} ms", seconds * 1e3) } else { format!("{seconds:.2} s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_by_how_much() {
        let selected = |name: &str| Selected {
            device: Device::default(),
            name: name.into(),
            others: Vec::new(),
            threads: 1,
            about: String::new(),
        };
        let others = [(0.0125, selected("flex")), (1.5, selected("wgpu:0"))];
        assert_eq!(
            beaten(0.005, &others),
            "; a training step takes 5.00 ms, on flex 12.50 ms (2.5 times as long), on wgpu:0 1.50 s (300.0 times as long)"
        );
    }
}
