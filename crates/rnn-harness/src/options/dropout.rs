//! The options about dropout.

use crate::Failure;
use rnn_core::cell::Cell;
use rnn_core::{AnyCell, AnyConfig, CellKind, DropoutMasks};
use serde::{Deserialize, Serialize};

/// The options about dropout.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct DropoutArgs {
    /// Dropout rate of the recurrent layer's input, with one mask for all steps of a sequence [default: the program's]
    #[arg(long, value_name = "P")]
    dropout: Option<f64>,
    /// Dropout rate of the state that a step reads, with one mask for all steps of a sequence [default: the program's]
    #[arg(long, value_name = "P")]
    recurrent_dropout: Option<f64>,
    /// Whether the gates share a dropout mask [default: as in Keras: per-gate with recurrent dropout, else shared]
    #[arg(long, value_enum)]
    dropout_masks: Option<Masks>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Masks {
    /// One mask for all gates
    Shared,
    /// A mask for each gate
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
        self.resolve_each(default, default)
    }

    /// The person's choice, or `input` and `recurrent`, where a layer over `cell` has a recurrence to drop from.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve); a rate for the recurrence of a cell that does not multiply its state.
    pub fn resolve_for(&self, cell: CellKind, input: f64, recurrent: f64) -> Result<DropoutConfig, Failure> {
        if AnyCell::from(cell).has_w_hh() {
            return self.resolve_each(input, recurrent);
        }
        check_recurrence(cell, "--recurrent-dropout", self.recurrent_dropout.unwrap_or(0.0), "--dropout")?;
        self.resolve_each(input, 0.0)
    }

    /// The person's choice, or `input` and `recurrent`.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub fn resolve_each(&self, input: f64, recurrent: f64) -> Result<DropoutConfig, Failure> {
        let input = self.dropout.unwrap_or(input);
        let recurrent = self.recurrent_dropout.unwrap_or(recurrent);
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
        config.check_rates()?;
        Ok(config)
    }
}

/// Refuses a rate of dropout in the product of h and `W_hh` for a cell that has none; `instead` names the options that do
/// something.
///
/// # Errors
/// A rate above 0 for such a cell.
pub fn check_recurrence(cell: CellKind, option: &str, rate: f64, instead: &str) -> Result<(), Failure> {
    match rate > 0.0 && !AnyCell::from(cell).has_w_hh() {
        true => Err(Failure::input(format!(
            "{option} {rate} would change nothing: a {cell} does not multiply its state; use {instead}"
        ))),
        false => Ok(()),
    }
}

impl DropoutConfig {
    /// Whether both are rates, and `cell` has what they drop.
    ///
    /// # Errors
    /// A rate that is not in `[0, 1)`; one for a recurrence that the cell does not have.
    pub fn check(&self, cell: CellKind) -> Result<(), Failure> {
        self.check_rates()?;
        check_recurrence(cell, "--recurrent-dropout", self.recurrent, "--dropout")
    }

    fn check_rates(&self) -> Result<(), Failure> {
        for (option, rate) in [("--dropout", self.input), ("--recurrent-dropout", self.recurrent)] {
            if !(0.0..1.0).contains(&rate) {
                return Err(Failure::input(format!("{option} is {rate}; it must be at least 0 and less than 1")));
            }
        }
        Ok(())
    }

    /// `layer` with this dropout.
    pub fn apply(self, layer: AnyConfig) -> AnyConfig {
        let layer = layer.with_dropout(self.input).with_recurrent_dropout(self.recurrent);
        layer.with_dropout_masks(self.masks)
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
    fn a_cell_without_recurrent_weights_has_no_recurrent_dropout() {
        let args = DropoutArgs { dropout: Some(0.3), ..DropoutArgs::default() };
        let config = args.resolve_for(CellKind::MinGru, 0.2, 0.2).expect("rates");
        assert_eq!((config.input, config.recurrent, config.masks), (0.3, 0.0, DropoutMasks::Shared));
        assert_eq!(args.resolve_for(CellKind::Gru, 0.2, 0.2).expect("rates").recurrent, 0.2);
        let args = DropoutArgs { recurrent_dropout: Some(0.1), ..args };
        let told = args.resolve_for(CellKind::MinLstm, 0.2, 0.2).expect_err("no recurrence").to_string();
        assert!(told.starts_with("--recurrent-dropout 0.1 would change nothing: a minlstm"), "{told}");
        // A run folder may say it.
        let config = DropoutConfig { recurrent: 0.1, ..config };
        assert_eq!(config.check(CellKind::MinLstm).expect_err("no recurrence").to_string(), told);
        config.check(CellKind::Gru).expect("a recurrence");
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
