//! Which device a program runs on: `--device` and `--threads`.
//!
//! Where several devices are compiled in and none is named, a training measures them
//! ([`Session::decide`](crate::options::Session::decide)); everything else runs on the CPU, which has the kernels for
//! single steps.

mod available;
mod choice;
mod half_storage;

use crate::{Failure, say, whole};
pub use available::gpus;
use available::{Choice, automatic, by_name, default_cpu, nothing_found};
use burn::tensor::Device;

/// The options about the device, the same in every program.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct DeviceArgs {
    /// Device to run on: flex, ndarray, wgpu[:N], vulkan[:N] or cuda[:N], if it is compiled in. With several names
    /// separated by commas a training times a few steps on each and takes the fastest; without the option, or with
    /// auto, it does so with all that there are. If the option is repeated (--device cuda:0 --device cuda:1), a
    /// training shares its mini-batches among the devices
    #[arg(long, value_name = "DEVICE", action = clap::ArgAction::Append)]
    device: Vec<String>,
    /// Number of CPU threads [default: all]
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
    pub(crate) about: String,
}

impl Selected {
    /// What `choices`, at least one, make together.
    fn of(choices: Vec<Choice>, threads: usize) -> Self {
        let mut abouts: Vec<&str> = Vec::new();
        for Choice { about, .. } in &choices {
            if !abouts.contains(&about.as_str()) {
                abouts.push(about);
            }
        }
        let about = abouts.join(", ");
        let names: Vec<&str> = choices.iter().map(|choice| choice.name.as_str()).collect();
        let name = names.join(&AND.to_string());
        let mut devices: Vec<Device> = choices.into_iter().map(|choice| choice.device).collect();
        Self { device: devices.remove(0), others: devices, name, threads, about }
    }

    /// What it is: `CPU`, or the adapter's name, whether it is software, the interface and the shader language.
    pub fn about(&self) -> &str {
        &self.about
    }

    /// Says on stderr what runs, with `more` behind it.
    pub(crate) fn say(&self, more: &str) {
        let Self { name, threads, about, .. } = self;
        let s = if *threads == 1 { "" } else { "s" };
        say!("device: {name} ({about}, {threads} CPU thread{s}){more}");
    }
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
/// What stands for all devices.
const AUTO: &str = "auto";

impl DeviceArgs {
    /// Chooses the device, sets the number of threads and says on stderr what was chosen: the one that is named, else
    /// the CPU, else the first GPU. Call it before the first tensor exists.
    ///
    /// # Errors
    /// A device that is not compiled in or not there; several devices; a number of threads that is 0 or absurd, here or
    /// in the variable `RAYON_NUM_THREADS`.
    pub fn select(&self) -> Result<Selected, Failure> {
        if self.device.len() > 1 {
            return Err(Failure::input("--device is given more than once; only training can use several devices"));
        }
        let wanted = self.alternatives()?;
        if wanted.len() > 1 {
            return Err(Failure::input(format!(
                "--device {}: only a training measures several devices; give one",
                wanted.join(",")
            )));
        }
        let threads = self.set_threads(None)?;
        let choice = match wanted.first() {
            Some(wanted) => by_name(wanted)?,
            // To look for GPUs takes longer than many commands.
            None => default_cpu().or_else(|| automatic().into_iter().next()).ok_or_else(nothing_found)?,
        };
        let selected = Selected::of(vec![choice], threads);
        selected.say("");
        Ok(selected)
    }

    /// What a training may run on, to be measured where there is a choice: the devices that are named, with commas
    /// between them, else one of each kind that is compiled in and found. Of several `--device` those that share the
    /// training. If there is no choice, it says on stderr what runs.
    ///
    /// # Errors
    /// As `select`; too many devices.
    pub(crate) fn candidates(&self) -> Result<Vec<Selected>, Failure> {
        let one_each = |choices: Vec<Choice>, threads| -> Vec<Selected> {
            choices.into_iter().map(|choice| Selected::of(vec![choice], threads)).collect()
        };
        let named = |names: &[&str]| names.iter().map(|name| by_name(name)).collect::<Result<Vec<_>, _>>();
        let selected = match &self.device[..] {
            shared @ [_, _, ..] => {
                let count = shared.len();
                if count > MOST_DEVICES {
                    return Err(Failure::input(format!(
                        "--device is given {count} times; give at most {MOST_DEVICES} devices"
                    )));
                }
                let threads = self.set_threads(None)?;
                let choices = named(&shared.iter().map(String::as_str).collect::<Vec<_>>())?;
                vec![Selected::of(choices, threads)]
            }
            _ => {
                let alternatives = self.alternatives()?;
                let threads = self.set_threads(None)?;
                one_each(if alternatives.is_empty() { automatic() } else { named(&alternatives)? }, threads)
            }
        };
        match &selected[..] {
            [] => return Err(nothing_found()),
            [only] => only.say(""),
            _ => {}
        }
        Ok(selected)
    }

    /// What a training that is resumed runs on: what is named, else the run's `name` and `threads`.
    ///
    /// # Errors
    /// As `candidates`; a choice.
    pub(crate) fn select_as(&self, name: &str, threads: usize) -> Result<Selected, Failure> {
        let is_auto = self.device.len() < 2 && self.alternatives()?.is_empty();
        let device = match is_auto {
            true => name.split(AND).take(MOST_DEVICES).map(String::from).collect(),
            false => self.device.clone(),
        };
        if let ([only], false) = (&device[..], is_auto)
            && only.contains(',')
        {
            return Err(Failure::input(format!("--device {only}: --resume keeps one device; give one")));
        }
        let mut candidates = Self { device, threads: self.threads.or(Some(threads)) }.candidates()?;
        Ok(candidates.remove(0))
    }

    /// The names that are given with commas between them; none for `auto`.
    fn alternatives(&self) -> Result<Vec<&str>, Failure> {
        let names: Vec<&str> = self.device.iter().flat_map(|names| names.split(',')).map(str::trim).collect();
        match names.iter().position(|name| names.iter().filter(|other| *other == name).count() > 1) {
            Some(twice) => Err(Failure::input(format!("--device names {} twice", names[twice]))),
            None if names == [AUTO] => Ok(Vec::new()),
            None => Ok(names),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn error(device: &str) -> String {
        match by_name(device) {
            Ok(Choice { name, .. }) => panic!("{device} gave {name}"),
            Err(error) => error.to_string(),
        }
    }

    fn args(devices: &[&str]) -> DeviceArgs {
        DeviceArgs { device: devices.iter().map(|name| name.to_string()).collect(), threads: None }
    }

    #[test]
    fn wrong_devices_are_told() {
        assert!(error("tpu").contains("the names are flex, ndarray, wgpu[:N], vulkan[:N], cuda[:N] and auto"));
        assert!(error("wgpu:x").contains("\"x\" is not a number; write wgpu:0"));
        if !cfg!(feature = "cuda") {
            assert!(error("cuda").contains("add --features cuda to cargo run"));
        }
        if cfg!(feature = "flex") {
            assert!(error("flex:1").contains("has no number"));
        }
        let told = |error: Result<_, Failure>| error.map(drop).expect_err("wrong on purpose").to_string();
        assert_eq!(told(args(&["flex,flex"]).select()), "--device names flex twice");
        assert!(told(args(&["flex,ndarray"]).select()).contains("only a training measures several devices"));
        assert!(told(args(&["flex,wgpu"]).select_as("flex", 1)).contains("--resume keeps one device"));
    }

    #[test]
    fn auto_stands_for_no_name() {
        assert!(args(&[AUTO]).alternatives().expect("right").is_empty());
        assert_eq!(args(&["flex, wgpu:1"]).alternatives().expect("right"), ["flex", "wgpu:1"]);
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
