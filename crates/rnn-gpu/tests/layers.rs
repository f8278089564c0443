//! Layers of `rnn-core` on the GPU's kernels give what they give on the CPU's.
//!
//! Their backend is compiled in by the program that is built beside: `cargo test -p sentiment -p rnn-gpu --features
//! sentiment/ndarray,sentiment/wgpu,rnn-gpu/wgpu`; all tests with wgpu then share one build of Burn.
#![cfg(feature = "wgpu")]

use burn::tensor::{Device, DeviceKind, Tensor, TensorData};
use rnn_core::cell::Cell;
use rnn_core::*;

fn close(what: &str, found: TensorData, expected: TensorData) {
    let (found, expected): (Vec<f32>, Vec<f32>) =
        (found.try_to_vec().expect("f32"), expected.try_to_vec().expect("f32"));
    let scale = expected.iter().fold(1e-2f32, |max, x| max.max(x.abs()));
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (a, b)) in found.iter().zip(&expected).enumerate() {
        assert!((a - b).abs() <= 1e-4 * scale, "{what}[{i}]: {a}, not {b}");
    }
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

fn check<C: Cell>(
    what: &str,
    config: RecurrentConfig<C>,
    args: impl Fn() -> ForwardArgs<'static, C::State>,
    nan: bool,
) {
    let expected = run(&config, &Device::flex(), &args, nan);
    let found = run(&config, &Device::wgpu(DeviceKind::Cpu), &args, nan);
    for ((name, found), (_, expected)) in found.into_iter().zip(expected) {
        close(&format!("{name} of {what}"), found, expected);
    }
}

#[test]
fn layers_agree() {
    let lengths = || ForwardArgs::default().with_lengths(&[6, 3, 1, 4, 5, 2, 6]);
    let keyed = || ForwardArgs::default().with_dropout_key(Some(Key::new(1)));
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
}
