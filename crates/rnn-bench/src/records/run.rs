//! A whole run, as `run.json` has it.

use super::row::Row;
use super::sweep::Curve;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The record: what was measured, where, and with what.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Date and instruction set, as its folder: `2026-11-28-avx512`.
    pub name: String,
    /// As it was typed.
    pub command: String,
    pub machine: Machine,
    pub versions: Versions,
    /// Name and version of each peer's package, such as `torch 2.15.0`; empty without `--peers`.
    pub peers: Vec<String>,
    pub idleness: Idleness,
    /// Remarks on how the record was made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The rows of one case follow each other.
    pub rows: Vec<Row>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sweep: Vec<Curve>,
}

/// Where it ran.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    pub processor: String,
    pub cores: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_gib: Option<u64>,
    pub system: String,
    /// The kernels' best instruction set there, such as `avx512`: the kind of machine that targets are set for.
    pub instructions: String,
    /// Peak of fused multiply-adds in f32, GFLOP/s by number of threads.
    pub fma_gflops: BTreeMap<usize, f64>,
}

/// What ran.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Versions {
    /// Its short hash, with ` with changes` where files differed from it.
    pub commit: String,
    pub rustc: String,
    pub burn: String,
    /// Cargo's profile.
    pub profile: String,
}

/// Whether other work could disturb the figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Idleness {
    /// Rows beside which other work ran have no figures.
    Checked,
    /// `--anyway`.
    Ignored,
    /// This system does not tell.
    Unknown,
}

impl Run {
    /// The largest number of threads.
    pub fn most_threads(&self) -> usize {
        self.machine.fma_gflops.keys().max().copied().unwrap_or(1)
    }

    /// Whether anything was measured.
    pub fn has_figures(&self) -> bool {
        let points = self.sweep.iter().flat_map(|curve| &curve.points);
        self.rows.iter().any(|row| row.refused.is_none()) || points.into_iter().any(|point| point.refused.is_none())
    }
}
