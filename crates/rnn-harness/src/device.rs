//! Which device a program runs on: `--device` and `--threads`.

use crate::{Failure, say, whole};
use burn::tensor::Device;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
use burn::tensor::DeviceType;

/// The options about the device, the same in every program.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct DeviceArgs {
    /// Device: flex, ndarray, wgpu[:N] or cuda[:N], as far as compiled in. Without it the first GPU found, else the
    /// CPU. A training shares its mini-batches among several: --device cuda:0 --device cuda:1
    #[arg(long, value_name = "DEVICE", action = clap::ArgAction::Append)]
    device: Vec<String>,
    /// CPU threads; all of them without it
    #[arg(long, value_name = "N", value_parser = whole::<usize>(1..=MOST_THREADS as u64))]
    threads: Option<usize>,
}

/// The device a program runs on.
#[derive(Debug, Clone)]
pub struct Selected {
    /// Without autodiff.
    pub device: Device,
    /// Further devices, which share a training with it.
    pub others: Vec<Device>,
    /// What to call it, such as `flex`, `wgpu:0`; several as `cuda:0+cuda:1`.
    pub name: String,
    /// CPU threads.
    pub threads: usize,
}

/// Whether two choices of devices, as [`Selected::name`] has them, compute the same bits: they are the same, or all
/// devices are of one kind.
pub fn same_bits(a: &str, b: &str) -> bool {
    let kind = |name: &str| name.split(':').next().unwrap_or_default().to_string();
    let first = kind(a.split(AND).next().unwrap_or_default());
    a == b || a.split(AND).chain(b.split(AND)).all(|name| kind(name) == first)
}

impl Selected {
    /// The device and those that share a training with it.
    pub fn all(&self) -> Vec<Device> {
        std::iter::once(&self.device).chain(&self.others).cloned().collect()
    }
}

/// Between the names of several devices.
const AND: char = '+';
/// Devices of one training: each takes a mini-batch of an update.
const MOST_DEVICES: usize = 64;

/// More threads than any machine that runs this has.
const MOST_THREADS: usize = 1024;

impl DeviceArgs {
    /// Chooses the device, sets the number of threads and says on stderr what was chosen. Call it before the first
    /// tensor exists.
    ///
    /// # Errors
    /// A device that is not compiled in or not there; a number of threads that is 0 or absurd, here or in the variable
    /// `RAYON_NUM_THREADS`.
    pub fn select(&self) -> Result<Selected, Failure> {
        if self.device.len() > 1 {
            return Err(Failure::input("--device is given more than once; only training can use several devices"));
        }
        self.select_many()
    }

    /// As [`select`](Self::select) for training, which several devices can share.
    ///
    /// # Errors
    /// As `select`; too many devices.
    pub fn select_many(&self) -> Result<Selected, Failure> {
        if self.device.len() > MOST_DEVICES {
            let given = self.device.len();
            return Err(Failure::input(format!(
                "--device is given {given} times; give at most {MOST_DEVICES} devices"
            )));
        }
        let threads = self.set_threads(None)?;
        let choices = match &self.device[..] {
            [] => vec![first_found()?],
            wanted => wanted.iter().map(|wanted| by_name(wanted)).collect::<Result<_, _>>()?,
        };
        Ok(Self::chosen(choices, threads))
    }

    /// As [`select`](Self::select), with `name` and `threads` where none are given.
    ///
    /// # Errors
    /// As `select`.
    pub fn select_as(&self, name: &str, threads: usize) -> Result<Selected, Failure> {
        if !self.device.is_empty() {
            return Self { threads: self.threads.or(Some(threads)), ..self.clone() }.select_many();
        }
        let threads = self.set_threads(Some(threads))?;
        let choices = name.split(AND).take(MOST_DEVICES).map(by_name).collect::<Result<_, _>>()?;
        Ok(Self::chosen(choices, threads))
    }

    /// What `choices`, at least one, make together.
    fn chosen(choices: Vec<Choice>, threads: usize) -> Selected {
        let s = if threads == 1 { "" } else { "s" };
        let (mut devices, mut name, mut abouts) = (Vec::new(), String::new(), Vec::new());
        for (device, of, about) in choices {
            if !name.is_empty() {
                name.push(AND);
            }
            name += &of;
            devices.push(device);
            if !abouts.contains(&about) {
                abouts.push(about);
            }
        }
        say!("device: {name} ({}, {threads} CPU thread{s})", abouts.join(", "));
        Selected { device: devices.remove(0), others: devices, name, threads }
    }

    fn set_threads(&self, default: Option<usize>) -> Result<usize, Failure> {
        let available = std::thread::available_parallelism().map_or(1, |n| n.get());
        let (threads, given) = match (self.threads.or(default), std::env::var("RAYON_NUM_THREADS")) {
            (Some(threads), _) => (threads, format!("--threads {threads}")),
            (None, Ok(text)) if !text.is_empty() && text != "0" => {
                (text.parse().unwrap_or(0), format!("RAYON_NUM_THREADS={text}"))
            }
            _ => (available.min(MOST_THREADS), String::new()),
        };
        if !(1..=MOST_THREADS).contains(&threads) {
            return Err(Failure::input(format!(
                "{given} is not possible; give 1 to {MOST_THREADS} (this machine has {available})"
            )));
        }
        // flex and ndarray both run on rayon's pool, and the products in them ask it how many threads there are.
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build_global()
            .map_err(|e| Failure::failed(format!("cannot start {threads} threads: {e}")))?;
        Ok(threads)
    }
}

/// A device, its name, and what else to say of it.
type Choice = (Device, String, String);

fn choice(device: Device, name: impl Into<String>, about: impl Into<String>) -> Choice {
    (device, name.into(), about.into())
}

/// The names that were compiled in, best first.
fn compiled_in() -> Vec<&'static str> {
    [
        ("cuda", cfg!(feature = "cuda")),
        ("wgpu", cfg!(feature = "wgpu")),
        ("flex", cfg!(feature = "flex")),
        ("ndarray", cfg!(feature = "ndarray")),
    ]
    .into_iter()
    .filter_map(|(name, here)| here.then_some(name))
    .collect()
}

fn by_name(wanted: &str) -> Result<Choice, Failure> {
    let (kind, index) = match wanted.split_once(':') {
        None => (wanted, None),
        Some((kind, index)) => match index.parse::<usize>() {
            Ok(index) => (kind, Some(index)),
            Err(_) => {
                return Err(Failure::input(format!("--device {wanted}: {index:?} is not a number; write {kind}:0")));
            }
        },
    };
    if !["flex", "ndarray", "wgpu", "cuda"].contains(&kind) {
        return Err(Failure::input(format!(
            "--device {wanted}: there is no such device; the names are flex, ndarray, wgpu[:N] and cuda[:N]"
        )));
    }
    let here = compiled_in();
    if !here.contains(&kind) {
        return Err(Failure::input(format!(
            "--device {wanted}: {kind} is not compiled in (there is {}); add --features {kind} to cargo run",
            here.join(", ")
        )));
    }
    if let ("flex" | "ndarray", Some(_)) = (kind, index) {
        return Err(Failure::input(format!(
            "--device {wanted}: {kind} is the CPU and has no number; write --device {kind}"
        )));
    }
    match kind {
        #[cfg(feature = "cuda")]
        "cuda" => gpu("cuda", Device::enumerate(DeviceType::Cuda).into_vec(), index),
        #[cfg(feature = "wgpu")]
        "wgpu" => gpu("wgpu", Device::enumerate(DeviceType::Wgpu).into_vec(), index),
        _ => cpu(kind),
    }
}

fn first_found() -> Result<Choice, Failure> {
    #[cfg(feature = "cuda")]
    if let found @ Ok(_) = gpu("cuda", Device::enumerate(DeviceType::Cuda).into_vec(), None) {
        return found;
    }
    #[cfg(feature = "wgpu")]
    {
        let devices = Device::enumerate(DeviceType::Wgpu).into_vec();
        let software = Device::wgpu(burn::tensor::DeviceKind::Cpu);
        if let Some(index) = devices.iter().position(|device| *device != software) {
            return gpu("wgpu", devices, Some(index));
        }
    }
    cpu(if cfg!(feature = "flex") { "flex" } else { "ndarray" })
}

fn cpu(kind: &str) -> Result<Choice, Failure> {
    match kind {
        #[cfg(feature = "flex")]
        "flex" => Ok(choice(Device::flex(), kind, "CPU")),
        #[cfg(feature = "ndarray")]
        "ndarray" => {
            // Upstream deprecates it; this project supports it as long as it is there.
            #[allow(deprecated)]
            let device = Device::ndarray();
            Ok(choice(device, kind, "CPU"))
        }
        _ => Err(Failure::input("no GPU was found and no CPU device is compiled in; add --features flex to cargo run")),
    }
}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn gpu(kind: &str, devices: Vec<Device>, index: Option<usize>) -> Result<Choice, Failure> {
    let count = devices.len();
    let index = index.unwrap_or(0);
    let Some(device) = devices.into_iter().nth(index) else {
        return Err(Failure::input(match count {
            0 => format!("--device {kind}: no {kind} device was found on this machine; is its driver installed?"),
            _ => format!("--device {kind}:{index}: there are only {count}, numbered from 0"),
        }));
    };
    let about = device.identity().map_or_else(|| "GPU".to_string(), |identity| identity.name);
    Ok(choice(device, format!("{kind}:{index}"), about))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(device: &str) -> String {
        match by_name(device) {
            Ok((_, name, _)) => panic!("{device} gave {name}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn wrong_devices_are_told() {
        assert!(error("tpu").contains("the names are flex, ndarray, wgpu[:N] and cuda[:N]"));
        assert!(error("wgpu:x").contains("\"x\" is not a number; write wgpu:0"));
        if !cfg!(feature = "cuda") {
            assert!(error("cuda").contains("add --features cuda to cargo run"));
        }
        if cfg!(feature = "flex") {
            assert!(error("flex:1").contains("has no number"));
        }
    }

    #[test]
    fn devices_of_one_kind_compute_the_same_bits() {
        for (a, b) in
            [("flex", "flex"), ("flex+flex", "flex"), ("cuda:0+cuda:1", "cuda:2"), ("flex+ndarray", "flex+ndarray")]
        {
            assert!(same_bits(a, b), "{a} {b}");
        }
        for (a, b) in [("flex", "ndarray"), ("flex+ndarray", "flex"), ("cuda:0+wgpu:0", "wgpu:0+cuda:0")] {
            assert!(!same_bits(a, b), "{a} {b}");
        }
    }

    #[test]
    fn absurd_numbers_of_threads_are_told() {
        for threads in [0, 1_000_000] {
            let args = DeviceArgs { threads: Some(threads), device: Vec::new() };
            assert!(matches!(args.set_threads(None), Err(Failure::Input(_))));
        }
    }
}
