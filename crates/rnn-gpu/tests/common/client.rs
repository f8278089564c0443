//! The device of the tests.

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
