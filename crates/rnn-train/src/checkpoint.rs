//! A checkpoint: all of a [`TrainState`] in one folder, made under another name and renamed.
//!
//! ```text
//! checkpoints/00000500/   after 500 mini-batches; the highest number is the newest
//!     checksums.json      the format, SHA-256 of the other files
//!     state.json          place in the training, figures
//!     model.bpk           the weights, the table of embeddings with all its updates
//!     optimizer.bpk       the optimizer's state
//!     moments.bpk         the optimizer's state for the table of embeddings, if its rows are updated lazily
//!     average.bpk         the average of the weights, if there is one
//!     carried.bpk         what the model carries from step to step beside its weights, if it does
//!     best.bpk            the model with the lowest validation loss, if there is a validation set
//! ```

use crate::figures::{Figures, Totals, TotalsRead};
use crate::optim::OptimizerConfig;
use crate::parameters::{embedding, numbered};
use crate::state::{Best, EpochRecord, TrainState, Validation};
use crate::task::Task;
use crate::{TrainError, durable};
use burn::module::{Module, Param};
use burn::optim::OptimizerRecord;
use burn::store::ModuleRecord;
use burn::tensor::{Bytes, Tensor};
use rnn_core::optim::Moments;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The version of this layout.
const FORMAT: u32 = 2;
const CHECKSUMS: &str = "checksums.json";
const STATE: &str = "state.json";
const MODEL: &str = "model.bpk";
const OPTIMIZER: &str = "optimizer.bpk";
const MOMENTS: &str = "moments.bpk";
const AVERAGE: &str = "average.bpk";
const BEST: &str = "best.bpk";
const CARRIED: &str = "carried.bpk";

#[derive(Serialize, Deserialize)]
struct Checksums {
    format: u32,
    /// The SHA-256 of every other file.
    sha256: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct State {
    /// The number of mini-batches made.
    step: u64,
    totals: TotalsRead,
    #[serde(with = "crate::exact")]
    seconds: f64,
    history: Vec<EpochRecord>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    validations: Vec<Validation>,
    best: Option<BestEpoch>,
    /// Whether a hook ended the training.
    #[serde(default)]
    stopped: bool,
    /// The mean loss at the beginning, against which the growth of the loss is measured after resuming too; older
    /// checkpoints lack it.
    #[serde(default, with = "crate::exact::option")]
    first_loss: Option<f64>,
    /// The number of updates of the table of embeddings.
    table_updates: Option<usize>,
    /// The shapes of what the model carries from step to step.
    #[serde(default)]
    carried: Vec<[usize; 2]>,
}

#[derive(Serialize, Deserialize)]
struct BestEpoch {
    epoch: usize,
    #[serde(with = "crate::exact")]
    loss: f64,
    /// A checkpoint without this and the next one is from before there were validations within epochs.
    #[serde(default)]
    step: u64,
    #[serde(default, with = "crate::exact::list")]
    others: Vec<f64>,
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes `state` into `folder`, and deletes the checkpoint before it.
///
/// # Errors
/// If the file system says so.
pub(crate) fn save<M: Task>(folder: &Path, state: &mut TrainState<M>) -> Result<(), TrainError> {
    let path = folder.join(format!("{:08}", state.step));
    if path.exists() {
        return Ok(()); // the state of this step is already saved
    }
    state.merge();
    let cannot =
        |what: &str, e: &dyn std::fmt::Display| TrainError::checkpoint(folder, format!("cannot write {what}: {e}"));
    let record = |what: &'static str, model: M| match model.into_record().into_bytes() {
        Ok(bytes) => Ok((what, bytes)),
        Err(e) => Err(cannot(what, &e)),
    };
    let optimizer = state.optimizer.to_record().into_bytes().map_err(|e| cannot(OPTIMIZER, &e))?;
    let mut files = vec![record(MODEL, state.model.clone())?, (OPTIMIZER, optimizer)];
    let mut table_updates = None;
    if let Some((_, table)) = &mut state.table {
        let Moments { time, tensors } = table.moments();
        let tensors = numbered(tensors.into_iter().map(Param::from_tensor).collect::<Vec<Param<Tensor<2>>>>());
        files.push((MOMENTS, tensors.into_record().into_bytes().map_err(|e| cannot(MOMENTS, &e))?));
        table_updates = Some(time);
    }
    let carried = state.model.carried();
    let shapes = carried.iter().map(Tensor::dims).collect();
    if !carried.is_empty() {
        let carried = numbered(carried.into_iter().map(Param::from_tensor).collect::<Vec<Param<Tensor<2>>>>());
        files.push((CARRIED, carried.into_record().into_bytes().map_err(|e| cannot(CARRIED, &e))?));
    }
    if let Some(average) = &state.average {
        files.push(record(AVERAGE, average.clone())?);
    }
    if let Some(best) = &state.best {
        files.push(record(BEST, best.model.clone())?);
    }
    let json = State {
        step: state.step,
        totals: state.totals.read_all().clone(),
        seconds: state.seconds,
        history: state.history.clone(),
        validations: state.validations.clone(),
        best: state.best.as_ref().map(|Best { epoch, step, figures: Figures { loss, others }, .. }| BestEpoch {
            epoch: *epoch,
            loss: *loss,
            step: *step,
            others: others.clone(),
        }),
        stopped: state.stopped,
        first_loss: state.first_loss,
        table_updates,
        carried: shapes,
    };
    let json = serde_json::to_vec_pretty(&json).map_err(|e| cannot(STATE, &e))?;
    let mut contents: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (*name, &bytes[..])).collect();
    contents.push((STATE, &json));
    let sha256 = contents.iter().map(|(name, bytes)| (name.to_string(), sha256(bytes))).collect();
    let checksums = Checksums { format: FORMAT, sha256 };
    let checksums = serde_json::to_vec_pretty(&checksums).map_err(|e| cannot(CHECKSUMS, &e))?;
    contents.push((CHECKSUMS, &checksums));
    // Only this folder: one above it that is gone was deleted with all that a training needs.
    match std::fs::create_dir(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => return Err(TrainError::io(folder, e)),
        _ => {}
    }
    durable::write_folder(&path, &contents).map_err(|e| TrainError::io(&path, e))?;
    for left in std::fs::read_dir(folder).map_err(|e| TrainError::io(folder, e))?.flatten() {
        if left.file_name().to_str().is_some_and(durable::is_temporary) {
            let _ = std::fs::remove_dir_all(left.path()); // left by a killed process
        }
    }
    for (step, old) in checkpoints(folder)? {
        if step != state.step {
            let _ = std::fs::remove_dir_all(&old); // an older one; keeping it does no harm
        }
    }
    Ok(())
}

/// The checkpoints in `folder` by their steps.
fn checkpoints(folder: &Path) -> Result<Vec<(u64, PathBuf)>, TrainError> {
    let entries = match std::fs::read_dir(folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|e| TrainError::io(folder, e))?,
    };
    let numbered = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.ok()?.path();
        let name = path.file_name()?.to_str()?;
        let digits = name.bytes().all(|byte| byte.is_ascii_digit());
        Some((name.parse().ok().filter(|_| digits)?, path))
    };
    Ok(entries.filter_map(numbered).collect())
}

/// Whether `folder` has a checkpoint.
///
/// # Errors
/// A folder that cannot be read.
pub fn exists(folder: &Path) -> Result<bool, TrainError> {
    Ok(!checkpoints(folder)?.is_empty())
}

/// Loads the newest checkpoint in `folder` into `model`, which has the same structure and lies on an autodiff device.
///
/// # Errors
/// No checkpoint; one of another version, of another model, damaged or edited.
pub(crate) fn load<M: Task>(folder: &Path, model: M, optimizer: &OptimizerConfig) -> Result<TrainState<M>, TrainError> {
    let Some((_, path)) = checkpoints(folder)?.into_iter().max() else {
        return Err(TrainError::checkpoint(folder, "there is no checkpoint to resume from"));
    };
    let wrong = |name: &str, e: &dyn std::fmt::Display| {
        TrainError::checkpoint(&path.join(name), format!("it is damaged or of another model ({e}); start a new run"))
    };
    let read = |name: &str| {
        let path = path.join(name);
        match path.metadata() {
            Ok(metadata) if metadata.is_file() => std::fs::read(&path).map_err(|e| TrainError::io(&path, e)),
            Ok(_) => Err(wrong(name, &"it is not a file")), // reading a pipe would not end
            Err(e) => Err(wrong(name, &e)),
        }
    };
    let checksums: Checksums = serde_json::from_slice(&read(CHECKSUMS)?).map_err(|e| wrong(CHECKSUMS, &e))?;
    if checksums.format != FORMAT {
        return Err(TrainError::checkpoint(
            &path,
            format!(
                "its format is {}, but this version of the program reads {FORMAT}; start a new run",
                checksums.format
            ),
        ));
    }
    let checked = |name: &str| -> Result<Bytes, TrainError> {
        let bytes = read(name)?;
        match checksums.sha256.get(name) {
            Some(written) if *written == sha256(&bytes) => Ok(Bytes::from_bytes_vec(bytes)),
            _ => Err(wrong(name, &format!("its SHA-256 differs from that in {CHECKSUMS}"))),
        }
    };
    let saved: State = serde_json::from_slice(&checked(STATE)?).map_err(|e| wrong(STATE, &e))?;
    let weights = |name: &str, model: M| -> Result<M, TrainError> {
        let bytes = checked(name)?;
        guarded(|| {
            model
                .try_load_record(ModuleRecord::from_bytes(bytes).map_err(|e| e.to_string())?)
                .map_err(|e| e.to_string())
        })
        .map_err(|e| wrong(name, &e))
    };
    let has = |name: &str| checksums.sha256.contains_key(name);
    let average = if has(AVERAGE) { Some(weights(AVERAGE, model.clone())?) } else { None };
    let best = match &saved.best {
        Some(BestEpoch { epoch, loss, step, others }) => {
            let mut figures = Figures { loss: *loss, others: others.clone() };
            if *step == 0 {
                let record = saved.history.iter().find(|record| record.epoch == *epoch);
                figures = record.and_then(|record| record.validation.clone()).unwrap_or(figures);
            }
            let model = weights(BEST, model.clone())?.valid();
            Some(Best { epoch: *epoch, step: *step, figures, model })
        }
        None => None,
    };
    let mut state = TrainState::new(weights(MODEL, model)?, optimizer);
    let bytes = checked(OPTIMIZER)?;
    state.optimizer =
        guarded(|| Ok(state.optimizer.load_record(OptimizerRecord::from_bytes(bytes).map_err(|e| e.to_string())?)))
            .map_err(|e| wrong(OPTIMIZER, &e))?;
    if let (Some(time), Some((id, table))) = (saved.table_updates, embedding(&state.model)) {
        let bytes = checked(MOMENTS)?;
        let record =
            guarded(|| ModuleRecord::from_bytes(bytes).map_err(|e| e.to_string())).map_err(|e| wrong(MOMENTS, &e))?;
        let blank = || Param::from_tensor(Tensor::zeros(table.dims(), &table.device().inner()));
        let blank: Vec<Param<Tensor<2>>> = (0..record.len()).map(|_| blank()).collect();
        let tensors =
            guarded(|| blank.try_load_record(record).map_err(|e| e.to_string())).map_err(|e| wrong(MOMENTS, &e))?;
        let tensors = tensors.into_iter().map(|param| param.into_value()).collect();
        match optimizer.lazy_from(&table, Moments { time, tensors }) {
            Some(table) => state.table = Some((id, table)),
            None => {
                return Err(TrainError::checkpoint(
                    &path,
                    "it was made on a CPU device; resume it on the device it was made on",
                ));
            }
        }
    }
    if !saved.carried.is_empty() {
        let bytes = checked(CARRIED)?;
        let values = |[rows, columns]: &[usize; 2]| rows.saturating_mul(*columns).saturating_mul(4);
        if saved.carried.iter().map(values).fold(0, usize::saturating_add) > bytes.len() {
            return Err(wrong(CARRIED, &"it is smaller than state.json says"));
        }
        let device = state.model.devices().first().map(|device| device.clone().inner()).unwrap_or_default();
        let blank = saved.carried.iter().map(|&shape| Param::from_tensor(Tensor::zeros(shape, &device)));
        let blank: Vec<Param<Tensor<2>>> = blank.collect();
        let tensors = guarded(|| {
            let record = ModuleRecord::from_bytes(bytes).map_err(|e| e.to_string())?;
            blank.try_load_record(record).map_err(|e| e.to_string())
        });
        let tensors = tensors.map_err(|e| wrong(CARRIED, &e))?;
        state.model.carry(tensors.into_iter().map(|param| param.into_value().detach()).collect());
    }
    state.average = average;
    state.best = best;
    state.step = saved.step;
    state.totals = Totals::restore(saved.totals);
    state.seconds = saved.seconds;
    state.history = saved.history;
    state.validations = saved.validations;
    state.stopped = saved.stopped;
    state.first_loss = saved.first_loss;
    Ok(state)
}

/// Turns a panic into an error: the formats' readers can panic on a damaged file.
fn guarded<T>(read: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(read)).unwrap_or_else(|_| Err("it cannot be read".into()))
}
