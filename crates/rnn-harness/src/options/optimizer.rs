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
    /// Largest norm of an update's gradients, over all weights together; larger ones are scaled down [default: none]
    #[arg(long, value_name = "NORM")]
    clip_norm: Option<f64>,
    /// How the learning rate changes over the training [default: constant]
    #[arg(long, value_parser = schedule_parser())]
    schedule: Option<Shape>,
    /// Number of mini-batches at the start over which the learning rate rises from 0 [default: 0]
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
        Shape::Constant => "It stays the same",
        Shape::Linear => "It falls in a straight line to 0",
        Shape::Cosine => "It falls along half a cosine to 0",
        Shape::OneCycle => "It rises over 30 % of the training, then falls along half a cosine to 0",
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

    /// The person's choices, else those of `preset`. Another optimizer than the preset's has its own learning rate.
    pub fn over(&self, preset: OptimizerConfig) -> OptimizerConfig {
        let other = self.optimizer.is_some_and(|name| name != preset.name);
        let own = self.optimizer(preset.name);
        OptimizerConfig {
            learning_rate: self.learning_rate.unwrap_or(if other { own.learning_rate } else { preset.learning_rate }),
            momentum: self.momentum.unwrap_or(if other { 0.0 } else { preset.momentum }),
            clip_norm: self.clip_norm.or(preset.clip_norm),
            name: own.name,
        }
    }

    /// The person's choices about the learning rate over the training, else those of `preset`. A one-cycle of the
    /// person's has no warm-up of the preset's: it has its own.
    pub fn schedule_over(&self, preset: Schedule) -> Schedule {
        let shape = self.schedule.unwrap_or(preset.shape);
        let warm_up = if shape == Shape::OneCycle { 0 } else { preset.warm_up };
        Schedule { shape, warm_up: self.warm_up.unwrap_or(warm_up) }
    }

    /// The learning rate over the training.
    pub fn schedule(&self) -> Schedule {
        Schedule { shape: self.schedule.unwrap_or_default(), warm_up: self.warm_up.unwrap_or(0) }
    }
}
