//! Our own layers.

use super::protocol::{Cell, CellOption, Layer, Optional};
use super::serve::{Task, timed};
use burn::tensor::{Device, Tensor};
use rnn_core::stepper::Stepper;
use rnn_core::{Activation, ForwardArgs, GruConfig, Key, LstmConfig, MinGruConfig, MinLstmConfig, RnnConfig, probe};

/// `[batch, time, d_input]` to `[batch, time, d_hidden]`.
pub type Forward = Box<dyn Fn(Tensor<3>) -> Tensor<3>>;

/// A new layer.
pub fn forward(cell: Cell, d_input: usize, d_hidden: usize, device: &Device) -> Forward {
    let key = Key::new(0);
    match cell {
        Cell::Lstm => {
            let layer = LstmConfig::new(d_input, d_hidden).init(key, device);
            Box::new(move |x| layer.forward(x).sequence)
        }
        Cell::Gru => {
            let layer = GruConfig::new(d_input, d_hidden).init(key, device);
            Box::new(move |x| layer.forward(x).sequence)
        }
        Cell::Rnn => {
            let layer = RnnConfig::new(d_input, d_hidden).init(key, device);
            Box::new(move |x| layer.forward(x).sequence)
        }
        Cell::MinGru => {
            let layer = MinGruConfig::new(d_input, d_hidden).init(key, device);
            Box::new(move |x| layer.forward(x).sequence)
        }
        Cell::MinLstm => {
            let layer = MinLstmConfig::new(d_input, d_hidden).init(key, device);
            Box::new(move |x| layer.forward(x).sequence)
        }
    }
}

/// A new layer with an option of its cell, on the kernels or step by step.
pub fn with_option(optional: Optional, device: &Device) -> Forward {
    let Optional { layer: Layer { cell, input, hidden, .. }, option, steps } = optional;
    macro_rules! layer {
        ($config:expr) => {{
            let layer = $config.init(Key::new(0), device);
            Box::new(move |x| match steps {
                true => probe::record(|| layer.forward(x).sequence).0,
                false => layer.forward(x).sequence,
            })
        }};
    }
    let (lstm, gru) = (LstmConfig::new(input, hidden), GruConfig::new(input, hidden));
    let hard = Activation::HardSigmoid { slope: 0.2 };
    match (cell, option) {
        (Cell::Lstm, CellOption::LayerNorm) => layer!(lstm.with_layer_norm(true)),
        (Cell::Lstm, CellOption::Peepholes) => layer!(lstm.with_peepholes(true)),
        (Cell::Lstm, CellOption::Coupled) => layer!(lstm.with_coupled_gates(true)),
        (Cell::Lstm, CellOption::Clip) => layer!(lstm.with_clip(Some(1.0))),
        (Cell::Lstm, CellOption::HardSigmoid) => layer!(lstm.with_gate_activation(hard)),
        (Cell::Lstm, CellOption::Projection) => layer!(lstm.with_proj_size(Some(hidden / 2))),
        (Cell::Gru, CellOption::LayerNorm) => layer!(gru.with_layer_norm(true)),
        (Cell::Gru, CellOption::Clip) => layer!(gru.with_clip(Some(1.0))),
        (Cell::Gru, CellOption::HardSigmoid) => layer!(gru.with_gate_activation(hard)),
        (cell, option) => unreachable!("{} with {}", cell.name(), option.name()),
    }
}

/// From x and the rows' lengths, if they are given, to the rows' last h.
pub type Ragged = Box<dyn Fn(Tensor<3>, Option<&[usize]>) -> Tensor<2>>;

/// A new layer, with or without lengths.
pub fn ragged(cell: Cell, d_input: usize, d_hidden: usize, device: &Device) -> Ragged {
    let (lstm, gru) = (LstmConfig::new(d_input, d_hidden), GruConfig::new(d_input, d_hidden));
    macro_rules! layer {
        ($config:expr) => {{
            let layer = $config.init(Key::new(0), device);
            Box::new(move |x, lengths| {
                layer.forward_with(x, ForwardArgs { lengths, ..Default::default() }).last_hidden()
            })
        }};
    }
    match cell {
        Cell::Lstm => layer!(lstm),
        Cell::Gru => layer!(gru),
        other => unreachable!("{} is not measured with lengths", other.name()),
    }
}

/// One step per call on `x`, `[1, 1, d_input]`, the state carried from call to call.
pub fn steps(cell: Cell, x: Tensor<3>, d_hidden: usize) -> Task {
    let (cpu, d_input) = (x.device(), x.dims()[2]);
    let x: Vec<f32> = x.into_data().iter().collect();
    // They differ in the type of their state alone.
    macro_rules! steps {
        ($config:ident) => {{
            let layer = $config::new(d_input, d_hidden).init(Key::new(0), &cpu);
            let mut stepper = Stepper::new(&layer).expect("a plain forward layer has one");
            timed(move || {
                std::hint::black_box(stepper.step(&x));
            })
        }};
    }
    match cell {
        Cell::Lstm => steps!(LstmConfig),
        Cell::Gru => steps!(GruConfig),
        Cell::Rnn => steps!(RnnConfig),
        Cell::MinGru => steps!(MinGruConfig),
        Cell::MinLstm => steps!(MinLstmConfig),
    }
}
