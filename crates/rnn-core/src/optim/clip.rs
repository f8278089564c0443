//! Clipping of gradients.

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use std::collections::HashSet;

/// Scales all gradients of `module` together so that their norm is at most `max_norm` (Pascanu, Mikolov and Bengio,
/// 2013; PyTorch's `clip_grad_norm_`):
///
/// ```text
/// norm = √Σ‖g‖²        over all parameters
/// g' = g · min(1, max_norm / (norm + 1e-6))
/// ```
///
/// Burn's own `GradientClipping` clips each tensor by itself. Returns the gradients and the norm before, a tensor
/// `[1]` on the gradients' device, so that nothing waits for it unless it is read. Zero without gradients. As in
/// PyTorch, it is NaN where a gradient is, and then all gradients are; it is infinite where a gradient is or where
/// the squares overflow (f32: beyond 1.8e19), and then the finite gradients become 0.
///
/// A parameter that stands twice in the module counts once.
///
/// # Panics
/// If `max_norm` is not above 0.
pub fn clip_grad_norm<M: Module>(module: &M, grads: GradientsParams, max_norm: f64) -> (GradientsParams, Tensor<1>) {
    assert!(max_norm > 0.0, "max_norm is {max_norm}; it must be more than 0");
    let mut squares = Squares { grads: &grads, seen: HashSet::new(), sum: None };
    module.visit(&mut squares);
    let Some(sum) = squares.sum else {
        let device = module.devices().into_iter().next().unwrap_or_default();
        return (grads, Tensor::zeros([1], &device.inner()));
    };
    let norm = sum.sqrt();
    let scale = ((norm.clone() + 1e-6).recip() * max_norm).clamp_max(1.0);
    let mut scaled = Scaled { grads, seen: HashSet::new(), scale };
    module.visit(&mut scaled);
    (scaled.grads, norm)
}

/// Σ‖g‖².
struct Squares<'a> {
    grads: &'a GradientsParams,
    seen: HashSet<ParamId>,
    sum: Option<Tensor<1>>,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !self.seen.insert(param.id) {
            return;
        }
        let Some(grad) = self.grads.get::<D>(param.id) else { return };
        let square = (grad.clone() * grad).sum();
        self.sum = Some(match self.sum.take() {
            Some(sum) => sum.clone() + square.to_device(&sum.device()).cast(sum.dtype()),
            None => square,
        });
    }
}

struct Scaled {
    grads: GradientsParams,
    seen: HashSet<ParamId>,
    scale: Tensor<1>,
}

impl ModuleVisitor for Scaled {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !self.seen.insert(param.id) {
            return;
        }
        let Some(grad) = self.grads.remove::<D>(param.id) else { return };
        let scale = self.scale.clone().to_device(&grad.device()).cast(grad.dtype());
        self.grads.register(param.id, grad * scale.reshape([1; D]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Key, LstmConfig};
    use burn::tensor::Device;

    #[test]
    fn the_norm_of_all_gradients_together_is_clipped() {
        let device = Device::default().autodiff();
        let lstm = LstmConfig::new(2, 3).with_num_layers(2).init(Key::new(0), &device);
        let loss = || lstm.forward(Tensor::ones([2, 4, 2], &device)).sequence.sum();
        let grads = || GradientsParams::from_grads(loss().backward(), &lstm);
        let values = |grads: &GradientsParams| -> Vec<f64> {
            let flat = |layer: &crate::Layer| {
                let bias = layer.bias_ih.as_ref().expect("one bias");
                let parts = [
                    grads.get::<2>(layer.weight_ih.id).expect("gradient").into_data(),
                    grads
                        .get::<2>(layer.weight_hh.as_ref().expect("it multiplies h").id)
                        .expect("gradient")
                        .into_data(),
                    grads.get::<1>(bias.id).expect("gradient").into_data(),
                ];
                parts.into_iter().flat_map(|data| data.iter::<f64>().collect::<Vec<_>>()).collect::<Vec<_>>()
            };
            lstm.layers.iter().flat_map(flat).collect()
        };
        let norm = |values: &[f64]| values.iter().map(|g| g * g).sum::<f64>().sqrt();
        let before = values(&grads());
        let expected = norm(&before);
        assert!(expected > 0.5);

        let (clipped, told) = clip_grad_norm(&lstm, grads(), 0.5);
        assert!((f64::from(told.into_scalar::<f32>()) - expected).abs() < 1e-5 * expected);
        let after = values(&clipped);
        assert!((norm(&after) - 0.5).abs() < 1e-5);
        // The direction stays.
        assert!(before.iter().zip(&after).all(|(b, a)| (b * 0.5 / expected - a).abs() < 1e-6));

        // A layer that stands twice in a module counts once.
        let tied = vec![lstm.clone(), lstm.clone()];
        let (clipped, told) = clip_grad_norm(&tied, grads(), 0.5);
        assert!((f64::from(told.into_scalar::<f32>()) - expected).abs() < 1e-5 * expected);
        assert!((norm(&values(&clipped)) - 0.5).abs() < 1e-5);

        // A norm that is small enough changes nothing.
        let (same, _) = clip_grad_norm(&lstm, grads(), 2.0 * expected);
        assert_eq!(values(&same), before);
        let (none, zero) = clip_grad_norm(&lstm, GradientsParams::new(), 1.0);
        assert_eq!((none.len(), zero.into_scalar::<f32>()), (0, 0.0));
    }
}
