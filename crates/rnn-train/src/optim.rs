//! The optimizers by name, with Keras' defaults.
//!
//! | name | settings | learning rate |
//! |---|---|---|
//! | adam | β 0.9 and 0.999, ε 1e-7 beside √v, not √v̂ | 1e-3 |
//! | adamw | the same, weight decay 4e-3 | 1e-3 |
//! | rmsprop | ρ 0.9, no momentum, ε 1e-7 outside the root: g/(√v+ε) | 1e-3 |
//! | sgd | no momentum | 1e-2 |
//! | adagrad | accumulator from 0.1, ε 1e-7 inside the root: g/√(a+ε) | 1e-3 |
//!
//! RMSprop is that of Keras 2; Keras 3 has ε inside the root. All are rnn-core's, which update in one pass over memory.

use crate::TrainError;
use burn::optim::ModuleOptimizer;
use burn::tensor::Tensor;
use rnn_core::optim::{Adagrad, Adam, LazyTable, Moments, RmsProp, Sgd};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// The optimizers by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

impl OptimizerName {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Adam, Self::Adamw, Self::Rmsprop, Self::Sgd, Self::Adagrad];

    /// Its name: `adam`, `adamw`, `rmsprop`, `sgd`, `adagrad`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Adam => "adam",
            Self::Adamw => "adamw",
            Self::Rmsprop => "rmsprop",
            Self::Sgd => "sgd",
            Self::Adagrad => "adagrad",
        }
    }

    /// Keras' default learning rate.
    pub fn learning_rate(self) -> f64 {
        match self {
            Self::Sgd => 1e-2,
            _ => 1e-3,
        }
    }

    fn has_momentum(self) -> bool {
        matches!(self, Self::Sgd | Self::Rmsprop)
    }
}

impl FromStr for OptimizerName {
    type Err = TrainError;

    fn from_str(name: &str) -> Result<Self, TrainError> {
        Self::ALL.into_iter().find(|optimizer| optimizer.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            TrainError::setting("optimizer", format!("{name:?} is not known; the names are {names}"))
        })
    }
}

/// An optimizer and its settings; saved with a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OptimizerConfig {
    /// The algorithm.
    pub name: OptimizerName,
    /// The learning rate.
    pub learning_rate: f64,
    /// Momentum of sgd and rmsprop.
    pub momentum: f64,
    /// The largest norm of all gradients together; larger gradients are scaled down.
    #[serde(default)]
    pub clip_norm: Option<f64>,
}

/// Calls `$function` with the optimizer that a configuration names, and with further arguments.
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
    /// The optimizer with Keras' settings.
    pub fn new(name: OptimizerName) -> Self {
        Self { name, learning_rate: name.learning_rate(), momentum: 0.0, clip_norm: None }
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// A learning rate or norm that is not positive in single precision; a momentum outside `[0, 1)`, or for an
    /// optimizer without momentum.
    pub fn check(&self) -> Result<(), TrainError> {
        let Self { name, learning_rate: rate, momentum, clip_norm } = *self;
        let refuse = |name, problem: String| Err(TrainError::setting(name, problem));
        let usable = |x: f64| (x as f32) > 0.0 && (x as f32).is_finite();
        if !usable(rate) {
            return refuse(
                "learning_rate",
                format!("{rate:?} is not possible; give a number above 0, such as 0.001, that single precision has"),
            );
        }
        if !(0.0..1.0).contains(&momentum) {
            return refuse("momentum", format!("{momentum} is not possible; give 0 or more and less than 1"));
        }
        if momentum > 0.0 && !name.has_momentum() {
            return refuse("momentum", format!("has no meaning for {}; sgd and rmsprop have one", name.name()));
        }
        match clip_norm.filter(|norm| !usable(*norm)) {
            Some(norm) => refuse(
                "clip_norm",
                format!("{norm:?} is not possible; give a number above 0, such as 1, that single precision has"),
            ),
            None => Ok(()),
        }
    }

    /// The optimizer itself.
    pub fn init(&self) -> ModuleOptimizer {
        with_rule!(self, ModuleOptimizer::from)
    }

    /// The optimizer for lazy updates of a table of embeddings; `None` if the table is not f32 on the CPU.
    pub(crate) fn lazy(&self, table: &Tensor<2>) -> Option<LazyTable> {
        with_rule!(self, LazyTable::new, table)
    }

    /// The same, restored from its saved state.
    pub(crate) fn lazy_from(&self, table: &Tensor<2>, moments: Moments) -> Option<LazyTable> {
        with_rule!(self, LazyTable::restore, table, moments)
    }
}
