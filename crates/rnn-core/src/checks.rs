//! Whether a configuration can be, and whether what a layer is given fits it.

use crate::args::{ForwardArgs, MaskedOutput};
use crate::cell::{Bias, Cell};
use crate::config::{DropoutMasks, RecurrentConfig};
use crate::init::Initializer;
use crate::layer::Recurrent;
use crate::ops::Counted;
use crate::{Key, RnnError};
use burn::module::Param;
use burn::tensor::{Device, Tensor};

impl<C: Cell> RecurrentConfig<C> {
    /// Whether such a layer can be, and each of its options does something.
    pub(crate) fn check(&self) -> Result<(), RnnError> {
        if self.d_hidden.is_empty() {
            return Err(RnnError::NoLayers);
        }
        if self.d_input == 0 {
            return Err(RnnError::ZeroSize { name: "d_input" });
        }
        if self.d_hidden.contains(&0) {
            return Err(RnnError::ZeroSize { name: "d_hidden" });
        }
        let smallest = self.d_hidden.iter().copied().min().unwrap_or_default();
        if let Some(proj_size) = self.cell.proj_size().filter(|&size| size == 0 || size >= smallest) {
            return Err(RnnError::ProjectionSize { proj_size, d_hidden: smallest });
        }
        self.cell.check()?;
        let mut d_input = self.d_input;
        for &d_hidden in &self.d_hidden {
            let width = self.cell.proj_size().unwrap_or(d_hidden);
            let rows = d_input.checked_add(width);
            let columns = self.cell.gates().checked_mul(d_hidden);
            // In f64, as they are drawn.
            let bytes = rows.zip(columns).and_then(|(r, c)| r.checked_mul(c)).and_then(|n| n.checked_mul(8));
            if bytes.is_none_or(|bytes| bytes > isize::MAX as usize) {
                return Err(RnnError::TooLarge { d_input, d_hidden });
            }
            d_input = self.direction.count().saturating_mul(width);
        }
        let own = &self.initializers;
        for (parameter, initializer) in [("input", own.input), ("recurrent", own.recurrent), ("bias", own.bias)] {
            let right = match initializer {
                Initializer::Constant(value) | Initializer::Identity(value) => value.is_finite(),
                Initializer::Uniform(limit) => limit.is_finite() && limit >= 0.0,
                _ => true,
            };
            if !right {
                return Err(RnnError::Initializer {
                    initializer: format!("{initializer:?}"),
                    parameter,
                    reason: "its number must be finite, and a limit not below 0".into(),
                });
            }
        }
        let probabilities = [
            ("dropout", self.dropout),
            ("layer_dropout", self.layer_dropout),
            ("recurrent_dropout", self.recurrent_dropout),
            ("weight_dropout", self.weight_dropout),
            ("zoneout.hidden", self.zoneout.hidden),
            ("zoneout.cell", self.zoneout.cell),
        ];
        if let Some(&(name, value)) = probabilities.iter().find(|(_, value)| !(0.0..1.0).contains(value)) {
            return Err(RnnError::Probability { name, value });
        }
        self.check_effects()?;
        if matches!(self.bias, Bias::None) {
            return Ok(());
        }
        match self.initializers.bias {
            Initializer::GlorotUniform | Initializer::Orthogonal | Initializer::Identity(_) => {
                self.initializers.bias.vector(1, 1, Key::new(0)).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Whether each option that was set does something.
    fn check_effects(&self) -> Result<(), RnnError> {
        let no_effect = |option: String, reason| Err(RnnError::NoEffect { option, reason });
        if self.layer_dropout > 0.0 && self.d_hidden.len() == 1 {
            return no_effect(
                format!("layer_dropout = {}", self.layer_dropout),
                "it acts between layers, and there is one; stack layers, or use dropout or recurrent_dropout",
            );
        }
        if self.zoneout.cell > 0.0 && self.cell.state_tensors() < 2 {
            return no_effect(
                format!("zoneout.cell = {}", self.zoneout.cell),
                "this cell has no c; use zoneout.hidden alone",
            );
        }
        if self.dropout_masks == DropoutMasks::PerGate && self.dropout == 0.0 && self.recurrent_dropout == 0.0 {
            return no_effect(
                "dropout_masks = PerGate".into(),
                "neither dropout nor recurrent_dropout is above 0; set one of them, or leave the masks shared",
            );
        }
        let no_product = [
            ("recurrent_dropout", self.recurrent_dropout, "use dropout or zoneout"),
            ("weight_dropout", self.weight_dropout, "use dropout or zoneout"),
        ];
        for (name, value, instead) in no_product.into_iter().filter(|_| !self.cell.has_w_hh()) {
            if value > 0.0 {
                return Err(RnnError::NoRecurrentProduct { option: format!("{name} = {value}"), instead });
            }
        }
        if self.bias == Bias::Two && !self.cell.has_w_hh() {
            return Err(RnnError::NoRecurrentProduct { option: "bias = Two".into(), instead: "use Bias::One" });
        }
        if self.layer_norm && self.d_hidden.contains(&1) {
            return Err(RnnError::NormOfOne);
        }
        Ok(())
    }
}

impl<C: Cell> Recurrent<C> {
    /// Checks that weights and configuration, which are public, still fit each other.
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
            let first = self.layers[0].weight_ih.val();
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
            let biases = [weights.bias_ih.is_some(), weights.bias_hh.is_some()];
            let complete = weights.vectors.len() == vectors.len()
                && biases == [config.bias != Bias::None, config.bias == Bias::Two]
                && weights.weight_hr.is_some() == config.cell.proj_size().is_some()
                && weights.norm_ih.is_some() == config.layer_norm
                && weights.weight_hh.is_some() == config.cell.has_w_hh()
                && weights.norm_hh.is_some() == (config.layer_norm && config.cell.has_w_hh());
            if !complete {
                return Err(RnnError::Parameters { layer });
            }
            matrix("weight_ih", &weights.weight_ih, [i, gates * h])?;
            weights.weight_hh.iter().try_for_each(|w| matrix("weight_hh", w, [p, gates * h]))?;
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
pub(crate) fn check_counted<S>([batch, time]: [usize; 2], args: &ForwardArgs<S>) -> Result<Counted, RnnError> {
    match (args.lengths, args.mask) {
        (None, None) if args.masked_output == MaskedOutput::Previous => Err(RnnError::NoEffect {
            option: "masked_output = Previous".into(),
            reason: "all steps count; give lengths or a mask",
        }),
        (None, None) => Ok(Counted::All),
        (Some(_), Some(_)) => Err(RnnError::LengthsAndMask),
        (None, Some(mask)) if mask.len() != batch * time => Err(RnnError::MaskSize { batch, time, found: mask.len() }),
        (None, Some(mask)) => Ok(Counted::Mask(mask.into())),
        (Some(lengths), None) if lengths.len() != batch => {
            Err(RnnError::LengthCount { expected: batch, found: lengths.len() })
        }
        (Some(lengths), None) => match lengths.iter().position(|&length| length > time) {
            Some(row) => Err(RnnError::LengthTooLong { row, length: lengths[row], time }),
            None => Ok(Counted::Lengths(lengths.into())),
        },
    }
}

/// The resets, if there are any and they fit.
pub(crate) fn check_resets<'a, S>(
    [batch, time]: [usize; 2],
    args: &ForwardArgs<'a, S>,
) -> Result<Option<&'a [bool]>, RnnError> {
    match args.resets {
        Some(resets) if resets.len() != batch * time => Err(RnnError::ResetCount { batch, time, found: resets.len() }),
        resets => Ok(resets),
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
