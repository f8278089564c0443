//! How many kernels some work launches.

use cubecl::logging::{LaunchObservation, LaunchObserver};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Default)]
struct Counts(Mutex<BTreeMap<&'static str, usize>>);

impl LaunchObserver for Counts {
    fn launched(&self, kernel: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(kernel).or_default() += 1;
    }
}

/// Runs `run`, and counts the kernels that are launched meanwhile, on any thread and device, by the names that they
/// have in CubeCL: a type's path.
pub fn launches<R>(run: impl FnOnce() -> R) -> (R, BTreeMap<&'static str, usize>) {
    let counts = Arc::new(Counts::default());
    let watching = LaunchObservation::new(counts.clone());
    let result = run();
    drop(watching);
    let counted = counts.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    (result, counted)
}
