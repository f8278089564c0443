//! The devices that are compiled in and that this machine has, and their names.

use super::Selected;
use crate::Failure;
use burn::backend::{Backend, Dispatch};
use burn::tensor::Device;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
use burn::tensor::DeviceType;

/// The kinds that name a device.
const KINDS: [&str; 5] = ["cuda", "vulkan", "wgpu", "flex", "ndarray"];
/// Those of CPUs.
pub(super) const CPUS: [&str; 2] = ["flex", "ndarray"];

/// A device, its name, and what else to say of it.
pub(super) struct Choice {
    pub(super) device: Device,
    pub(super) name: String,
    pub(super) about: String,
}

fn is_compiled_in(kind: &str) -> bool {
    let compiled_in = [
        ("cuda", cfg!(feature = "cuda")),
        ("vulkan", cfg!(feature = "vulkan")),
        ("wgpu", cfg!(feature = "wgpu")),
        ("flex", cfg!(feature = "flex")),
        ("ndarray", cfg!(feature = "ndarray")),
    ];
    compiled_in.contains(&(kind, true))
}

pub(super) fn by_name(wanted: &str) -> Result<Choice, Failure> {
    let (kind, index) = match wanted.split_once(':') {
        None => (wanted, None),
        Some((kind, index)) => match index.parse::<usize>() {
            Ok(index) => (kind, Some(index)),
            Err(_) => {
                return Err(Failure::input(format!("--device {wanted}: {index:?} is not a number; write {kind}:0")));
            }
        },
    };
    if !KINDS.contains(&kind) {
        return Err(Failure::input(format!(
            "--device {wanted}: there is no such device; the names are flex, ndarray, wgpu[:N], vulkan[:N], cuda[:N] and \
             auto"
        )));
    }
    if !is_compiled_in(kind) {
        let here: Vec<&str> = KINDS.into_iter().filter(|kind| is_compiled_in(kind)).collect();
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
    if let Some(cpu) = cpu(kind) {
        return Ok(cpu);
    }
    let devices = of_kind(kind);
    let (count, index) = (devices.len(), index.unwrap_or(0));
    match devices.into_iter().nth(index) {
        Some(device) => Ok(gpu(kind, index, device)),
        // What is wrong is the machine: exit code 1.
        None if count == 0 => Err(Failure::failed(format!(
            "--device {kind}: no {kind} device was found on this machine; is its driver installed?"
        ))),
        None => Err(Failure::input(format!("--device {kind}:{index}: there are only {count}, numbered from 0"))),
    }
}

/// What `auto` stands for: the CPU, and the first GPU of each kind. An adapter in software is the CPU by a detour, and
/// must be named. `wgpu` takes the same compiler as `vulkan`, where that is compiled in and has found the adapter.
pub(super) fn automatic() -> Vec<Choice> {
    let mut choices: Vec<Choice> = default_cpu().into_iter().collect();
    for kind in ["cuda", "vulkan", "wgpu"] {
        let has_vulkan = choices.iter().any(|choice| choice.name.starts_with("vulkan"));
        if !is_compiled_in(kind) || (kind == "wgpu" && has_vulkan) {
            continue;
        }
        let found = of_kind(kind).into_iter().enumerate().find(|(_, device)| !is_software(device));
        choices.extend(found.map(|(index, device)| gpu(kind, index, device)));
    }
    choices
}

pub(super) fn nothing_found() -> Failure {
    Failure::failed("no GPU was found and no CPU device is compiled in; add --features flex to cargo run")
}

pub(super) fn default_cpu() -> Option<Choice> {
    cpu("flex").or_else(|| cpu("ndarray"))
}

fn cpu(kind: &str) -> Option<Choice> {
    match kind {
        #[cfg(feature = "flex")]
        "flex" => Some(Choice { device: Device::flex(), name: kind.into(), about: "CPU".into() }),
        #[cfg(feature = "ndarray")]
        "ndarray" => {
            // Upstream deprecates it; this project supports it as long as it is there.
            #[allow(deprecated)]
            let device = Device::ndarray();
            Some(Choice { device, name: kind.into(), about: "CPU".into() })
        }
        _ => None,
    }
}

/// All GPUs of the kinds that are compiled in, adapters in software last.
pub fn gpus() -> Vec<Selected> {
    let mut found = Vec::new();
    for kind in ["cuda", "vulkan", "wgpu"] {
        found.extend(of_kind(kind).into_iter().enumerate().map(|(index, device)| gpu(kind, index, device)));
    }
    found.sort_by_key(|choice| is_software(&choice.device));
    found.into_iter().map(|choice| Selected::of(vec![choice], 1)).collect()
}

/// The devices of a kind, in the order of their numbers.
fn of_kind(kind: &str) -> Vec<Device> {
    match kind {
        #[cfg(feature = "cuda")]
        "cuda" => Device::enumerate(DeviceType::Cuda).into_vec(),
        #[cfg(feature = "vulkan")]
        "vulkan" => Device::enumerate(DeviceType::Vulkan).into_vec(),
        #[cfg(feature = "wgpu")]
        "wgpu" => Device::enumerate(DeviceType::Wgpu).into_vec(),
        _ => Vec::new(),
    }
}

/// Whether it is an adapter that computes on the CPU.
fn is_software(device: &Device) -> bool {
    let _ = device;
    #[cfg(feature = "vulkan")]
    if *device == Device::vulkan(burn::tensor::DeviceKind::Cpu) {
        return true;
    }
    #[cfg(feature = "wgpu")]
    if *device == Device::wgpu(burn::tensor::DeviceKind::Cpu) {
        return true;
    }
    false
}

/// The adapter's name, whether it is software, the interface and the shader language.
fn gpu(kind: &str, index: usize, device: Device) -> Choice {
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    let adapter = device.identity().map_or_else(|| "GPU".to_string(), |identity| identity.name);
    #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
    let adapter = "GPU";
    let software = if is_software(&device) { ", in software" } else { "" };
    // Burn's name is `dispatch<cubecl<wgpu<wgsl>>>`.
    let backend = Dispatch::name(device.as_dispatch());
    let language = [("spirv", " (SPIR-V)"), ("wgsl", " (WGSL)"), ("msl", " (MSL)")];
    let language = language.into_iter().find(|(name, _)| backend.contains(name)).map_or("", |(_, shown)| shown);
    Choice { about: format!("{adapter}{software}, {kind}{language}"), name: format!("{kind}:{index}"), device }
}
