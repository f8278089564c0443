//! The options about the optimizer and the learning rate.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use rnn_train::optim::{OptimizerConfig, OptimizerName};
use rnn_train::{Schedule, Shape};

/// The options about the optimizer, the same in every program.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct OptimizerArgs {
    /// Optimizer [default: the program's]
    #[arg(long, value_parser = optimizer_parser())]
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
    /// Learning rate over the training [default: constant]
    #[arg(long, value_parser = schedule_parser())]
    schedule: Option<Shape>,
    /// Steps over which the learning rate first rises from 0 [default: 0]
    #[arg(long, value_name = "STEPS")]
    warm_up: Option<u64>,
}

fn optimizer_parser() -> impl TypedValueParser<Value = OptimizerName> {
    let help = |optimizer| match optimizer {
        OptimizerName::Adam => "Adam (Kingma and Ba, 2015)",
        OptimizerName::Adamw => "Adam with decoupled weight decay (Loshchilov and Hutter, 2019)",
        OptimizerName::Rmsprop => "RMSprop (Hinton, 2012)",
        OptimizerName::Sgd => "Stochastic gradient descent",
        OptimizerName::Adagrad => "Adagrad (Duchi et al., 2011)",
    };
    let values = OptimizerName::ALL.map(|optimizer| PossibleValue::new(optimizer.name()).help(help(optimizer)));
    PossibleValuesParser::new(values).try_map(|name| name.parse::<OptimizerName>())
}

fn schedule_parser() -> impl TypedValueParser<Value = Shape> {
    let help = |shape| match shape {
        Shape::Constant => "It stays",
        Shape::Linear => "In a straight line to 0",
        Shape::Cosine => "Along half a cosine to 0",
        Shape::OneCycle => "Up over 30 % of the steps, then along half a cosine to 0",
    };
    let values = Shape::ALL.map(|shape| PossibleValue::new(shape.name()).help(help(shape)));
    PossibleValuesParser::new(values).try_map(|name| name.parse::<Shape>())
}

impl OptimizerArgs {
    /// The person's choice, or `default`. [`Plan::check`](rnn_train::Plan::check) checks the values.
    pub fn optimizer(&self, default: OptimizerName) -> OptimizerConfig {
        let name = self.optimizer.unwrap_or(default);
        let defaults = OptimizerConfig::new(name);
        OptimizerConfig {
            learning_rate: self.learning_rate.unwrap_or(defaults.learning_rate),
            momentum: self.momentum.unwrap_or(defaults.momentum),
            clip_norm: self.clip_norm,
            name,
        }
    }

    /// The person's choice, or `default`; of another optimizer than that one Keras' settings.
    pub fn optimizer_or(&self, default: OptimizerConfig) -> OptimizerConfig {
        let name = self.optimizer.unwrap_or(default.name);
        let default = if name == default.name { default } else { OptimizerConfig::new(name) };
        OptimizerConfig {
            learning_rate: self.learning_rate.unwrap_or(default.learning_rate),
            momentum: self.momentum.unwrap_or(default.momentum),
            clip_norm: self.clip_norm.or(default.clip_norm),
            name,
        }
    }

    /// The person's choice, or `default`.
    pub fn schedule_or(&self, default: Schedule) -> Schedule {
        Schedule { shape: self.schedule.unwrap_or(default.shape), warm_up: self.warm_up.unwrap_or(default.warm_up) }
    }

    /// The learning rate over the training.
    pub fn schedule(&self) -> Schedule {
        Schedule { shape: self.schedule.unwrap_or_default(), warm_up: self.warm_up.unwrap_or(0) }
    }
}
