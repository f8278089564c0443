//! One file a job: which rows, who takes part, and how each of them is called.

pub mod chargen;
pub mod generation;
pub mod latency;
pub mod layers;
mod lesson;
pub mod sentiment;
pub mod startup;
