#![allow(dead_code, reason = "each test uses some of it")]

pub mod case;
pub mod kernel;
pub mod naive;
pub mod tape;

use case::{Case, Results};
use naive::Expected;
use rnn_kernels::Isa;

/// `max|a−b| ≤ tolerance·scale` for each tensor; NaN equals nothing.
pub fn assert_equal(found: &Results, expected: &[Expected], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len());
    for ((name, found), expected) in found.iter().zip(expected) {
        assert_eq!((*name, found.len()), (expected.name, expected.values.len()), "{what}");
        for (i, (a, b)) in found.iter().zip(&expected.values).enumerate() {
            let close = (a - b).abs() <= tolerance * expected.scale;
            assert!(close, "{name}[{i}] is {a}, not {b}, at scale {}, of {what}", expected.scale);
        }
    }
}

/// Both element types at all instruction sets equal the naive loop.
pub fn check(case: &Case) {
    let expected = naive::run(case);
    for isa in Isa::available() {
        let what = || {
            let Case { cell, batch, time, d_input, d_hidden, threads, reverse, counted, masked_output, .. } = case;
            format!(
                "{cell:?} {:?} [{batch} {time} {d_input} {d_hidden}] {isa:?} threads {threads} reverse {reverse} {counted:?} \
                 {masked_output:?} resets {} biases {:?} indices {} ids {} masks {} {} zoneout {} {}",
                case.options,
                !case.resets.is_empty(),
                case.biases,
                !case.indices.is_empty(),
                !case.ids.is_empty(),
                case.input_masks.len(),
                case.recurrent_masks.len(),
                case.zoneout_h != case::Zoneout::Off,
                case.zoneout_c != case::Zoneout::Off,
            )
        };
        let added = |mut results: Results| {
            let d_x = results.iter_mut().filter(|(name, _)| *name == "d_x");
            d_x.for_each(|(_, d_x)| case.add_repeats(d_x));
            results
        };
        assert_equal(&added(kernel::run::<f64>(case, isa)), &expected, 1e-12, &format!("f64 {}", what()));
        assert_equal(&added(kernel::run::<f32>(case, isa)), &expected, 1e-5, &format!("f32 {}", what()));
    }
}
