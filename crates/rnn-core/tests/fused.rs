//! Training on the fused kernels goes the way of training step by step, which a probe asks for.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor, TensorData};
use rnn_core::optim::Adam;
use rnn_core::{
    Activation, Bias, Exec, ForwardArgs, Gru, GruConfig, Initializer, Initializers, Isa, Key, Lstm, LstmConfig, Preset,
    Rnn, RnnConfig, probe,
};

const BATCH: usize = 20;
const TIME: usize = 30;
const D_INPUT: usize = 19;
const D_HIDDEN: usize = 37;

#[derive(Module, Debug)]
struct Model {
    lstm: Lstm,
    gru: Gru,
    rnn: Rnn,
    dense: Linear,
}

impl Model {
    fn new(device: &Device) -> Self {
        let key = Key::new(0);
        let model = Self {
            lstm: LstmConfig::new(D_INPUT, D_HIDDEN)
                .with_dropout(0.2)
                .with_recurrent_dropout(0.2)
                .init(key.child(0), device),
            gru: GruConfig::new(D_HIDDEN, D_HIDDEN).with_zoneout(0.1, 0.0).init(key.child(1), device),
            rnn: RnnConfig::new(D_HIDDEN, D_HIDDEN).init(key.child(2), device),
            dense: LinearConfig::new(D_HIDDEN, 1).init(device),
        };
        // Burn's initialiser draws from a generator that tests share.
        Self { dense: Preset::Keras.linear(D_HIDDEN, 1, key.child(3), device), ..model }
    }

    /// How far the sum of the first feature is missed.
    fn loss(&self, input: Tensor<3>, lengths: &[usize], dropout: Key) -> Tensor<1> {
        fn args<'a, S>(lengths: &'a [usize], dropout: Key) -> ForwardArgs<'a, S> {
            ForwardArgs::default().with_lengths(lengths).with_dropout_key(Some(dropout))
        }
        let wanted = input.clone().slice_dim(2, 0..1).mean_dim(1).squeeze_dim::<2>(1) * 3.0;
        let sequence = self.lstm.forward_with(input, args(lengths, dropout)).sequence;
        let sequence = self.gru.forward_with(sequence, args(lengths, dropout)).sequence;
        let hidden = self.rnn.forward_with(sequence, args(lengths, dropout)).last_hidden();
        (self.dense.forward(hidden) - wanted).square().mean()
    }
}

#[derive(PartialEq)]
enum Way {
    Fused,
    StepByStep,
    Checkpointing,
}

fn losses(way: Way, steps: u64) -> Vec<f32> {
    let device = Device::default().autodiff();
    let device = if way == Way::Checkpointing { device.gradient_checkpointing() } else { device };
    let mut model = Model::new(&device);
    let mut optimizer = ModuleOptimizer::from(Adam::PYTORCH);
    let lengths: Vec<usize> = (0..BATCH).map(|row| TIME - row).collect();
    let step = |number| {
        let key = Key::new(1).child(number);
        let values: Vec<f32> = key.normals(BATCH * TIME * D_INPUT).map(|x| x as f32).collect();
        let input = Tensor::from_data(TensorData::new(values, [BATCH, TIME, D_INPUT]), &device);
        let run = || model.loss(input.clone(), &lengths, key);
        let loss = if way == Way::StepByStep { probe::record(run).0 } else { run() };
        let grads = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(3e-3, model.clone(), grads);
        loss.into_scalar()
    };
    (0..steps).map(step).collect()
}

#[test]
fn fifty_steps_of_training_agree() {
    let (fused, plain) = (losses(Way::Fused, 50), losses(Way::StepByStep, 50));
    assert!(fused[45..].iter().sum::<f32>() < 0.7 * fused[..5].iter().sum::<f32>(), "it learns: {fused:?}");
    for (step, (a, b)) in fused.iter().zip(&plain).enumerate() {
        assert!((a - b).abs() < 1e-4, "step {step}: {a} and {b}");
    }
}

/// With dropout and zoneout, whose masks are outside the graph.
#[test]
fn training_with_gradient_checkpointing_agrees() {
    let (fused, kept) = (losses(Way::Fused, 5), losses(Way::Checkpointing, 5));
    for (step, (a, b)) in fused.iter().zip(&kept).enumerate() {
        assert!((a - b).abs() < 1e-5, "step {step}: {a} and {b}");
    }
}

/// Options of the three cells are fused; a probe runs step by step, and the warning says so if it was asked for.
#[test]
fn who_asks_is_told_what_runs_step_by_step() {
    use std::sync::Mutex;
    static TOLD: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let device = Device::default();
    let config = LstmConfig::new(3, 4).with_layer_norm(true).with_peepholes(true).with_coupled_gates(true);
    let lstm = config.with_clip(Some(1.0)).with_num_layers(2).init(Key::new(0), &device);
    let run = || {
        let args = ForwardArgs::default().with_step_by_step_warning(|why| TOLD.lock().unwrap().push(why.to_string()));
        lstm.forward_with(Tensor::<3>::ones([2, 5, 3], &device), args)
    };
    run();
    assert!(TOLD.lock().unwrap().is_empty());
    probe::record(run);
    assert_eq!(*TOLD.lock().unwrap(), ["a probe sees every step"; 2]);
}

/// At 0, and where powers of e are infinite or nothing, all activations have finite values and slopes; so they have
/// without kernels.
#[test]
fn activations_of_large_sums_agree_step_by_step() {
    use Activation::*;
    let device = Device::default().autodiff();
    let sums = [-1e30, -200.0, -100.0, -89.0, -10.0, 0.0, 10.0, 89.0, 100.0, 200.0, 1e30];
    let (hard, leaky) = (HardSigmoid { slope: 0.2 }, LeakyRelu { slope: 0.1 });
    for f in [Linear, Sigmoid, hard, Tanh, HardTanh, Relu, leaky, Elu, Softsign, Softplus, Silu, Gelu, Positive] {
        let one = Initializers { input: Initializer::Constant(1.0), ..Initializers::KERAS };
        let config = RnnConfig::new(1, 1).with_bias(Bias::None).with_initializers(one).with_hidden_activation(f);
        let layer = config.init(Key::new(0), &device);
        let run = || {
            let x = Tensor::<3>::from_data(TensorData::new(sums.to_vec(), [sums.len(), 1, 1]), &device).require_grad();
            let y = layer.forward(x.clone()).sequence;
            let slopes = x.grad(&y.clone().sum().backward()).expect("of the input").into_data();
            [y.into_data(), slopes].map(|data| data.iter::<f32>().collect::<Vec<f32>>())
        };
        let (found, (expected, _)) = (run(), probe::record(run));
        for (found, expected) in found.iter().zip(&expected) {
            let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-5 * b.abs().max(1.0);
            assert!(found.iter().zip(expected).all(close), "{f:?}: {found:?} and {expected:?}");
        }
    }
}

/// Half storage is a GPU's: on a CPU it changes no bit and tells nothing. A configuration from before it was there has
/// none.
#[test]
fn half_storage_changes_nothing_on_a_cpu() {
    let device = Device::default();
    let plain = LstmConfig::new(3, 4);
    let half = plain.clone().with_half_storage(true);
    let output = |config: &LstmConfig| {
        let args = ForwardArgs::default().with_step_by_step_warning(|why| panic!("{why}"));
        config.init(Key::new(0), &device).forward_with(Tensor::<3>::ones([2, 5, 3], &device), args).sequence.into_data()
    };
    assert_eq!(output(&half), output(&plain));
    let mut saved = serde_json::to_value(&plain).expect("JSON");
    saved.as_object_mut().expect("fields").remove("half_storage").expect("a field");
    assert_eq!(serde_json::from_value::<LstmConfig>(saved).expect("a configuration"), plain);
    let saved = serde_json::to_value(&half).expect("JSON");
    assert_eq!(serde_json::from_value::<LstmConfig>(saved).expect("a configuration"), half);
}

/// The number of threads decides in which order a weight's gradient is summed, the instruction set what is rounded.
#[test]
fn a_layer_runs_on_the_threads_it_is_told() {
    let device = Device::default().autodiff();
    let layer = LstmConfig::new(32, 32).init(Key::new(0), &device);
    let values: Vec<f32> = Key::new(1).normals(16 * 20 * 32).map(|x| x as f32).collect();
    let input = Tensor::<3>::from_data(TensorData::new(values, [16, 20, 32]), &device);
    let gradient = |exec: Option<Exec>| {
        let args = ForwardArgs { exec, ..Default::default() };
        let grads = layer.forward_with(input.clone(), args).sequence.sum().backward();
        layer.layers[0].weight_hh.as_ref().expect("it multiplies h").val().grad(&grads).expect("it trains").into_data()
    };
    let isa = Isa::best();
    let [one, two, again] = [1, 2, 2].map(|threads| gradient(Some(Exec { isa, threads })));
    assert_eq!(two, again);
    assert_ne!(one, two);
    assert_eq!(gradient(None), gradient(Some(Exec::default())));
    let portable = gradient(Some(Exec { isa: Isa::Portable, threads: 1 }));
    assert_eq!(portable == one, isa == Isa::Portable);
    for other in [two, portable] {
        other.assert_approx_eq::<f32>(&one, burn::tensor::Tolerance::rel_abs(1e-4, 1e-4));
    }
}
