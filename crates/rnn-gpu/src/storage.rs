//! How numbers lie in memory. All arithmetic is in f32.

use cubecl::client::Client;
use cubecl::ir::{ElemType, FloatKind, features::TypeUsage};
use cubecl::prelude::*;

/// How the largest buffers of a call lie in the device's memory: the input products of all steps, what forward saves
/// for backward, and the copy of `W_hh` that the recurrence reads at every step. Everything else is f32: input, output,
/// states, weights and all gradients, as all arithmetic is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Storage {
    /// Four bytes a number.
    #[default]
    F32,
    /// Two bytes a number, rounded to 11 binary digits: an error of at most 2⁻¹¹ of the number, and of 2⁻²⁵ below
    /// 6·10⁻⁵, where the adapter may also store zero. Beyond ±65504 there is infinity: h of an RNN with ReLU may
    /// get there, and sums of features that are thousands of times too large.
    F16,
}

impl Storage {
    /// Bytes of a number.
    pub fn bytes(self) -> usize {
        match self {
            Storage::F32 => 4,
            Storage::F16 => 2,
        }
    }

    /// Whether the adapter's kernels can read and write such numbers.
    pub fn is_on(self, client: &Client) -> bool {
        match self {
            Storage::F32 => true,
            Storage::F16 => {
                let usage = client.properties().type_usage(ElemType::Float(FloatKind::F16));
                usage.is_superset(TypeUsage::Buffer | TypeUsage::Conversion)
            }
        }
    }
}

/// A number that is stored as an `N`.
#[cube]
pub(crate) fn load<N: Float>(values: &[N], at: usize) -> f32 {
    f32::cast_from(values[at])
}

/// Stores a number as an `N`.
#[cube]
pub(crate) fn store<N: Float>(values: &mut [N], at: usize, value: f32) {
    values[at] = N::cast_from(value);
}

/// A value, or zero where there are none.
#[cube]
pub(crate) fn read(values: &ComptimeOption<Box<[f32]>>, at: usize) -> f32 {
    #[comptime]
    match values {
        ComptimeOption::Some(values) => values[at],
        ComptimeOption::None => 0.0f32,
    }
}
