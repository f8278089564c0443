//! Our own layers.

use super::protocol::Cell;
use super::serve::{Task, timed};
use burn::tensor::{Device, Tensor};
use rnn_core::stepper::Stepper;
use rnn_core::{GruConfig, Key, LstmConfig, MinGruConfig, MinLstmConfig, RnnConfig};

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
