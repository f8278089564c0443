//! Rows of a table, and a layer that looks up what it would make of them.

use crate::cell::Cell;
use crate::checks::check_place;
use crate::{DropoutMasks, Exec, Recurrent, RnnError};
use burn::module::Param;
use burn::tensor::{Int, Tensor};

/// The rows of `weight`, `[n, d]`, that `ids`, `[batch, time]`, name: `[batch, time, d]`, as `burn::nn::Embedding`
/// gives them.
///
/// On `flex` and `ndarray`, in f32 and f64 and without gradient checkpointing, the gradient of the table is made in one
/// buffer, in which the rows that were named are added up in their order; Burn's own is made and copied once more, and
/// for a table of 20,000 words that is a good part of a training step. Elsewhere it is Burn's.
///
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// # use rnn_core::burn;
/// let device = Device::default();
/// let table = Tensor::<2>::from_floats([[1.0, 2.0], [3.0, 4.0]], &device);
/// let rows = rnn_core::embedding(table, Tensor::<2, Int>::from_ints([[1, 0, 1]], &device));
/// assert_eq!(rows.into_data().iter::<f32>().collect::<Vec<_>>(), [3.0, 4.0, 1.0, 2.0, 3.0, 4.0]);
/// ```
///
/// # Panics
/// On `flex` and `ndarray`, on an id that is negative or not below n; a GPU does not look.
pub fn embedding(weight: Tensor<2>, ids: Tensor<2, Int>) -> Tensor<3> {
    embedding_with(Exec::default(), weight, ids)
}

/// [`embedding`], with the instruction set and the number of threads of the CPU kernels.
///
/// # Panics
/// Where `embedding` does.
pub fn embedding_with(exec: Exec, weight: Tensor<2>, ids: Tensor<2, Int>) -> Tensor<3> {
    #[cfg(feature = "kernels")]
    if let Some(rows) = crate::ops::cpu::embedding(exec, &weight, &ids) {
        return rows;
    }
    let _ = exec;
    burn::tensor::module::embedding(weight, ids)
}

impl<C: Cell> Recurrent<C> {
    /// The layer over the ids themselves: of [`Input::symbols`](crate::Input::symbols) it gives what this layer gives
    /// for the rows of `table`, `[n, d_input]`, that the ids name.
    ///
    /// `E·W_ih` is made here once, `[n, gates·d_hidden]` for each direction of the first layer, and a word's input
    /// product is looked up from then on: the input product of the first layer is saved where the words are more than
    /// n. For evaluation: the products are a copy that does not train, and dropout of the input, which acts on
    /// features, is off.
    ///
    /// # Errors
    /// A table without rows, or not `d_input` wide, or of another device or dtype than the layer; weights that do
    /// not fit the configuration.
    pub fn over_embedding(&self, table: Tensor<2>) -> Result<Self, RnnError> {
        Ok(self.over_products(self.products(&table)?))
    }

    /// `table·W_ih` for each direction of the first layer.
    ///
    /// # Errors
    /// As [`over_embedding`](Self::over_embedding).
    pub(crate) fn products(&self, table: &Tensor<2>) -> Result<Vec<Tensor<2>>, RnnError> {
        let [n, width] = table.dims();
        if width != self.config.d_input {
            return Err(RnnError::TableWidth { expected: self.config.d_input, found: width });
        }
        if n == 0 {
            return Err(RnnError::ZeroSize { name: "the number of the table's rows" });
        }
        self.check_weights()?;
        let product = |weight: &Param<Tensor<2>>| {
            let weight = weight.val();
            check_place("the table", table, &weight)?;
            let products = untracked(table).matmul(untracked(&weight));
            Ok(match weight.gradient_checkpointing_strategy() {
                Some(strategy) => Tensor::from_inner(products).with_gradient_checkpointing_strategy(strategy),
                None => products,
            })
        };
        self.first_weights().map(product).collect()
    }

    /// The layer over the ids themselves, with what [`products`](Self::products) gave.
    pub(crate) fn over_products(&self, products: Vec<Tensor<2>>) -> Self {
        let mut layer = self.clone();
        layer.config.dropout = 0.0;
        if layer.config.recurrent_dropout == 0.0 {
            layer.config.dropout_masks = DropoutMasks::Shared;
        }
        for (weights, products) in layer.layers.iter_mut().zip(products) {
            layer.config.d_input = products.dims()[0];
            weights.weight_ih = Param::from_tensor(products).set_require_grad(false);
        }
        layer
    }

    /// `W_ih` of each direction of the first layer.
    pub(crate) fn first_weights(&self) -> impl Iterator<Item = &Param<Tensor<2>>> {
        self.layers.iter().take(self.config.direction.count()).map(|weights| &weights.weight_ih)
    }
}

/// The values alone.
fn untracked(tensor: &Tensor<2>) -> Tensor<2> {
    if tensor.is_autodiff() { tensor.clone().inner() } else { tensor.clone() }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::{Direction, Input, Key, LstmCell, RecurrentConfig};
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
        #[cfg(feature = "kernels")]
        for device in [Device::default(), Device::default().autodiff()] {
            let ids = Tensor::from_ints([[1, 0]], &device);
            assert!(
                crate::ops::cpu::embedding(Exec::default(), &Tensor::zeros([7, 5], &device), &ids).is_some(),
                "Burn's own"
            );
        }
        for twice in [false, true] {
            let (ours, our_gradient) = rows_and_gradient(embedding, twice);
            let (theirs, their_gradient) = rows_and_gradient(burn::tensor::module::embedding, twice);
            assert_eq!(ours, theirs);
            our_gradient.assert_approx_eq::<f32>(&their_gradient, burn::tensor::Tolerance::absolute(1e-5));
        }
    }

    #[test]
    fn a_layer_over_the_table_gives_what_it_gives_for_its_rows() {
        let device = Device::default();
        let config = RecurrentConfig { direction: Direction::Bidirectional, ..RecurrentConfig::<LstmCell>::new(5, 6) };
        let layer = config.with_num_layers(2).init(Key::new(4), &device);
        let table = Tensor::<2>::random([7, 5], burn::tensor::Distribution::Default, &device);
        let ids: [u32; 8] = [6, 0, 3, 3, 1, 6, 2, 5];
        let rows =
            embedding(table.clone(), Tensor::<1, Int>::from_ints(ids.map(|id| id as i32), &device).reshape([2, 4]));
        let expected = layer.forward(rows).sequence.into_data();
        let folded = layer.over_embedding(table.clone()).expect("as wide");
        let found = folded.forward(Input::symbols(&ids, [2, 4])).sequence.into_data();
        found.assert_approx_eq::<f32>(&expected, burn::tensor::Tolerance::absolute(1e-6));
        // Input dropout goes, and with it the choice of its masks.
        let mut dropped = layer.clone();
        (dropped.config.dropout, dropped.config.dropout_masks) = (0.2, DropoutMasks::PerGate);
        let dropped = dropped.over_embedding(table.clone()).expect("as wide");
        assert_eq!(dropped.forward(Input::symbols(&ids, [2, 4])).sequence.into_data(), found);
        let error = layer.over_embedding(Tensor::zeros([7, 4], &device)).expect_err("too narrow");
        assert_eq!(error, RnnError::TableWidth { expected: 5, found: 4 });
        let error = layer.over_embedding(Tensor::zeros([0, 5], &device)).expect_err("no rows");
        assert_eq!(error.to_string(), "the number of the table's rows is 0; it must be at least 1");
        let error = layer.over_embedding(table.cast(burn::tensor::FloatDType::F64)).expect_err("another dtype");
        assert_eq!(error.to_string(), "the table is F64, but the layer's weights are F32");
        let mut other = layer.clone();
        other.layers[0].weight_ih = Param::from_tensor(Tensor::zeros([6, 24], &device));
        let error = other.over_embedding(Tensor::zeros([7, 5], &device)).expect_err("other weights");
        assert!(matches!(error, RnnError::WeightShape { .. }), "{error}");
    }

    #[test]
    fn a_layer_that_trains_can_be_put_over_a_table() {
        let device = Device::default().autodiff();
        let layer = RecurrentConfig::<LstmCell>::new(5, 6).init(Key::new(4), &device);
        let table = Tensor::<2>::ones([7, 5], &device).require_grad();
        let folded = layer.over_embedding(table.clone()).expect("as wide");
        let sum = folded.forward(Input::symbols(&[3, 6], [1, 2])).sequence.sum();
        // The table's products are a copy, and do not train.
        let grads = sum.backward();
        assert!(table.grad(&grads).is_none());
        assert!(folded.layers[0].weight_ih.val().grad(&grads).is_none());
        assert!(folded.layers[0].weight_hh.as_ref().expect("it multiplies h").val().grad(&grads).is_some());
        // Nor does it matter how the graph is kept.
        let device = Device::default().autodiff().gradient_checkpointing();
        let kept = RecurrentConfig::<LstmCell>::new(5, 6).init(Key::new(4), &device);
        let table_there = Tensor::<2>::ones([7, 5], &device).require_grad();
        let folded = kept.over_embedding(table_there).expect("as wide");
        let sum = folded.forward(Input::symbols(&[3, 6], [1, 2])).sequence.sum();
        assert!(folded.layers[0].weight_hh.as_ref().expect("it multiplies h").val().grad(&sum.backward()).is_some());
        // A table that trains does not make a plain layer one that does.
        let plain = RecurrentConfig::<LstmCell>::new(5, 6).init(Key::new(4), &Device::default());
        let folded = plain.over_embedding(table).expect("as wide");
        assert!(!folded.layers[0].weight_ih.val().is_autodiff());
    }

    #[test]
    #[should_panic(expected = "id 7 at [0, 1]: the table has 7 rows")]
    fn an_id_beyond_the_table_is_refused() {
        let device = Device::default();
        embedding(Tensor::zeros([7, 5], &device), Tensor::from_ints([[6, 7]], &device));
    }
}
