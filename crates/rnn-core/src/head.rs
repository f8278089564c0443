//! What usually stands behind a recurrent layer: a dense layer, and the loss of a choice among classes.

use crate::Exec;
use burn::nn::Linear;
use burn::nn::loss::{BinaryCrossEntropyLossConfig, CrossEntropyLossConfig};
use burn::tensor::{Int, Tensor};

/// `layer.forward(input)` for `input`, `[rows, d_input]`: `input·weight + bias`, `[rows, d_output]`.
///
/// On `flex` and `ndarray`, in f32 and f64 and without gradient checkpointing, a layer with a bias is one node of the
/// graph on the kernels of the recurrent layers. Elsewhere it is Burn's.
///
/// # Panics
/// On an input of another width.
pub fn linear(layer: &Linear, input: Tensor<2>) -> Tensor<2> {
    linear_with(Exec::default(), layer, input)
}

/// [`linear`], with the instruction set and the number of threads of the CPU kernels.
///
/// # Panics
/// Where `linear` does, and on an instruction set that the machine does not have.
pub fn linear_with(exec: Exec, layer: &Linear, input: Tensor<2>) -> Tensor<2> {
    #[cfg(feature = "kernels")]
    if let Some(bias) = &layer.bias
        && let Some(output) = crate::ops::cpu::linear(exec, &input, &layer.weight.val(), &bias.val())
    {
        return output;
    }
    let _ = exec;
    layer.forward(input)
}

/// The mean over the rows of `logits`, `[rows, classes]`, of `−ln softmax(row)[target]`, for `targets`, `[rows]`:
/// `[1]`, as `burn::nn::loss::CrossEntropyLoss` gives it.
///
/// On `flex` and `ndarray`, in f32 and f64 and without gradient checkpointing, it is one node of the graph, which makes
/// the gradient in the same pass; on a GPU in f32 it is two launches. Elsewhere it is Burn's.
///
/// # Panics
/// On `flex` and `ndarray`, on a target that is negative or not below the number of classes; a GPU does not look. On
/// another number of targets than of rows.
pub fn cross_entropy(logits: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    cross_entropy_with(Exec::default(), logits, targets)
}

/// [`cross_entropy`], with the instruction set and the number of threads of the CPU kernels.
///
/// # Panics
/// Where `cross_entropy` does, and on an instruction set that the machine does not have.
pub fn cross_entropy_with(exec: Exec, logits: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    #[cfg(feature = "kernels")]
    if let Some(loss) = crate::ops::cpu::cross_entropy(exec, &logits, &targets) {
        return loss;
    }
    #[cfg(feature = "gpu")]
    if let Some(loss) = crate::ops::gpu::cross_entropy(&logits, &targets) {
        return loss;
    }
    let _ = exec;
    CrossEntropyLossConfig::new().init(&logits.device()).forward(logits, targets)
}

/// The mean over the rows of `−ln σ(logit)` where the target is 1 and `−ln(1 − σ(logit))` where it is 0, for `logits` and
/// `targets`, `[rows]`: `[1]`, as `burn::nn::loss::BinaryCrossEntropyLoss` gives it of logits.
///
/// On a GPU, in f32 and without gradient checkpointing, it is one launch with its gradient; elsewhere it is Burn's.
///
/// # Panics
/// On another number of targets than of logits.
pub fn binary_cross_entropy(logits: Tensor<1>, targets: Tensor<1, Int>) -> Tensor<1> {
    #[cfg(feature = "gpu")]
    if let Some(loss) = crate::ops::gpu::binary_cross_entropy(&logits, &targets) {
        return loss;
    }
    BinaryCrossEntropyLossConfig::new().with_logits(true).init(&logits.device()).forward(logits, targets)
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::{Key, Preset};
    use burn::module::Param;
    use burn::tensor::{Device, FloatDType, TensorData, Tolerance};

    type Logits = fn(&Linear, Tensor<2>) -> Tensor<2>;
    type Loss = fn(Tensor<2>, Tensor<1, Int>) -> Tensor<1>;

    const BURN: (Logits, Loss) = (
        |layer, input| layer.forward(input),
        |logits, targets| CrossEntropyLossConfig::new().init(&logits.device()).forward(logits, targets),
    );

    fn input(device: &Device) -> Tensor<2> {
        let values: Vec<f32> = Key::new(1).normals(9 * 6).map(|x| x as f32).collect();
        Tensor::from_data(TensorData::new(values, [6, 9]), device).transpose()
    }

    /// The loss, and the gradients of the input, the weight and the bias.
    fn all(device: &Device, (linear, loss): (Logits, Loss), dtype: FloatDType, share: f32) -> Vec<TensorData> {
        let mut layer = Preset::Pytorch.linear(6, 5, Key::new(2), device);
        layer.weight = Param::from_tensor(Tensor::from_inner(layer.weight.val().inner().cast(dtype)));
        layer.bias = layer.bias.map(|bias| Param::from_tensor(Tensor::from_inner(bias.val().inner().cast(dtype))));
        let input = input(&Device::default()).cast(dtype).autodiff().require_grad();
        let targets = Tensor::from_ints([0, 4, 2, 2, 1, 3, 0, 4, 2], device);
        let loss = loss(linear(&layer, input.clone()), targets) * share;
        let value = loss.clone().into_data();
        let grads = loss.backward();
        let weight = layer.weight.val().grad(&grads).map(Tensor::into_data);
        let bias = layer.bias.and_then(|bias| bias.val().grad(&grads)).map(Tensor::into_data);
        let input = input.grad(&grads).map(Tensor::into_data);
        [Some(value), input, weight, bias].map(|data| data.expect("a gradient")).to_vec()
    }

    #[test]
    fn values_and_gradients_are_those_of_burn() {
        let device = Device::default().autodiff();
        for (dtype, bound) in [(FloatDType::F32, 1e-6), (FloatDType::F64, 1e-14)] {
            for share in [1.0, 0.25] {
                let ours = all(&device, (linear, cross_entropy), dtype, share);
                for (ours, theirs) in ours.into_iter().zip(all(&device, BURN, dtype, share)) {
                    ours.assert_approx_eq::<f64>(&theirs, Tolerance::absolute(bound));
                }
            }
        }
    }

    #[test]
    #[cfg(feature = "kernels")]
    fn they_run_on_the_kernels_with_and_without_a_graph() {
        for device in [Device::default(), Device::default().autodiff()] {
            let layer = Preset::Pytorch.linear(6, 5, Key::new(2), &device);
            let bias = layer.bias.as_ref().expect("it has one").val();
            let logits = crate::ops::cpu::linear(Exec::default(), &input(&device), &layer.weight.val(), &bias);
            let logits = logits.expect("on the kernels");
            assert_eq!(logits.dims(), [9, 5]);
            let targets = Tensor::from_ints([1; 9], &device);
            assert!(crate::ops::cpu::cross_entropy(Exec::default(), &logits, &targets).is_some());
        }
    }

    #[test]
    fn without_a_bias_there_is_none() {
        let device = Device::default();
        let layer = Linear { bias: None, ..Preset::Pytorch.linear(6, 5, Key::new(2), &device) };
        let expected = input(&device).matmul(layer.weight.val()).into_data();
        linear(&layer, input(&device)).into_data().assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-6));
    }

    /// Parts that do not train, whether on the graph's side or not, get no gradient, and the others theirs; the sum's
    /// gradient is a single one, expanded.
    #[test]
    fn what_does_not_train_gets_no_gradient() {
        let device = Device::default().autodiff();
        let values = input(&Device::default());
        let layer = Preset::Pytorch.linear(6, 5, Key::new(2), &device);
        let (weight, bias) = (layer.weight.val().inner(), layer.bias.expect("it has one").val().inner());
        let column = |x: f32| TensorData::new(vec![x; 5], [5]);
        for trains in (1..8).map(|bits| [bits & 1 > 0, bits & 2 > 0, bits & 4 > 0]) {
            for lifted in [false, true] {
                let leaf = |trains| if trains || lifted { Some(trains) } else { None };
                fn placed<const D: usize>(tensor: &Tensor<D>, leaf: Option<bool>) -> Tensor<D> {
                    leaf.map_or(tensor.clone(), |trains| tensor.clone().autodiff().set_require_grad(trains))
                }
                let (x, w, b) = (
                    placed(&values, leaf(trains[0])),
                    placed(&weight, leaf(trains[1])),
                    placed(&bias, leaf(trains[2])),
                );
                let output = output_of(&x, &w, &b);
                let grads = output.sum().backward();
                let [d_x, d_w] = [(&x, trains[0]), (&w, trains[1])].map(|(t, trains)| match trains {
                    true => t.grad(&grads).map(Tensor::into_data),
                    false => None,
                });
                let d_b = if trains[2] { b.grad(&grads).map(Tensor::into_data) } else { None };
                assert_eq!([d_x.is_some(), d_w.is_some(), d_b.is_some()], trains);
                let near = |found: Option<TensorData>, expected: TensorData| {
                    found.inspect(|found| found.assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-5)));
                };
                near(d_b, column(9.0));
                near(d_x, weight.clone().sum_dim(1).transpose().expand([9, 6]).into_data());
                near(d_w, values.clone().sum_dim(0).transpose().expand([6, 5]).into_data());
            }
        }
    }

    fn output_of(input: &Tensor<2>, weight: &Tensor<2>, bias: &Tensor<1>) -> Tensor<2> {
        #[cfg(feature = "kernels")]
        return crate::ops::cpu::linear(Exec::default(), input, weight, bias).expect("on the kernels");
        #[cfg(not(feature = "kernels"))]
        burn::tensor::module::linear(input.clone(), weight.clone(), Some(bias.clone()))
    }

    /// A layer that feeds itself: one tensor is both factors.
    #[test]
    fn a_tensor_used_twice_gets_both_gradients() {
        let device = Device::default().autodiff();
        let square = Tensor::<2>::from_floats([[1.0, 2.0], [3.0, 4.0]], &device).require_grad();
        let output = output_of(&square, &square, &Tensor::zeros([2], &device));
        let gradient = square.grad(&output.sum().backward()).expect("a gradient");
        // Σ(A·A): 1·(A·1)ᵀ + (Aᵀ·1)·1ᵀ
        let found: Vec<f32> = gradient.into_data().iter().collect();
        assert_eq!(found, [7.0, 11.0, 9.0, 13.0]);
    }

    #[test]
    #[should_panic(expected = "target -1 of row 0: there are 5 classes")]
    fn a_negative_target_is_refused() {
        cross_entropy(Tensor::zeros([1, 5], &Device::default()), Tensor::from_ints([-1], &Device::default()));
    }

    #[test]
    #[should_panic(expected = "target 5 of row 1: there are 5 classes")]
    fn a_target_beyond_the_classes_is_refused() {
        cross_entropy(Tensor::zeros([2, 5], &Device::default()), Tensor::from_ints([4, 5], &Device::default()));
    }
}
