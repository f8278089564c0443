//! The optimizers that `--optimizer` names, with Keras' defaults.
//!
//! | name | settings | learning rate |
//! |---|---|---|
//! | adam | β 0.9 and 0.999, ε 1e-7 beside √v, not √v̂ | 1e-3 |
//! | adamw | the same, weight decay 4e-3 | 1e-3 |
//! | rmsprop | ρ 0.9, no momentum, ε 1e-7 outside the root: g/(√v+ε) | 1e-3 |
//! | sgd | no momentum | 1e-2 |
//! | adagrad | accumulator from 0.1, ε 1e-7 inside the root: g/√(a+ε) | 1e-3 |
//!
//! RMSprop is Keras 2's; Keras 3 has ε inside the root. They are rnn-core's, which update in one pass over memory.

use crate::Failure;
use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Tensor;
use rnn_core::optim::{Adagrad, Adam, LazyTable, RmsProp, Sgd, clip_grad_norm};
use serde::{Deserialize, Serialize};

/// The optimizers by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerName {
    /// Adam (Kingma and Ba, 2015)
    Adam,
    /// Adam with decoupled weight decay (Loshchilov and Hutter, 2019)
    Adamw,
    /// RMSprop (Hinton, 2012)
    Rmsprop,
    /// Stochastic gradient descent
    Sgd,
    /// Adagrad (Duchi et al., 2011)
    Adagrad,
}

/// The options about the optimizer, the same in every program.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct OptimizerArgs {
    /// Optimizer [default: the program's]
    #[arg(long, value_enum)]
    optimizer: Option<OptimizerName>,
    /// Learning rate [default: Keras' for the optimizer: 0.001, or 0.01 for sgd]
    #[arg(long, value_name = "RATE")]
    learning_rate: Option<f64>,
    /// Momentum, for sgd and rmsprop [default: 0]
    #[arg(long, value_name = "M")]
    momentum: Option<f64>,
    /// Scale the gradients of each step so that the norm of all of them together is at most this [default: no]
    #[arg(long, value_name = "NORM")]
    clip_norm: Option<f64>,
}

/// An optimizer and its settings, checked; saved with a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OptimizerConfig {
    /// Which one.
    pub name: OptimizerName,
    /// The learning rate.
    pub learning_rate: f64,
    /// Momentum of sgd and rmsprop.
    pub momentum: f64,
    /// What the norm of all gradients together is clipped to.
    #[serde(default)]
    pub clip_norm: Option<f64>,
}

impl OptimizerArgs {
    /// The person's choice, or `default`.
    ///
    /// # Errors
    /// As [`OptimizerConfig::check`].
    pub fn resolve(&self, default: OptimizerName) -> Result<OptimizerConfig, Failure> {
        let name = self.optimizer.unwrap_or(default);
        let config = OptimizerConfig {
            learning_rate: self.learning_rate.unwrap_or(match name {
                OptimizerName::Sgd => 1e-2,
                _ => 1e-3,
            }),
            momentum: self.momentum.unwrap_or(0.0),
            clip_norm: self.clip_norm,
            name,
        };
        config.check()?;
        Ok(config)
    }
}

impl OptimizerConfig {
    /// Whether the settings are possible.
    ///
    /// # Errors
    /// A learning rate that is not positive, a momentum outside `[0, 1)` or for an optimizer that has none.
    pub fn check(&self) -> Result<(), Failure> {
        let (rate, momentum) = (self.learning_rate, self.momentum);
        if !usable(rate) {
            return Err(Failure::input(format!(
                "--learning-rate {rate:?} is not possible; give a number above 0, such as 0.001, that single precision has"
            )));
        }
        if !(0.0..1.0).contains(&momentum) {
            return Err(Failure::input(format!(
                "--momentum {momentum} is not possible; give 0 or more and less than 1"
            )));
        }
        if momentum > 0.0 && !matches!(self.name, OptimizerName::Sgd | OptimizerName::Rmsprop) {
            return Err(Failure::input("--momentum is for --optimizer sgd and rmsprop only"));
        }
        if let Some(norm) = self.clip_norm.filter(|norm| !usable(*norm)) {
            return Err(Failure::input(format!(
                "--clip-norm {norm:?} is not possible; give a number above 0, such as 1, that single precision has"
            )));
        }
        Ok(())
    }
}

/// Above 0 and finite, in the precision of the weights too.
fn usable(x: f64) -> bool {
    (x as f32) > 0.0 && (x as f32).is_finite()
}

/// `$function` of the optimizer that a configuration names, and of other arguments.
macro_rules! with_rule {
    ($config:expr, $function:path $(, $argument:expr)*) => {
        match $config.name {
            OptimizerName::Adam => $function(Adam::KERAS $(, $argument)*),
            OptimizerName::Adamw => $function(Adam { weight_decay: 4e-3, ..Adam::KERAS } $(, $argument)*),
            OptimizerName::Rmsprop => {
                $function(RmsProp { momentum: $config.momentum, ..RmsProp::KERAS2 } $(, $argument)*)
            }
            OptimizerName::Sgd => $function(Sgd { momentum: $config.momentum, nesterov: false } $(, $argument)*),
            OptimizerName::Adagrad => $function(Adagrad $(, $argument)*),
        }
    };
}

impl OptimizerConfig {
    /// The gradients of `module` as the optimizer is to have them.
    pub fn clipped<M: Module>(&self, module: &M, grads: GradientsParams) -> GradientsParams {
        match self.clip_norm {
            Some(norm) => clip_grad_norm(module, grads, norm).0,
            None => grads,
        }
    }

    /// The optimizer itself.
    pub fn init(&self) -> ModuleOptimizer {
        with_rule!(self, ModuleOptimizer::from)
    }

    /// The same for a table of embeddings whose rows are updated when they are named; `None` where the table is not on the
    /// CPU.
    pub fn lazy(&self, table: &Tensor<2>) -> Option<LazyTable> {
        with_rule!(self, LazyTable::new, table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::{Module, Param};
    use burn::optim::GradientsParams;
    use burn::tensor::Device;

    #[derive(Module, Debug)]
    struct One {
        w: Param<Tensor<1>>,
    }

    /// Three steps on w·x for x = 2, −1, 0.5, so that these are the gradients; from w = 1.
    fn train(name: OptimizerName, momentum: f64, expected: impl FnMut(f64, i32) -> f64) {
        train_clipped(name, momentum, None, expected);
    }

    fn train_clipped(
        name: OptimizerName,
        momentum: f64,
        clip_norm: Option<f64>,
        mut expected: impl FnMut(f64, i32) -> f64,
    ) {
        let device = Device::default().autodiff();
        let args = OptimizerArgs {
            optimizer: Some(name),
            learning_rate: Some(0.1),
            momentum: (momentum > 0.0).then_some(momentum),
            clip_norm,
        };
        let config = args.resolve(OptimizerName::Adam).expect("right");
        let mut optimizer = config.init();
        let w = Tensor::<1>::from_floats([1.0], &device);
        let mut model = One { w: Param::from_tensor(w) };
        let mut want = 1.0;
        for (t, x) in [2.0, -1.0, 0.5].into_iter().enumerate() {
            let loss = model.w.val().mul_scalar(x).sum();
            let grads = GradientsParams::from_grads(loss.backward(), &model);
            let grads = config.clipped(&model, grads);
            model = optimizer.step(config.learning_rate, model, grads);
            want -= 0.1 * expected(x, t as i32 + 1);
            let found: f32 = model.w.val().into_scalar();
            assert!((f64::from(found) - want).abs() < 1e-5, "{name:?} {t}: {found} {want}");
        }
    }

    #[test]
    fn sgd_takes_the_gradient() {
        train(OptimizerName::Sgd, 0.0, |g, _| g);
        // 2 becomes 0.8 and −1 −0.8; 0.5 is small enough.
        train_clipped(OptimizerName::Sgd, 0.0, Some(0.8), |g, _| g.clamp(-0.8, 0.8));
    }

    #[test]
    fn sgd_momentum_adds_up_as_in_keras() {
        let mut v = 0.0;
        train(OptimizerName::Sgd, 0.5, move |g, _| {
            v = 0.5 * v + g;
            v
        });
    }

    #[test]
    fn rmsprop_has_epsilon_outside_the_root() {
        let mut v = 0.0;
        train(OptimizerName::Rmsprop, 0.0, move |g, _| {
            v = 0.9 * v + 0.1 * g * g;
            g / (f64::sqrt(v) + 1e-7)
        });
        // The place of ε shows where v is near ε: g = 1e-6 moves by 1e-6/(3.2e-7+1e-7), not by 1e-6/3.2e-4.
        let found = first_step(OptimizerName::Rmsprop, 1e-6);
        let want = -1e-6 / (1e-6 * 0.1f64.sqrt() + 1e-7);
        assert!((found - want).abs() < 1e-3, "{found} {want}");
    }

    /// Where one step with the gradient `g` and rate 1 gets from 0.
    fn first_step(name: OptimizerName, g: f64) -> f64 {
        let device = Device::default().autodiff();
        let mut optimizer = OptimizerConfig { name, learning_rate: 1.0, momentum: 0.0, clip_norm: None }.init();
        let model = One { w: Param::from_tensor(Tensor::<1>::from_floats([0.0], &device)) };
        let loss = model.w.val().mul_scalar(g).sum();
        let grads = GradientsParams::from_grads(loss.backward(), &model);
        optimizer.step(1.0, model, grads).w.val().into_scalar::<f32>().into()
    }

    #[test]
    fn adam_corrects_its_bias() {
        let (mut m, mut v) = (0.0, 0.0);
        train(OptimizerName::Adam, 0.0, move |g, t| {
            m = 0.9 * m + 0.1 * g;
            v = 0.999 * v + 0.001 * g * g;
            m / (1.0 - 0.9f64.powi(t)) / ((v / (1.0 - 0.999f64.powi(t))).sqrt() + 1e-7)
        });
        // The place of ε shows where v is near ε: at the first step m = 0.1·g, √v = √0.001·|g|.
        let g = 1e-6f64;
        let want = -(0.001f64.sqrt() / 0.1) * 0.1 * g / (0.001f64.sqrt() * g + 1e-7);
        let found = first_step(OptimizerName::Adam, g);
        assert!((found - want).abs() < 1e-4, "{found} {want}");
    }

    #[test]
    fn adamw_decays_the_weight_besides() {
        let (mut m, mut v, mut w) = (0.0, 0.0, 1.0);
        train(OptimizerName::Adamw, 0.0, move |g, t| {
            m = 0.9 * m + 0.1 * g;
            v = 0.999 * v + 0.001 * g * g;
            let adam = m / (1.0 - 0.9f64.powi(t)) / ((v / (1.0 - 0.999f64.powi(t))).sqrt() + 1e-7);
            let step = adam + 4e-3 * w;
            w -= 0.1 * step;
            step
        });
    }

    #[test]
    fn adagrad_starts_from_a_tenth() {
        let mut sum = 0.1;
        train(OptimizerName::Adagrad, 0.0, move |g, _| {
            sum += g * g;
            g / f64::sqrt(sum + 1e-7)
        });
    }

    #[test]
    fn wrong_settings_are_told() {
        let wrong = |args: OptimizerArgs| args.resolve(OptimizerName::Adam).unwrap_err().to_string();
        let rate = OptimizerArgs { learning_rate: Some(-1.0), ..Default::default() };
        assert!(wrong(rate).starts_with("--learning-rate -1.0 is not possible"));
        let momentum = OptimizerArgs { momentum: Some(0.9), ..Default::default() };
        assert!(wrong(momentum).contains("for --optimizer sgd and rmsprop only"));
    }
}
