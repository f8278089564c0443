//! What the bench asks of a worker: one JSON object per line, the same for ours and for the Python peers.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cell {
    Lstm,
    Gru,
    Rnn,
    MinGru,
    MinLstm,
}

impl Cell {
    /// Those that other libraries have too.
    pub const ALL: [Cell; 3] = [Cell::Lstm, Cell::Gru, Cell::Rnn];

    pub fn name(self) -> &'static str {
        match self {
            Cell::Lstm => "LSTM",
            Cell::Gru => "GRU",
            Cell::Rnn => "RNN",
            Cell::MinGru => "minGRU",
            Cell::MinLstm => "minLSTM",
        }
    }

    pub fn gates(self) -> usize {
        match self {
            Cell::Lstm => 4,
            Cell::Gru | Cell::MinLstm => 3,
            Cell::Rnn => 1,
            Cell::MinGru => 2,
        }
    }

    /// Whether h is multiplied at each step.
    fn has_w_hh(self) -> bool {
        !matches!(self, Cell::MinGru | Cell::MinLstm)
    }
}

/// A layer over a batch of sequences.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Layer {
    pub cell: Cell,
    pub batch: usize,
    pub time: usize,
    pub input: usize,
    pub hidden: usize,
    /// Forward and backward, with the input's gradient; else forward alone.
    pub backward: bool,
    /// PyTorch only.
    pub onednn: bool,
}

impl Layer {
    /// Floating-point operations of the matrix products: the gates' own arithmetic is not counted. Backward is two
    /// products for each of forward's.
    pub fn flop(&self) -> f64 {
        let inner = self.input + if self.cell.has_w_hh() { self.hidden } else { 0 };
        let forward = 2 * self.batch * self.time * self.cell.gates() * self.hidden * inner;
        forward as f64 * if self.backward { 3.0 } else { 1.0 }
    }
}

/// What a cell may have beyond its plain form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CellOption {
    LayerNorm,
    Peepholes,
    Coupled,
    Clip,
    HardSigmoid,
    /// To half of the units.
    Projection,
}

impl CellOption {
    pub const ALL: [CellOption; 6] = [
        CellOption::LayerNorm,
        CellOption::Peepholes,
        CellOption::Coupled,
        CellOption::Clip,
        CellOption::HardSigmoid,
        CellOption::Projection,
    ];

    pub fn name(self) -> &'static str {
        match self {
            CellOption::LayerNorm => "layer normalisation",
            CellOption::Peepholes => "peepholes",
            CellOption::Coupled => "coupled gates",
            CellOption::Clip => "clip",
            CellOption::HardSigmoid => "hard sigmoid",
            CellOption::Projection => "projection to half",
        }
    }
}

/// A layer with an option of its cell, an LSTM or a GRU.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Optional {
    #[serde(flatten)]
    pub layer: Layer,
    pub option: CellOption,
    /// Whether it runs step by step, without the kernels.
    pub steps: bool,
}

/// A layer over batches whose rows have lengths of their own, forward and backward.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ragged {
    pub cell: Cell,
    pub input: usize,
    pub hidden: usize,
    /// The lengths of the rows of each batch, which is as long as the longest of them.
    pub batches: Vec<Vec<usize>>,
    /// Whether the layer gets the lengths; otherwise it computes the padding too.
    pub told: bool,
}

/// The lesson's sentiment model on reviews as ids, int32 little endian, rows of `tokens`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Reviews {
    pub ids: PathBuf,
    pub labels: PathBuf,
    pub tokens: usize,
    pub words: usize,
    pub batch: usize,
    pub recurrent_dropout: f64,
    /// PyTorch's dropout of the input: `element` (nn.Dropout) or `sequence` (one mask for all steps).
    pub masks: String,
    pub onednn: bool,
}

/// The lesson's character model on a text as ids.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Text {
    pub ids: PathBuf,
    pub window: usize,
    pub symbols: usize,
    pub batch: usize,
    pub onednn: bool,
}

/// What is timed; a call is the unit of counting.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "lowercase")]
pub enum Spec {
    /// One pass per call.
    Layer(Layer),
    /// The same with an option.
    Optional(Optional),
    /// One pass over all batches per call.
    Ragged(Ragged),
    /// One step of one sequence per call, the state carried.
    Step { cell: Cell, input: usize, hidden: usize, onednn: bool },
    /// One epoch of training per call; for burn-nn one step.
    Sentiment(Reviews),
    /// All reviews per call.
    Evaluation(Reviews),
    /// One epoch of training per call; for burn-nn one step.
    Chargen(Text),
    /// One character per call: one-hot, GRU, dense, argmax; the state carried.
    Generation { symbols: usize, hidden: usize, onednn: bool },
}

/// A request.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
pub enum Request {
    Prepare {
        slot: usize,
        spec: Spec,
    },
    Run {
        slot: usize,
        calls: u64,
    },
    Clear,
    /// The peak of resident memory.
    Rss,
}

/// An answer: the one field that the request is about, or an error.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Answer {
    /// All calls together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mb: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_counted() {
        let layer =
            |backward| Layer { cell: Cell::Lstm, batch: 50, time: 80, input: 128, hidden: 128, backward, onednn: true };
        assert_eq!(layer(false).flop(), 2.0 * 4000.0 * 512.0 * 256.0);
        assert_eq!(layer(true).flop(), 3.0 * layer(false).flop());
    }
}
