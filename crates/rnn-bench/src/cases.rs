//! What is measured: a file per case, with its rows, who takes part, and how each of them is called.

pub mod chargen;
pub mod corpus;
pub mod generation;
pub mod latency;
pub mod layers;
mod lesson;
pub mod minimal;
pub mod options;
pub mod ragged;
pub mod sentiment;
pub mod startup;
pub mod sweep;

use crate::bench::Bench;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A part of the bench.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Case {
    /// Five shapes, three cells, forward, and forward and backward
    Layers,
    /// The options of the cells, beside the plain cells and step by step
    Options,
    /// minGRU and minLSTM beside our GRU
    Minimal,
    /// Batches with lengths, beside the same with padding
    Ragged,
    /// The lesson's LSTM on IMDb: an epoch, the evaluation, peak memory
    Sentiment,
    /// The lesson's GRU on Alice: an epoch, peak memory
    Chargen,
    /// Writing on, character by character
    Generation,
    /// One step of one sequence
    Latency,
    /// `sentiment predict` of one review, the whole process
    Startup,
    /// Cost over time and batch
    Sweep,
}

impl Case {
    /// The table's title.
    pub fn title(self) -> &'static str {
        match self {
            Case::Layers => "Layers",
            Case::Options => "Options of the cells",
            Case::Minimal => "minGRU and minLSTM",
            Case::Ragged => "Ragged batches",
            Case::Sentiment => "Sentiment",
            Case::Chargen => "Chargen",
            Case::Generation => "Generation",
            Case::Latency => "Latency of one step",
            Case::Startup => "Start-up",
            Case::Sweep => "Sweep",
        }
    }

    /// Adds the case's rows to the run.
    ///
    /// # Errors
    /// What a contestant says when it breaks. A busy machine is no error: it leaves rows without figures.
    pub fn measure(self, bench: &mut Bench) -> Result<(), String> {
        match self {
            Case::Layers => layers::run(bench),
            Case::Options => options::run(bench),
            Case::Minimal => minimal::run(bench),
            Case::Ragged => ragged::run(bench),
            Case::Sentiment => sentiment::run(bench),
            Case::Chargen => chargen::run(bench),
            Case::Generation => generation::run(bench),
            Case::Latency => latency::run(bench),
            Case::Startup => startup::run(bench),
            Case::Sweep => sweep::run(bench),
        }
    }
}
