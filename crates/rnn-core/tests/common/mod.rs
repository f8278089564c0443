//! The device on which layers are held against another framework: the default one, or the GPU adapter in software
//! with `RNN_TEST_DEVICE=wgpu`.

use burn::tensor::Device;

const VARIABLE: &str = "RNN_TEST_DEVICE";

pub fn device() -> Device {
    match std::env::var(VARIABLE).as_deref() {
        Err(_) => Device::default(),
        #[cfg(feature = "wgpu")]
        Ok("wgpu") => Device::wgpu(burn::tensor::DeviceKind::Cpu),
        Ok(other) => panic!("{VARIABLE}={other}: these tests are not built for such a device"),
    }
}

/// The largest difference over the largest value, per tensor. A GPU adds up in another order, and its exponential function
/// is less exact.
pub fn tolerance() -> f64 {
    if std::env::var_os(VARIABLE).is_some() { 1e-4 } else { 1e-5 }
}
