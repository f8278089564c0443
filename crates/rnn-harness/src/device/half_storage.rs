//! Where `--half-storage` changes nothing, a training says so.

use super::available::CPUS;
use super::{AND, Selected};
use crate::{Failure, say};
use burn::tensor::{Device, Tensor};
use rnn_core::{AnyConfig, ForwardArgs, Key};
use std::cell::RefCell;

thread_local! {
    /// Why the layer that takes its trial step on this thread does not store 16 bits.
    static REASON: RefCell<Option<String>> = const { RefCell::new(None) };
}

impl Selected {
    /// Says on stderr on which of the devices `layer` has half storage and stores 32 bits anyway, and why.
    ///
    /// # Errors
    /// A layer that cannot be made.
    pub(crate) fn tell_half_storage(&self, layer: &AnyConfig) -> Result<(), Failure> {
        if !layer.half_storage {
            return Ok(());
        }
        for (name, device) in self.name.split(AND).zip(self.all()) {
            if let Some(why) = why_not(name, layer, &device)? {
                say!("--half-storage changes nothing on {name}: {why}");
            }
        }
        Ok(())
    }
}

/// Why `layer` stores 32 bits on the device of that name; `None` if it stores 16.
fn why_not(name: &str, layer: &AnyConfig, device: &Device) -> Result<Option<String>, Failure> {
    if CPUS.contains(&name) {
        return Ok(Some("it is a CPU, and only a GPU stores 16-bit floats".into()));
    }
    // Whether there are kernels depends on the cell, its options and the adapter, but not on the width of the input: the
    // layer itself tells after one step over a single feature.
    let trial = AnyConfig { d_input: 1, ..layer.clone() }.try_init_zeros(device).map_err(Failure::input)?;
    REASON.take();
    let told = |why: &str| REASON.set(Some(why.into()));
    let args = ForwardArgs::default().with_dropout_key(Some(Key::new(0))).with_step_by_step_warning(told);
    trial.try_forward(Tensor::<3>::zeros([1, 1, 1], device), args).map_err(Failure::input)?;
    Ok(REASON.take())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rnn_core::CellKind;

    /// Without a GPU the CPU's kernels take its place: a layer that they cannot run gives its reason in the same way.
    #[test]
    fn what_stores_32_bits_is_told_with_the_reason() {
        let device = Device::default();
        let why = |name, device: &Device| {
            let lstm = AnyConfig::of_kind(CellKind::Lstm, 5, 4).with_num_layers(2);
            why_not(name, &lstm.with_half_storage(true), device).expect("a layer")
        };
        assert_eq!(why("flex", &device).as_deref(), Some("it is a CPU, and only a GPU stores 16-bit floats"));
        assert_eq!(why("cuda:0", &device), None);
        let step_by_step = why("cuda:0", &device.autodiff().gradient_checkpointing());
        assert!(step_by_step.expect("a reason").contains("gradient checkpointing"));
    }
}
