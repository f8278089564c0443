//! Options that mean the same in every program.

mod dropout;
mod optimizer;
mod session;
mod training;

use crate::run_dir::RunDir;
use crate::{Failure, whole};
use clap::builder::{PossibleValuesParser, TypedValueParser};
pub use dropout::{DropoutArgs, DropoutConfig, check_recurrence};
pub use optimizer::OptimizerArgs;
use rnn_core::cell::Cell;
use rnn_core::{AnyConfig, CellKind};
pub(crate) use session::BESIDE_RESUME;
pub use session::{Session, SessionArgs};
use std::ops::RangeInclusive;
use std::path::PathBuf;
pub use training::{TrainConfig, TrainingArgs};

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

/// The options about the recurrent layer, the same in the programs on texts and series.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct LayerArgs {
    /// Recurrent cell [default: the program's]
    #[arg(long, value_parser = cell_parser())]
    pub cell: Option<CellKind>,
    /// Stacked recurrent layers [default: 1]
    #[arg(long, value_name = "N", value_parser = whole::<u64>(LAYERS))]
    pub layers: Option<u64>,
    /// Units of each recurrent layer [default: the program's]
    #[arg(long, value_name = "N", value_parser = size())]
    pub hidden: Option<u64>,
    /// Its dropout.
    #[command(flatten)]
    pub dropout: DropoutArgs,
    /// On a GPU, store what the layer keeps of a mini-batch as 16-bit floats, in half the memory (docs/gpu.md); on a
    /// CPU this changes nothing
    #[arg(long)]
    pub half_storage: bool,
}

/// What a model may have: its weights, gradients, two moments and their first f64 values then take about 6 GB.
const MOST_WEIGHTS: usize = 1 << 28;
/// What one tensor of a step may have; a step keeps some ten of them.
const MOST_VALUES: usize = 1 << 27;

/// Refuses a model that is too large for any machine, before it is made: `layer` over `steps` steps of `batch` rows, and
/// `others` further weights (an embedding, a dense layer). `options` names the options that fix the number of weights,
/// and those that fix the number of values in a step.
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
    let values = batch.saturating_mul(steps).saturating_mul(width).saturating_mul(layer.d_hidden.len());
    if values > MOST_VALUES {
        return Err(Failure::input(format!(
            "a step would take {values} values ({batch} rows, {steps} steps, {} layers of {width} numbers), more than the \
             {MOST_VALUES} that are possible here; lower {}",
            layer.d_hidden.len(),
            options[1]
        )));
    }
    Ok(())
}

/// Values of one row, one step and one layer.
fn width(layer: &AnyConfig) -> usize {
    layer.d_input.saturating_add(layer.cell.gates().saturating_mul(layer.d_output()))
}

/// Rows of `steps` steps that a mini-batch may have at most: as [`check_size`] counts, but at least one.
pub fn most_rows(layer: &AnyConfig, steps: usize) -> usize {
    (MOST_VALUES / steps.saturating_mul(width(layer)).saturating_mul(layer.d_hidden.len()).max(1)).max(1)
}

/// Which run a command takes.
#[derive(Debug, Clone, clap::Args)]
pub struct RunArgs {
    /// Run folder, such as runs/PROGRAM/NAME, or the name of a run [default: the newest]
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
