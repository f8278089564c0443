#![allow(dead_code, reason = "each test uses some of it")]

pub mod case;
pub mod kernel;
pub mod naive;
pub mod tape;

use case::{Case, Results};
use rnn_kernels::Level;

/// `max|a−b| ≤ tolerance·max|b|` for each tensor.
pub fn assert_equal(found: &Results, expected: &Results, tolerance: f64, what: &str) {
    assert_eq!(found.iter().map(|r| r.0).collect::<Vec<_>>(), expected.iter().map(|r| r.0).collect::<Vec<_>>());
    for ((name, found), (_, expected)) in found.iter().zip(expected) {
        assert_eq!(found.len(), expected.len(), "{name} of {what}");
        let scale = expected.iter().fold(0.0, |max: f64, x| max.max(x.abs()));
        for (i, (a, b)) in found.iter().zip(expected).enumerate() {
            let close = (a - b).abs() <= tolerance * scale;
            assert!(close, "{name}[{i}] is {a}, not {b}, at scale {scale}, of {what}");
        }
    }
}

/// Both element types at all levels equal the naive loop.
pub fn check(case: &Case) {
    let expected = naive::run(case);
    for level in Level::available() {
        let what = || {
            let Case { cell, batch, time, d_input, d_hidden, threads, reverse, counted, masked_output, .. } = case;
            format!(
                "{cell:?} [{batch} {time} {d_input} {d_hidden}] {level:?} threads {threads} reverse {reverse} {counted:?} \
                 {masked_output:?} biases {:?} indices {} masks {} {} zoneout {} {}",
                case.biases,
                !case.indices.is_empty(),
                case.input_masks.len(),
                case.recurrent_masks.len(),
                case.zoneout_h != case::Zoneout::Off,
                case.zoneout_c != case::Zoneout::Off,
            )
        };
        assert_equal(&kernel::run::<f64>(case, level), &expected, 1e-12, &format!("f64 {}", what()));
        assert_equal(&kernel::run::<f32>(case, level), &expected, 1e-5, &format!("f32 {}", what()));
    }
}
