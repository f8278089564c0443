//! What a worker does on request, with our layers or with burn-nn's, on Burn's CPU device.

pub mod generation;
pub mod layer;
pub mod lesson;
