//! The device of the tests, and cases on it.
#![allow(dead_code, reason = "each test uses some of it")]

pub mod case;
#[path = "../../../rnn-kernels/tests/common/mod.rs"]
pub mod cpu;

use cubecl::client::Client;
use rnn_gpu::cubecl;

/// A client of the adapter that the tests run on: the software adapter, unless `RNN_GPU_TEST_DEVICE` names another.
pub fn client() -> Client {
    let device = match std::env::var("RNN_GPU_TEST_DEVICE").as_deref() {
        #[cfg(feature = "cuda")]
        Ok("cuda") => cubecl::Device::Cuda(Default::default()),
        #[cfg(feature = "wgpu")]
        Ok("wgpu") => cubecl::Device::Wgpu(Default::default()),
        Ok(other) => panic!("RNN_GPU_TEST_DEVICE={other}: write wgpu or cuda, as far as compiled in"),
        #[cfg(feature = "wgpu")]
        Err(_) => cubecl::Device::Wgpu(cubecl::device::WgpuDeviceKind::Cpu.into()),
        #[cfg(not(feature = "wgpu"))]
        Err(_) => cubecl::Device::Cuda(Default::default()),
    };
    device.client()
}

/// The GPU kernels give what the naive loop gives.
pub fn check(client: &Client, case: &cpu::case::Case) {
    let what = format!(
        "{:?} [{} {} {} {}] reverse {} {:?} {:?} indices {} masks {} {} zoneout {:?} {:?}",
        case.cell,
        case.batch,
        case.time,
        case.d_input,
        case.d_hidden,
        case.reverse,
        case.counted,
        case.masked_output,
        !case.indices.is_empty(),
        case.input_masks.len(),
        case.recurrent_masks.len(),
        case.zoneout_h != cpu::case::Zoneout::Off,
        case.zoneout_c != cpu::case::Zoneout::Off,
    );
    cpu::assert_equal(&case::run(client, case), &cpu::naive::run(case), 1e-5, &what);
}
