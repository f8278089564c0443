//! Whether what a layer is given fits it.

use crate::RnnError;
use crate::args::{ForwardArgs, MaskedOutput};
use crate::cell::Cell;
use crate::layer::Recurrent;
use crate::ops::Counted;
use burn::module::Param;
use burn::tensor::{Device, Tensor};

impl<C: Cell> Recurrent<C> {
    /// Weights and configuration are public; whoever changed some is told here if they do not fit.
    pub(crate) fn check_weights(&self) -> Result<(), RnnError> {
        let config = &self.config;
        config.check()?;
        let directions = config.direction.count();
        if self.layers.len() != directions * config.d_hidden.len() {
            return Err(RnnError::Parameters { layer: self.layers.len() });
        }
        for (layer, weights) in self.layers.iter().enumerate() {
            let (number, gates) = (layer / directions, config.cell.gates());
            let (h, p, i) = (config.d_hidden[number], config.width(number), config.layer_input(number));
            let first = self.layers[0].weight_hh.val();
            let matrix = |name, param: &Param<Tensor<2>>, expected: [usize; 2]| {
                let value = param.val();
                if value.dims() != expected {
                    let found = value.dims().to_vec();
                    return Err(RnnError::WeightShape { layer, name, expected: expected.to_vec(), found });
                }
                check_place(name, &value, &first)
            };
            let vector = |name, param: &Param<Tensor<1>>, expected: usize| {
                let value = param.val();
                if value.dims() != [expected] {
                    let found = value.dims().to_vec();
                    return Err(RnnError::WeightShape { layer, name, expected: vec![expected], found });
                }
                check_place(name, &value, &first)
            };
            let vectors = config.cell.vectors(config.layer_norm);
            let complete = weights.vectors.len() == vectors.len()
                && weights.weight_hr.is_some() == config.cell.proj_size().is_some()
                && weights.norm_ih.is_some() == config.layer_norm
                && weights.norm_hh.is_some() == config.layer_norm;
            if !complete {
                return Err(RnnError::Parameters { layer });
            }
            matrix("weight_ih", &weights.weight_ih, [i, gates * h])?;
            matrix("weight_hh", &weights.weight_hh, [p, gates * h])?;
            weights.weight_hr.iter().try_for_each(|w| matrix("weight_hr", w, [h, p]))?;
            weights.bias_ih.iter().try_for_each(|b| vector("bias_ih", b, gates * h))?;
            weights.bias_hh.iter().try_for_each(|b| vector("bias_hh", b, gates * h))?;
            weights.norm_ih.iter().try_for_each(|gain| vector("norm_ih", gain, gates * h))?;
            weights.norm_hh.iter().try_for_each(|gain| vector("norm_hh", gain, gates * h))?;
            vectors.iter().zip(&weights.vectors).try_for_each(|(v, param)| vector(v.name, param, h))?;
        }
        Ok(())
    }
}

/// Which steps count, if that was said in one way and fits.
pub(crate) fn check_counted<'a, S>(
    [batch, time]: [usize; 2],
    args: &ForwardArgs<'a, S>,
) -> Result<Counted<'a>, RnnError> {
    match (args.lengths, args.mask) {
        (None, None) if args.masked_output == MaskedOutput::Previous => Err(RnnError::NoEffect {
            option: "masked_output = Previous".into(),
            reason: "all steps count; give lengths or a mask",
        }),
        (None, None) => Ok(Counted::All),
        (Some(_), Some(_)) => Err(RnnError::LengthsAndMask),
        (None, Some(mask)) if mask.len() != batch * time => Err(RnnError::MaskSize { batch, time, found: mask.len() }),
        (None, Some(mask)) => Ok(Counted::Mask(mask)),
        (Some(lengths), None) if lengths.len() != batch => {
            Err(RnnError::LengthCount { expected: batch, found: lengths.len() })
        }
        (Some(lengths), None) => match lengths.iter().position(|&length| length > time) {
            Some(row) => Err(RnnError::LengthTooLong { row, length: lengths[row], time }),
            None => Ok(Counted::Lengths(lengths)),
        },
    }
}

/// A given state fits its layer's weights.
pub(crate) fn check_state(
    (index, name): (usize, &'static str),
    state: &Tensor<2>,
    expected: [usize; 2],
    weight: &Tensor<2>,
) -> Result<(), RnnError> {
    let found = state.dims();
    if found != expected {
        return Err(RnnError::StateShape { state: index, tensor: name, expected, found });
    }
    check_place("initial state", state, weight)
}

/// `tensor` lies where `weight` does, and is of its dtype.
pub(crate) fn check_place<const D: usize>(
    what: &'static str,
    tensor: &Tensor<D>,
    weight: &Tensor<2>,
) -> Result<(), RnnError> {
    // Device equality ignores autodiff: an untracked input goes with tracked weights. Where both are tracked, they must
    // keep their graphs in the same way.
    let both = tensor.is_autodiff() && weight.is_autodiff();
    let strategy = |device: &Device| device.gradient_checkpointing_strategy();
    let (here, there) = (tensor.device(), weight.device());
    if here != there || both && strategy(&here) != strategy(&there) {
        return Err(RnnError::Device {
            what,
            expected: format!("{:?}", weight.device()),
            found: format!("{:?}", tensor.device()),
        });
    }
    if tensor.dtype() != weight.dtype() {
        return Err(RnnError::DType {
            what,
            expected: format!("{:?}", weight.dtype()),
            found: format!("{:?}", tensor.dtype()),
        });
    }
    Ok(())
}
