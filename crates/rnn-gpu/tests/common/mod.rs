//! The device of the tests, and cases on it.
#![allow(dead_code, reason = "each test uses some of it")]

pub mod case;
mod client;
#[path = "../../../rnn-kernels/tests/common/mod.rs"]
pub mod cpu;

pub use client::client;
use cubecl::client::Client;
use rnn_gpu::cubecl;

/// The GPU kernels give what the naive loop gives.
pub fn check(client: &Client, case: &cpu::case::Case) {
    let what = format!(
        "{:?} [{} {} {} {}] reverse {} {:?} {:?} resets {:?} indices {} masks {} {} zoneout {:?} {:?} {:?}",
        case.cell,
        case.batch,
        case.time,
        case.d_input,
        case.d_hidden,
        case.reverse,
        case.counted,
        case.masked_output,
        case.resets,
        !case.indices.is_empty(),
        case.input_masks.len(),
        case.recurrent_masks.len(),
        case.zoneout_h != cpu::case::Zoneout::Off,
        case.zoneout_c != cpu::case::Zoneout::Off,
        case.options,
    );
    cpu::assert_equal(&case::run(client, case), &cpu::naive::run(case), 1e-5, &what);
}
