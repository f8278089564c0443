//! Options that mean the same in every program.

use crate::run_dir::RunDir;
use crate::{Failure, whole};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use rnn_core::{AnyConfig, CellKind, DropoutMasks};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// The parser of `--cell`.
pub fn cell_parser() -> impl TypedValueParser<Value = CellKind> {
    PossibleValuesParser::new(CellKind::ALL.map(|cell| cell.name())).try_map(|name| name.parse::<CellKind>())
}

/// What the help of an argument says in place of the program's default, which only the program knows.
const PROGRAMS_DEFAULT: &str = "the program's";

/// `arg` with its program's default in its help.
pub fn defaults_to(arg: clap::Arg, default: &str) -> clap::Arg {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    arg.help(help.replace(PROGRAMS_DEFAULT, default))
}

/// What a size or a count may be.
pub const SIZES: RangeInclusive<u64> = 1..=1_000_000;
/// What the number of layers may be.
pub const LAYERS: RangeInclusive<u64> = 1..=64;

/// The parser of a size or a count.
pub fn size() -> impl TypedValueParser<Value = u64> {
    whole(SIZES)
}

/// What a model may have: its weights, gradients, two moments and their first f64 values then take about 6 GB.
const MOST_WEIGHTS: usize = 1 << 28;
/// What one tensor of a step may have; a step keeps some ten of them.
const MOST_VALUES: usize = 1 << 27;

/// Refuses a model that no machine this runs on could hold, before it is made: `layer` over `steps` steps of `batch` rows,
/// besides `others` weights (an embedding, a dense layer). `options` are those that say how many weights there are, and how
/// many values in a step.
///
/// # Errors
/// Too many weights, or too many values in a step.
pub fn check_size(
    layer: &AnyConfig,
    others: usize,
    batch: usize,
    steps: usize,
    options: [&str; 2],
) -> Result<(), Failure> {
    let weights = layer.num_weights().saturating_add(others);
    if weights > MOST_WEIGHTS {
        return Err(Failure::input(format!(
            "the model would have {weights} weights, more than the {MOST_WEIGHTS} that are possible here; lower {}",
            options[0]
        )));
    }
    let width = width(layer);
    let values = batch.saturating_mul(steps).saturating_mul(width).saturating_mul(layer.num_layers);
    if values > MOST_VALUES {
        return Err(Failure::input(format!(
            "a step would take {values} values ({batch} rows, {steps} steps, {} layers of {width} numbers), more than the \
             {MOST_VALUES} that are possible here; lower {}",
            layer.num_layers, options[1]
        )));
    }
    Ok(())
}

/// Values of one row, one step and one layer.
fn width(layer: &AnyConfig) -> usize {
    layer.d_input.saturating_add(layer.gates().saturating_mul(layer.d_output()))
}

/// Rows of `steps` steps that a mini-batch may have at most: as [`check_size`] counts, but at least one.
pub fn most_rows(layer: &AnyConfig, steps: usize) -> usize {
    (MOST_VALUES / steps.saturating_mul(width(layer)).saturating_mul(layer.num_layers).max(1)).max(1)
}

/// The options about dropout.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct DropoutArgs {
    /// Dropout on the layer's input, masks drawn once for a whole sequence [default: the program's]
    #[arg(long, value_name = "P")]
    dropout: Option<f64>,
    /// Dropout on the recurrence, masks drawn once for a whole sequence [default: the program's]
    #[arg(long, value_name = "P")]
    recurrent_dropout: Option<f64>,
    /// Whether all gates share a mask or each has its own [default: as Keras, per-gate if there is recurrent dropout, else
    /// shared]
    #[arg(long, value_enum)]
    dropout_masks: Option<Masks>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Masks {
    /// One mask for all gates
    Shared,
    /// One mask a gate
    PerGate,
}

/// Dropout of a recurrent layer; saved with a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DropoutConfig {
    /// On the input.
    pub input: f64,
    /// On the recurrence.
    pub recurrent: f64,
    /// One mask for all gates, or one a gate.
    pub masks: DropoutMasks,
}

impl DropoutArgs {
    /// The person's choice, or `default` for both kinds of dropout.
    ///
    /// # Errors
    /// A rate that is not in `[0, 1)`; a choice of masks where nothing is dropped.
    pub fn resolve(&self, default: f64) -> Result<DropoutConfig, Failure> {
        let input = self.dropout.unwrap_or(default);
        let recurrent = self.recurrent_dropout.unwrap_or(default);
        if self.dropout_masks.is_some() && input == 0.0 && recurrent == 0.0 {
            return Err(Failure::input(
                "--dropout-masks would change nothing: there is no dropout; add --dropout P or --recurrent-dropout P",
            ));
        }
        let masks = match self.dropout_masks {
            Some(Masks::Shared) => DropoutMasks::Shared,
            Some(Masks::PerGate) => DropoutMasks::PerGate,
            // Keras' cells have one mask a gate (implementation 1) where recurrent dropout is on, else one (2).
            None if recurrent > 0.0 => DropoutMasks::PerGate,
            None => DropoutMasks::Shared,
        };
        let config = DropoutConfig { input, recurrent, masks };
        config.check()?;
        Ok(config)
    }
}

impl DropoutConfig {
    /// Whether both are rates.
    ///
    /// # Errors
    /// A rate that is not in `[0, 1)`.
    pub fn check(&self) -> Result<(), Failure> {
        for (option, rate) in [("--dropout", self.input), ("--recurrent-dropout", self.recurrent)] {
            if !(0.0..1.0).contains(&rate) {
                return Err(Failure::input(format!("{option} is {rate}; it must be at least 0 and less than 1")));
            }
        }
        Ok(())
    }

    /// `layer` with this dropout.
    pub fn apply(self, layer: AnyConfig) -> AnyConfig {
        let Self { input: dropout, recurrent: recurrent_dropout, masks: dropout_masks } = self;
        AnyConfig { dropout, recurrent_dropout, dropout_masks, ..layer }
    }
}

/// Which run a command takes.
#[derive(Debug, Clone, clap::Args)]
pub struct RunArgs {
    /// Run folder, such as runs/PROGRAM/NAME [default: the newest]
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,
}

impl RunArgs {
    /// Opens that run of `program`.
    ///
    /// # Errors
    /// As [`RunDir::open`].
    pub fn open(&self, program: &str) -> Result<RunDir, Failure> {
        RunDir::open(program, self.run.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_drawn_as_keras_draws_them() {
        let masks = |recurrent_dropout, dropout_masks| {
            let args = DropoutArgs { recurrent_dropout, dropout_masks, ..DropoutArgs::default() };
            args.resolve(0.2).expect("a rate").masks
        };
        assert_eq!(masks(None, None), DropoutMasks::PerGate);
        assert_eq!(masks(Some(0.0), None), DropoutMasks::Shared);
        assert_eq!(masks(Some(0.0), Some(Masks::PerGate)), DropoutMasks::PerGate);
        assert_eq!(masks(None, Some(Masks::Shared)), DropoutMasks::Shared);
    }

    #[test]
    fn masks_without_dropout_are_refused() {
        for masks in [Masks::Shared, Masks::PerGate] {
            let args = DropoutArgs { dropout_masks: Some(masks), ..DropoutArgs::default() };
            let told = args.resolve(0.0).expect_err("no dropout").to_string();
            assert!(told.starts_with("--dropout-masks would change nothing: there is no dropout"), "{told}");
        }
    }

    #[test]
    fn a_rate_outside_its_range_is_named() {
        for rate in [1.0, -0.1, f64::NAN, f64::INFINITY] {
            let said = |args: DropoutArgs| args.resolve(0.0).expect_err("no rate").to_string();
            let both = [
                said(DropoutArgs { dropout: Some(rate), ..DropoutArgs::default() }),
                said(DropoutArgs { recurrent_dropout: Some(rate), ..DropoutArgs::default() }),
            ];
            let expected = |option| format!("{option} is {rate}; it must be at least 0 and less than 1");
            assert_eq!(both, [expected("--dropout"), expected("--recurrent-dropout")]);
        }
    }
}
