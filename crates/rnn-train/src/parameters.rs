//! Passes over the parameters of a module: numbering their ids, averaging weights, scaling gradients.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

/// `module` with parameter ids numbered in order, so that equal weights give equal files in every process.
pub(crate) fn numbered<M: Module>(module: M) -> M {
    module.map(&mut Numbered(0))
}

struct Numbered(u64);

impl ModuleMapper for Numbered {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.0 += 1;
        Param::initialized(ParamId::from(self.0), param.val())
    }
}

/// `average ← decay·average + (1−decay)·weights`, for two models with the same structure and parameter ids (after
/// Polyak and Juditsky, 1992).
pub(crate) fn average<M: Module>(average: M, weights: &M, decay: f64) -> M {
    let mut now = Weights(GradientsParams::new());
    weights.visit(&mut now);
    average.map(&mut Average { weights: now.0, decay })
}

/// All weights by parameter id, without autodiff.
struct Weights(GradientsParams);

impl ModuleVisitor for Weights {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.register(param.id, inner(param.val()));
    }
}

struct Average {
    weights: GradientsParams,
    decay: f64,
}

impl ModuleMapper for Average {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(weight) = self.weights.get::<D>(param.id) else { return param };
        let decay = self.decay;
        param.map(|average| inner(average) * decay + weight * (1.0 - decay))
    }
}

fn inner<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    if tensor.is_autodiff() { tensor.inner() } else { tensor }
}

/// The gradients of `module` multiplied by `factor`.
pub(crate) fn scaled<M: Module>(module: &M, grads: GradientsParams, factor: f64) -> GradientsParams {
    let mut scaled = Scaled { from: grads, to: GradientsParams::new(), factor };
    module.visit(&mut scaled);
    scaled.to
}

struct Scaled {
    from: GradientsParams,
    to: GradientsParams,
    factor: f64,
}

impl ModuleVisitor for Scaled {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.from.remove::<D>(param.id) {
            self.to.register(param.id, grad * self.factor);
        }
    }
}

/// The parameter of Burn's `Embedding` in `module`, if there is one that trains, and no second.
pub(crate) fn embedding<M: Module>(module: &M) -> Option<(ParamId, Tensor<2>)> {
    let mut found = Embeddings { inside: false, tables: Vec::new() };
    module.visit(&mut found);
    if found.tables.len() == 1 { found.tables.pop() } else { None }
}

struct Embeddings {
    inside: bool,
    tables: Vec<(ParamId, Tensor<2>)>,
}

/// What Burn calls the container of an `Embedding`'s parameter.
const EMBEDDING: &str = "Struct:Embedding";

impl ModuleVisitor for Embeddings {
    fn enter_module(&mut self, _: &str, container: &str) {
        self.inside |= container == EMBEDDING;
    }

    fn exit_module(&mut self, _: &str, container: &str) {
        self.inside &= container != EMBEDDING;
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        if self.inside && D == 2 && tensor.is_require_grad() {
            let [rows, columns] = [tensor.dims()[0], tensor.dims()[D - 1]];
            self.tables.push((param.id, tensor.reshape([rows, columns])));
        }
    }
}

/// `module` with another value for the parameter `id`.
pub(crate) fn with_value<M: Module>(module: M, id: ParamId, value: Tensor<2>) -> M {
    module.map(&mut Value { id, value: Some(value) })
}

struct Value {
    id: ParamId,
    value: Option<Tensor<2>>,
}

impl ModuleMapper for Value {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if param.id != self.id {
            return param;
        }
        match self.value.take() {
            Some(value) => {
                let shape: [usize; D] = param.val().dims();
                let trains = param.val().is_require_grad();
                let value = value.reshape(shape);
                Param::initialized(param.id, if trains { value.detach().require_grad() } else { value })
            }
            None => param,
        }
    }
}
