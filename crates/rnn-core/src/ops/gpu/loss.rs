//! Cross-entropy, among classes and of a yes or no: the gradient is made in the forward pass.

use super::tensors::{buffer, direct, direct_int, reachable, tensor};
use crate::ops::graph::{self, Dispatched, Operand, Operation, OutputGrads, Outputs};
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Cube, TensorMetadata};
use burn::tensor::{DType, Int, IntDType, Shape, Tensor};
use burn_cubecl::tensor::CubeTensor;
use rnn_gpu::{Buffer, loss};

/// `None` where the tensors lie elsewhere, do not fit together, or the logits are not f32.
pub(crate) fn cross_entropy(logits: &Tensor<2>, targets: &Tensor<1, Int>) -> Option<Tensor<1>> {
    let [rows, classes] = logits.dims();
    if rows == 0 || classes == 0 || targets.dims() != [rows] || logits.dtype() != DType::F32 {
        return None;
    }
    run(Cube::operand(logits)?, targets, Some(classes))
}

/// The same of a logit for each row, whose target is 0 or 1.
pub(crate) fn binary_cross_entropy(logits: &Tensor<1>, targets: &Tensor<1, Int>) -> Option<Tensor<1>> {
    if logits.dims()[0] == 0 || targets.dims() != logits.dims() || logits.dtype() != DType::F32 {
        return None;
    }
    run(Cube::operand(logits)?, targets, None)
}

fn run(logits: Operand<Cube>, targets: &Tensor<1, Int>, classes: Option<usize>) -> Option<Tensor<1>> {
    reachable().ok()?;
    let targets = targets.clone().cast(IntDType::I32);
    let targets = if targets.is_autodiff() { targets.inner() } else { targets };
    let targets = buffer(&direct_int(targets.try_into_primitive::<Cube>().ok()?));
    let operation = CrossEntropy { logits: direct(logits.primitive()), targets, classes };
    Some(Cube::tensor(graph::run(operation, [Some(&logits)]).main))
}

struct CrossEntropy {
    logits: CubeTensor,
    targets: Buffer,
    /// `None` for a logit a row.
    classes: Option<usize>,
}

impl Operation<Cube, 1> for CrossEntropy {
    /// The gradient of the loss.
    type Saved = FloatTensor<Cube>;

    fn forward(self, [wanted]: [bool; 1]) -> (Outputs<FloatTensor<Cube>>, Option<Self::Saved>) {
        let Self { logits, targets, classes } = self;
        let (client, values, rows) = (&logits.client, buffer(&logits), targets.len());
        let (value, gradient) = match classes {
            Some(classes) => loss::cross_entropy(client, [rows, classes], &values, &targets, wanted),
            None => loss::binary_cross_entropy(client, &values, &targets, wanted),
        };
        let gradient = gradient.map(|gradient| match classes {
            Some(classes) => tensor(&logits, &gradient, [rows, classes]),
            None => tensor(&logits, &gradient, [rows]),
        });
        (Outputs { main: tensor(&logits, &value, [1]), others: Vec::new() }, gradient)
    }

    fn backward(
        gradient: Self::Saved,
        grads: OutputGrads<FloatTensor<Cube>>,
        _: [bool; 1],
    ) -> [Option<FloatTensor<Cube>>; 1] {
        let ones = Shape::from(vec![1; gradient.shape().num_dims()]);
        [Some(Cube::float_mul(gradient, Cube::float_reshape(grads.main, ones)))]
    }
}
