//! The gradient of a look-up: rows added to the rows that were looked up.

use crate::float::Float;
use crate::threads::{Machine, Shared, each};

/// Below so many elements one thread adds.
const SMALL: usize = 1 << 15;

/// Adds row i of `rows`, `[indices.len(), width]`, to row `indices[i]` of `table`, `[_, width]`. Rows that are not named are
/// not touched. The order of additions to a row is that of `indices` for any number of threads.
///
/// # Panics
/// On slices whose sizes do not fit, and indices beyond the table.
pub fn scatter_add<T: Float>(machine: Machine, table: &mut [T], width: usize, indices: &[u32], rows: &[T]) {
    assert!(width > 0 && table.len().is_multiple_of(width), "{} elements are not rows of {width}", table.len());
    let (count, needed) = (table.len() / width, indices.len() * width);
    assert!(rows.len() == needed, "{} elements where {needed} are needed", rows.len());
    if let Some(index) = indices.iter().find(|&&index| index as usize >= count) {
        panic!("row {index} of a table of {count}");
    }
    T::run_scatter(machine, table, width, indices, rows);
}

/// For one element type, so that it is compiled with this crate and not with those that call it.
pub trait Entry: Sized {
    #[doc(hidden)]
    fn run_scatter(machine: Machine, table: &mut [Self], width: usize, indices: &[u32], rows: &[Self]);
}

macro_rules! entry {
    ($t:ty) => {
        impl Entry for $t {
            fn run_scatter(machine: Machine, table: &mut [$t], width: usize, indices: &[u32], rows: &[$t]) {
                add(machine, table, width, indices, rows);
            }
        }
    };
}

entry!(f32);
entry!(f64);

fn add<T: Float>(machine: Machine, table: &mut [T], width: usize, indices: &[u32], rows: &[T]) {
    let threads = if rows.len() < SMALL { 1 } else { machine.threads.max(1) };
    let table = Shared(table.as_mut_ptr());
    each((0..threads).collect(), |thread| {
        for (&index, row) in indices.iter().zip(rows.chunks_exact(width)) {
            if index as usize % threads != thread {
                continue;
            }
            // SAFETY: a row of the table, which only this thread adds to.
            let to = unsafe { std::slice::from_raw_parts_mut(table.get().add(index as usize * width), width) };
            to.iter_mut().zip(row).for_each(|(to, &x)| *to += x);
        }
    });
}
