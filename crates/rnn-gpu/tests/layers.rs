//! Layers of `rnn-core` on the GPU's kernels give what they give on the CPU's.
//!
//! Their backend is compiled in by the program that is built beside: `cargo test -p sentiment -p rnn-gpu --features
//! sentiment/ndarray,sentiment/wgpu,rnn-gpu/wgpu`; all tests with wgpu then share one build of Burn.
#![cfg(feature = "wgpu")]

use burn::nn::EmbeddingConfig;
use burn::tensor::{Device, DeviceKind, Tensor, TensorData};
use rnn_core::cell::Cell;
use rnn_core::*;
use std::sync::Mutex;

/// The largest error, as a share of the largest value.
fn error(what: &str, found: TensorData, expected: TensorData) -> f32 {
    let (found, expected): (Vec<f32>, Vec<f32>) =
        (found.try_to_vec().expect("f32"), expected.try_to_vec().expect("f32"));
    let scale = expected.iter().fold(1e-2f32, |max, x| max.max(x.abs()));
    assert_eq!(found.len(), expected.len(), "{what}");
    found.iter().zip(&expected).fold(0.0, |max, (a, b)| if (a - b).abs() <= max { max } else { (a - b).abs() }) / scale
}

/// Outputs and gradients of a layer on a device.
fn run<C: Cell>(
    config: &RecurrentConfig<C>,
    device: &Device,
    args: impl Fn() -> ForwardArgs<'static, C::State>,
    nan: bool,
) -> Vec<(String, TensorData)> {
    let device = device.clone().autodiff();
    let layer = config.init(Key::new(3), &device);
    let [batch, time, d_input] = [7, 6, config.d_input];
    let mut values: Vec<f32> = Key::new(4).normals(batch * time * d_input).map(|x| x as f32).collect();
    if nan {
        // Row 1 has two steps.
        values[(time + 3) * d_input..2 * time * d_input].fill(f32::NAN);
    }
    let input = Tensor::<3>::from_data(TensorData::new(values, [batch, time, d_input]), &device).require_grad();
    let output = layer.forward_with(input.clone(), args());
    let width = output.sequence.dims()[2];
    let weights: Vec<f32> = Key::new(5).normals(batch * time * width).map(|x| x as f32).collect();
    let weights = Tensor::<3>::from_data(TensorData::new(weights, [batch, time, width]), &device);
    let last = output.last_hidden();
    let loss = (output.sequence.clone() * weights).sum() + last.clone().square().sum();
    let grads = loss.backward();
    let mut results = vec![
        ("the sequence".to_string(), output.sequence.into_data()),
        ("the last h".to_string(), last.into_data()),
        ("the gradient of the input".to_string(), input.grad(&grads).expect("wanted").into_data()),
    ];
    for (number, weights) in layer.layers.iter().enumerate() {
        let mut push = |what: &str, grad: Option<TensorData>| {
            results.push((format!("the gradient of {what} of layer {number}"), grad.expect("it trains")));
        };
        push("W_ih", weights.weight_ih.val().grad(&grads).map(Tensor::into_data));
        if let Some(bias) = &weights.bias_ih {
            push("b_ih", bias.val().grad(&grads).map(Tensor::into_data));
        }
    }
    results
}

/// How far the GPU's results are from the CPU's.
fn errors<C: Cell>(
    config: &RecurrentConfig<C>,
    args: impl Fn() -> ForwardArgs<'static, C::State>,
    nan: bool,
) -> Vec<(String, f32)> {
    let expected = run(config, &Device::flex(), &args, nan);
    let found = run(config, &Device::wgpu(DeviceKind::Cpu), &args, nan);
    let pairs = found.into_iter().zip(expected);
    pairs.map(|((name, found), (_, expected))| (name.clone(), error(&name, found, expected))).collect()
}

fn check<C: Cell>(
    what: &str,
    config: RecurrentConfig<C>,
    args: impl Fn() -> ForwardArgs<'static, C::State>,
    nan: bool,
) {
    let fused = || args().with_step_by_step_warning(|why| panic!("a layer runs step by step: {why}"));
    for (name, error) in errors(&config, fused, nan) {
        assert!(error <= 1e-4, "{name} of {what} is off by {error}");
    }
}

/// Of 7 rows of 6 steps.
const RESETS: [bool; 42] = {
    let mut resets = [false; 42];
    let mut at = 1;
    while at < resets.len() {
        resets[at] = true;
        at += 4;
    }
    resets
};

fn keyed<S: CellState>() -> ForwardArgs<'static, S> {
    ForwardArgs::default().with_dropout_key(Some(Key::new(1)))
}

fn resets<S: CellState>() -> ForwardArgs<'static, S> {
    ForwardArgs::default().with_lengths(&[6, 3, 1, 4, 5, 2, 6]).with_resets(&RESETS)
}

#[test]
fn layers_agree() {
    let lengths = || ForwardArgs::default().with_lengths(&[6, 3, 1, 4, 5, 2, 6]);
    check("an LSTM", LstmConfig::new(9, 12), ForwardArgs::default, false);
    check(
        "a bidirectional LSTM with lengths and NaN behind them",
        LstmConfig::new(9, 12).with_direction(Direction::Bidirectional),
        lengths,
        true,
    );
    check("an LSTM with a projection and lengths", LstmConfig::new(9, 12).with_proj_size(Some(5)), lengths, true);
    let dropout = LstmConfig::new(9, 12).with_dropout(0.2).with_recurrent_dropout(0.2).with_zoneout(0.1, 0.2);
    check("an LSTM with dropout and zoneout", dropout, keyed, false);
    check(
        "a bidirectional GRU with resets",
        GruConfig::new(9, 12).with_direction(Direction::Bidirectional),
        resets,
        true,
    );
    check("an LSTM with a projection and resets", LstmConfig::new(9, 12).with_proj_size(Some(5)), resets, true);
    let options =
        LstmConfig::new(9, 12).with_peepholes(true).with_clip(Some(0.4)).with_gate_activation(Activation::Gelu);
    check("an LSTM with peepholes, a clip and GELU", options.clone(), lengths, true);
    check("the same with a projection", options.with_proj_size(Some(5)), lengths, true);
    let coupled = LstmConfig::new(9, 12).with_coupled_gates(true).with_hidden_activation(Activation::Softsign);
    check("an LSTM with coupled gates", coupled.with_zoneout(0.1, 0.2), keyed, false);
    let min_gru = MinGruConfig::new(9, 12).with_num_layers(2).with_direction(Direction::Bidirectional);
    check("a minGRU", min_gru.with_dropout(0.2), keyed, false);
    check("a minLSTM", MinLstmConfig::new(9, 12).with_hidden_activation(Activation::Positive), resets, true);
}

/// A GPU stores as f16 what the layer says; where it cannot, it tells and stores f32. How large the error may be is
/// derived in `half.rs`: 6 steps, each with 3 roundings and those of 6 saved numbers.
#[test]
fn half_storage_is_the_option_of_a_layer() {
    static TOLD: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let args = || {
        ForwardArgs::default()
            .with_lengths(&[6, 3, 1, 4, 5, 2, 6])
            .with_step_by_step_warning(|why| TOLD.lock().expect("no panic").push(why.to_string()))
    };
    let config = LstmConfig::new(9, 12).with_direction(Direction::Bidirectional).with_half_storage(true);
    let errors = errors(&config, args, true);
    let largest = errors.iter().map(|(_, error)| *error).fold(0.0, f32::max);
    let told = TOLD.lock().expect("no panic");
    match told.first() {
        None => assert!(largest > 1e-4 && largest <= (6 * (3 + 6)) as f32 / 2048.0, "{errors:?}"),
        Some(why) => assert!(largest <= 1e-4 && why.contains("no 16-bit floats"), "{errors:?} {why}"),
    }
}

/// Within an evaluation the table is multiplied once; a copy of the model with other values goes the plain way.
#[test]
fn an_evaluation_tells_copies_apart() {
    let device = Device::wgpu(DeviceKind::Cpu);
    let words = EmbeddingConfig::new(6, 5).init(&device);
    let layer = LstmConfig::new(5, 7).init(Key::new(3), &device);
    let mut copy = layer.clone();
    copy.layers[0].weight_ih = copy.layers[0].weight_ih.clone().map(|values| values * 0.5);
    let ids = [1, 4, 4, 0, 5, 2];
    let run = |layer: &Lstm| layer.forward(Input::ids(&words, &ids, [2, 3])).last_hidden().into_data();
    let products = |run: &dyn Fn()| -> usize {
        let launched = rnn_gpu::launches(run).1;
        launched.iter().filter(|(name, _)| name.contains("input::products")).map(|(_, count)| count).sum()
    };
    let expected = [run(&layer), run(&copy)];
    let found = evaluation(100, || [run(&layer), run(&copy)]);
    for (found, expected) in found.into_iter().zip(expected) {
        let error = error("the last h", found, expected);
        assert!(error <= 1e-5, "{error}");
    }
    assert_eq!(products(&|| drop(evaluation(100, || [run(&layer), run(&layer)]))), 0, "the table is multiplied");
    assert!(products(&|| drop([run(&layer), run(&layer)])) >= 2, "the plain way multiplies at each call");
}

/// A given state of a projected LSTM, which row 1, whose first step is flagged, does not take.
#[test]
fn a_given_state_of_a_projection_goes_with_resets() {
    let mut resets = RESETS;
    resets[6] = true;
    let run = |device: Device| {
        let layer = LstmConfig::new(9, 12).with_proj_size(Some(5)).init(Key::new(3), &device);
        let values: Vec<f32> = Key::new(4).normals(7 * 6 * 9).map(|x| x as f32).collect();
        let input = Tensor::<3>::from_data(TensorData::new(values, [7, 6, 9]), &device);
        let state = layer.forward(input.clone()).state;
        let args = ForwardArgs::default().with_step_by_step_warning(|why| panic!("step by step: {why}"));
        let output = layer.forward_with(input, args.with_state(state).with_resets(&resets));
        [output.sequence.clone().into_data(), output.last_hidden().into_data()]
    };
    for (found, expected) in run(Device::wgpu(DeviceKind::Cpu)).into_iter().zip(run(Device::flex())) {
        let error = error("the sequence or the last h", found, expected);
        assert!(error <= 1e-4, "{error}");
    }
}
