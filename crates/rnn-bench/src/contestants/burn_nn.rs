//! Burn's own layers, as Burn's documentation shows them.

pub mod generation;
pub mod lesson;

use super::ours::Forward;
use super::protocol::Cell;
use super::serve::{Task, timed};
use burn::nn::{RnnConfig, gru, lstm};
use burn::tensor::{Device, Tensor};

/// A new layer.
pub fn forward(cell: Cell, d_input: usize, d_hidden: usize, device: &Device) -> Forward {
    match cell {
        Cell::Lstm => {
            let layer = lstm::LstmConfig::new(d_input, d_hidden, true).init(device);
            Box::new(move |x| layer.forward(x, None).0)
        }
        Cell::Gru => {
            let layer = gru::GruConfig::new(d_input, d_hidden, true).init(device);
            Box::new(move |x| layer.forward(x, None))
        }
        Cell::Rnn => {
            let layer = RnnConfig::new(d_input, d_hidden, true).init(device);
            Box::new(move |x| layer.forward(x, None).0)
        }
        Cell::MinGru | Cell::MinLstm => unreachable!("burn-nn has no {}", cell.name()),
    }
}

/// One step per call on `x`, `[1, 1, d_input]`, the state carried from call to call.
pub fn steps(cell: Cell, x: Tensor<3>, d_hidden: usize) -> Task {
    let (cpu, d_input) = (x.device(), x.dims()[2]);
    match cell {
        Cell::Lstm => {
            let layer = lstm::LstmConfig::new(d_input, d_hidden, true).init(&cpu);
            let mut state = None;
            timed(move || state = Some(layer.forward(x.clone(), state.take()).1))
        }
        Cell::Gru => {
            let layer = gru::GruConfig::new(d_input, d_hidden, true).init(&cpu);
            let mut state = None;
            timed(move || state = Some(layer.forward(x.clone(), state.take()).squeeze_dim::<2>(1)))
        }
        Cell::Rnn => {
            let layer = RnnConfig::new(d_input, d_hidden, true).init(&cpu);
            let mut state = None;
            timed(move || state = Some(layer.forward(x.clone(), state.take()).1))
        }
        Cell::MinGru | Cell::MinLstm => unreachable!("burn-nn has no {}", cell.name()),
    }
}
