//! Rows of a table.

use burn::tensor::{Int, Tensor};

/// The rows of `weight`, `[n, d]`, that `ids`, `[batch, time]`, name: `[batch, time, d]`, as `burn::nn::Embedding` gives
/// them.
///
/// On `flex` and `ndarray` the gradient of the table is made in one buffer, in which the rows that were named are added
/// up in their order; Burn's own is made and copied once more, and for a table of 20,000 words that is a good part of a
/// training step. Elsewhere it is Burn's.
///
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// # use rnn_core::burn;
/// let device = Device::default();
/// let table = Tensor::<2>::from_floats([[1.0, 2.0], [3.0, 4.0]], &device);
/// let rows = rnn_core::embedding(table, Tensor::<2, Int>::from_ints([[1, 0, 1]], &device));
/// assert_eq!(rows.into_data().to_vec::<f32>().unwrap(), [3.0, 4.0, 1.0, 2.0, 3.0, 4.0]);
/// ```
///
/// # Panics
/// On an id that is negative or not below n.
pub fn embedding(weight: Tensor<2>, ids: Tensor<2, Int>) -> Tensor<3> {
    #[cfg(feature = "kernels")]
    if let Some(rows) = crate::ops::cpu::embedding(&weight, &ids) {
        return rows;
    }
    burn::tensor::module::embedding(weight, ids)
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::Key;
    use burn::tensor::{Device, TensorData};

    const SHAPE: [usize; 3] = [3, 40, 5];

    /// Rows of a table of 7, and the table's gradient.
    fn rows_and_gradient(
        rows: impl Fn(Tensor<2>, Tensor<2, Int>) -> Tensor<3>,
        twice: bool,
    ) -> (TensorData, TensorData) {
        let device = Device::default().autodiff();
        let numbers = |key, n| Key::new(key).normals(n).map(|x| x as f32).collect::<Vec<f32>>();
        let table = Tensor::<2>::from_data(TensorData::new(numbers(1, 35), [7, 5]), &device).require_grad();
        let ids: Vec<i32> = Key::new(2).uniforms(120).map(|u| (u * 6.0) as i32).collect();
        let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [SHAPE[0], SHAPE[1]]), &device);
        let factor = Tensor::<3>::from_data(TensorData::new(numbers(3, 600), SHAPE), &device);
        let given = rows(table.clone(), ids.clone());
        let mut loss = (given.clone() * factor.clone()).sum();
        if twice {
            // A gradient that does not lie in order, and a table that is used twice.
            loss = loss + (rows(table.clone(), ids).swap_dims(0, 1) * factor.swap_dims(0, 1).powf_scalar(2.0)).sum();
        }
        let gradient = table.grad(&loss.backward()).expect("a gradient");
        (given.into_data(), gradient.into_data())
    }

    #[test]
    fn rows_and_gradient_are_those_of_burn() {
        for twice in [false, true] {
            let (ours, our_gradient) = rows_and_gradient(embedding, twice);
            let (theirs, their_gradient) = rows_and_gradient(burn::tensor::module::embedding, twice);
            assert_eq!(ours, theirs);
            our_gradient.assert_approx_eq::<f32>(&their_gradient, burn::tensor::Tolerance::absolute(1e-5));
        }
    }

    #[test]
    #[should_panic(expected = "id 7 at [0, 1]: the table has 7 rows")]
    fn an_id_beyond_the_table_is_refused() {
        let device = Device::default();
        embedding(Tensor::zeros([7, 5], &device), Tensor::from_ints([[6, 7]], &device));
    }
}
