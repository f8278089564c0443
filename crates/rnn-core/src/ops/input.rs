//! The input's part of the sums, in plain tensor operations.

use super::{Counted, LayerInput};
use crate::cell::{finish, masked_product};
use crate::layer::Layer;
use burn::module::Param;
use burn::tensor::{Int, Tensor, TensorData};

/// The input weights as a pass uses them.
#[derive(Debug, Clone)]
pub(crate) struct InputWeights {
    /// `W_ih`, `[d_input, gates·d_hidden]`.
    pub weight: Tensor<2>,
    /// `b_ih`, `[gates·d_hidden]`.
    pub bias: Option<Tensor<1>>,
    /// The gain of the normalised product, `[gates·d_hidden]`; without it the product is not normalised.
    pub gain: Option<Tensor<1>>,
    /// The dropout masks of the input, `[batch, d_input]`, of 0 or 1/(1−p) and the same at every step: none, one for all
    /// gates, or one for each gate.
    pub masks: Vec<Tensor<2>>,
}

impl InputWeights {
    pub fn new(layer: &Layer, masks: Vec<Tensor<2>>) -> Self {
        Self {
            weight: layer.weight_ih.val(),
            bias: layer.bias_ih.as_ref().map(Param::val),
            gain: layer.norm_ih.as_ref().map(Param::val),
            masks,
        }
    }

    /// `(x ∘ mask)·W_ih + b_ih`, normalised where the layer asks for it, for all steps at once:
    /// `[time, batch, gates·d_hidden]`. Steps that do not count are read as zero.
    pub fn products(&self, input: &LayerInput, counted: &Counted) -> Tensor<3> {
        let (products, [time, batch]) = match input {
            LayerInput::Dense(rows) | LayerInput::Rows { rows, .. } => {
                // Zero before the product: in its gradient NaN·0 would be NaN.
                let rows = counted.zeroed(rows.clone());
                let [time, batch, d_input] = rows.dims();
                let products = masked_product(&self.masks, self.weight.clone(), |mask| {
                    let rows = match mask {
                        Some(mask) => rows.clone() * mask.clone().unsqueeze_dim(0),
                        None => rows.clone(),
                    };
                    rows.reshape([time * batch, d_input])
                });
                (products, [time, batch])
            }
            LayerInput::Symbols { symbols, batch } => {
                let time = symbols.len() / batch;
                let by_time = (0..time).flat_map(|t| (0..*batch).map(move |row| i64::from(symbols[row * time + t])));
                let indices = TensorData::new(by_time.collect::<Vec<i64>>(), [symbols.len()]);
                let indices = Tensor::<1, Int>::from_data(indices, &self.weight.device().inner());
                let rows = self.weight.clone().select(0, indices);
                let [_, width] = rows.dims();
                let rows = counted.zeroed(rows.reshape([time, *batch, width]));
                (rows.reshape([symbols.len(), width]), [time, *batch])
            }
        };
        let products = finish(products, self.gain.clone(), self.bias.clone());
        let [_, width] = products.dims();
        products.reshape([time, batch, width])
    }
}
