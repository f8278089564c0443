//! The adapters of this machine.

use burn::tensor::Device;
use rnn_harness::device::{Selected, gpus};

/// One of them.
pub struct Adapter {
    /// Such as `wgpu:0`.
    pub name: String,
    /// Its own name and the way to it.
    pub about: String,
    /// Without autodiff.
    pub device: Device,
}

impl Adapter {
    /// All of them; those in software come last. With `only`, the one of that name.
    ///
    /// # Errors
    /// None is found.
    pub fn found(only: Option<&str>) -> Result<Vec<Self>, String> {
        let all: Vec<Selected> = gpus();
        let names = || all.iter().map(|adapter| adapter.name.clone()).collect::<Vec<_>>().join(", ");
        let found: Vec<Self> = all
            .iter()
            .filter(|adapter| only.is_none_or(|only| only == adapter.name))
            .map(|adapter| Self {
                name: adapter.name.clone(),
                about: adapter.about().to_string(),
                device: adapter.device.clone(),
            })
            .collect();
        match (found.is_empty(), only) {
            (false, _) => Ok(found),
            (true, Some(only)) if !all.is_empty() => Err(format!("--adapter {only}: there are {}", names())),
            _ => Err("no GPU was found; are its drivers installed, and is its feature compiled in?".into()),
        }
    }
}
