//! One layer: passes over a batch of sequences, and single steps.

use crate::bench::spec::{Cell, Layer};
use crate::bench::worker::{Engine, Task, timed};
use burn::nn::{RnnConfig as BurnRnnConfig, gru, lstm};
use burn::tensor::{Device, Distribution, Tensor};
use rnn_core::stepper::Stepper;
use rnn_core::{GruConfig, Key, LstmConfig, RnnConfig};

/// `[batch, time, d_input]` to `[batch, time, d_hidden]`.
type Forward = Box<dyn Fn(Tensor<3>) -> Tensor<3>>;

fn forward(engine: Engine, cell: Cell, d_input: usize, d_hidden: usize, device: &Device) -> Forward {
    let key = Key::new(0);
    match (engine, cell) {
        (Engine::RnnCore, Cell::Lstm) => {
            let layer = LstmConfig::new(d_input, d_hidden).init(key, device);
            Box::new(move |x| layer.forward(x).sequence)
        }
        (Engine::RnnCore, Cell::Gru) => {
            let layer = GruConfig::new(d_input, d_hidden).init(key, device);
            Box::new(move |x| layer.forward(x).sequence)
        }
        (Engine::RnnCore, Cell::Rnn) => {
            let layer = RnnConfig::new(d_input, d_hidden).init(key, device);
            Box::new(move |x| layer.forward(x).sequence)
        }
        (Engine::BurnNn, Cell::Lstm) => {
            let layer = lstm::LstmConfig::new(d_input, d_hidden, true).init(device);
            Box::new(move |x| layer.forward(x, None).0)
        }
        (Engine::BurnNn, Cell::Gru) => {
            let layer = gru::GruConfig::new(d_input, d_hidden, true).init(device);
            Box::new(move |x| layer.forward(x, None))
        }
        (Engine::BurnNn, Cell::Rnn) => {
            let layer = BurnRnnConfig::new(d_input, d_hidden, true).init(device);
            Box::new(move |x| layer.forward(x, None).0)
        }
    }
}

fn random(shape: [usize; 3], device: &Device) -> Tensor<3> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
}

/// A pass a call. Backward starts from the sum of all outputs and goes to the weights and to the input.
pub fn passes(engine: Engine, shape: Layer) -> Task {
    let cpu = Device::flex();
    let x = random([shape.batch, shape.time, shape.input], &cpu);
    if !shape.backward {
        let forward = forward(engine, shape.cell, shape.input, shape.hidden, &cpu);
        return timed(move || drop(forward(x.clone())));
    }
    let forward = forward(engine, shape.cell, shape.input, shape.hidden, &cpu.autodiff());
    timed(move || {
        // A fresh leaf each time, as a batch is one.
        let x = x.clone().autodiff().require_grad();
        drop(forward(x).sum().backward());
    })
}

/// One step of one row a call, the state carried from call to call.
pub fn steps(engine: Engine, cell: Cell, d_input: usize, d_hidden: usize) -> Task {
    let cpu = Device::flex();
    let x = random([1, 1, d_input], &cpu);
    let key = Key::new(0);
    // The six differ in the type of their state alone.
    macro_rules! ours {
        ($config:ident) => {{
            let layer = $config::new(d_input, d_hidden).init(key, &cpu);
            let mut stepper = Stepper::new(&layer).expect("a plain forward layer has one");
            let x: Vec<f32> = x.into_data().iter().collect();
            timed(move || {
                std::hint::black_box(stepper.step(&x));
            })
        }};
    }
    match (engine, cell) {
        (Engine::RnnCore, Cell::Lstm) => ours!(LstmConfig),
        (Engine::RnnCore, Cell::Gru) => ours!(GruConfig),
        (Engine::RnnCore, Cell::Rnn) => ours!(RnnConfig),
        (Engine::BurnNn, Cell::Lstm) => {
            let layer = lstm::LstmConfig::new(d_input, d_hidden, true).init(&cpu);
            let mut state = None;
            timed(move || state = Some(layer.forward(x.clone(), state.take()).1))
        }
        (Engine::BurnNn, Cell::Gru) => {
            let layer = gru::GruConfig::new(d_input, d_hidden, true).init(&cpu);
            let mut state = None;
            timed(move || state = Some(layer.forward(x.clone(), state.take()).squeeze_dim::<2>(1)))
        }
        (Engine::BurnNn, Cell::Rnn) => {
            let layer = BurnRnnConfig::new(d_input, d_hidden, true).init(&cpu);
            let mut state = None;
            timed(move || state = Some(layer.forward(x.clone(), state.take()).1))
        }
    }
}
