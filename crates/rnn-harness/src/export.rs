//! What the `export` commands of the programs share: options, files, and what rounding to int8 costs.
//!
//! A program makes the [`Network`] of its model and calls [`ExportArgs::write`]; see `commands/export.rs` there.

use crate::device::DeviceArgs;
use crate::options::RunArgs;
use crate::shown::figure;
use crate::training::evaluate;
use crate::{Failure, json_line, print_line, say};
use rnn_export::{ExportError, Network, onnx, pytorch};
use rnn_train::durable::{System, replace, write_folder};
use rnn_train::{Batch, Batches, Figure, Figures, Task};
use serde::Serialize;
use serde_json::{Map, json};
use std::path::{Path, PathBuf};

/// The options of `export`.
#[derive(Debug, Clone, clap::Args)]
pub struct ExportArgs {
    /// The run.
    #[command(flatten)]
    pub run: RunArgs,
    /// For whom
    #[arg(long, value_enum)]
    format: Format,
    /// The new folder for PyTorch, or the new .onnx file
    #[arg(long, value_name = "PATH")]
    out: PathBuf,
    /// Round the recurrent layers' weights to int8, and measure on the run's data what that costs
    #[arg(long)]
    pub int8: bool,
    /// Print the results as a JSON object in the last line
    #[arg(long)]
    json: bool,
    /// On what the cost is measured.
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// For whom a model is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
enum Format {
    /// A folder with safetensors and the Python file that loads them
    Pytorch,
    /// A file for onnxruntime
    Onnx,
}

/// A model's figures before and after the rounding.
#[derive(Debug, Clone)]
pub struct Rounded {
    names: &'static [Figure],
    before: Figures,
    after: Figures,
    items: usize,
    of: &'static str,
}

impl Rounded {
    /// Measures both models on `batches` of `of`, such as `test reviews`.
    ///
    /// # Errors
    /// As [`evaluate`].
    pub fn measure<M: Task>(
        before: &M,
        after: &M,
        batches: &Batches<Batch<M>>,
        of: &'static str,
    ) -> Result<Self, Failure> {
        let [before, after] = [before, after].map(|model| evaluate(model, batches, M::FIGURES, of));
        let (before, after) = (before?.figures, after?.figures);
        Ok(Self { names: M::FIGURES, before, after, items: batches.items(), of })
    }

    fn pairs(&self) -> impl Iterator<Item = (&'static str, f64, f64)> {
        let others = self.names.iter().zip(self.before.others.iter().zip(&self.after.others));
        let others = others.map(|(figure, (&before, &after))| (figure.name, before, after));
        std::iter::once(("loss", self.before.loss, self.after.loss)).chain(others)
    }
}

impl From<ExportError> for Failure {
    fn from(error: ExportError) -> Self {
        match error {
            // What programs offer beyond PyTorch and ONNX are cells.
            ExportError::Unlike(_) => Self::input(format!("{error}; train a model with --cell rnn, lstm or gru")),
            error => Self::input(error),
        }
    }
}

/// The data of a run to measure the rounding on. Without them the model is exported all the same.
///
/// # Errors
/// An interruption.
pub fn or_not_measured<T>(data: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match data {
        Ok(data) => Ok(Some(data)),
        Err(Failure::Input(why)) => {
            say!("what int8 costs is not measured, because the run's data cannot be used: {why}");
            Ok(None)
        }
        Err(other) => Err(other),
    }
}

impl ExportArgs {
    /// Refuses an `--out` that is there already or has no folder to be in; to be asked before anything that takes long.
    ///
    /// # Errors
    /// Those.
    pub fn check(&self) -> Result<(), Failure> {
        let out = self.out.display();
        let above = self.out.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if self.out.symlink_metadata().is_ok() {
            Err(Failure::input(format!("--out {out} is there already; give a new name")))
        } else if self.out.file_name().is_none() || !above.is_dir() {
            Err(Failure::input(format!("--out {out}: there is no folder {}; make it first", above.display())))
        } else if self.format == Format::Onnx && self.out.extension().is_none_or(|ending| ending != "onnx") {
            Err(Failure::input(format!("--out {out}: give a name that ends in .onnx")))
        } else {
            Ok(())
        }
    }

    /// Writes `network` of `program`, trained on `corpus`, with its vocabulary (the name and content of the run's
    /// file), and prints what was written. `rounded` are the measured figures, with `--int8`.
    ///
    /// # Errors
    /// A network that the format lacks; a file that cannot be written.
    pub fn write(
        &self,
        program: &str,
        corpus: &str,
        network: &Network,
        vocabulary: Option<(&str, &str)>,
        rounded: Option<Rounded>,
    ) -> Result<(), Failure> {
        let title = format!("A network that the program {program} trained on {corpus}.");
        let bytes = match self.format {
            Format::Pytorch => {
                let weights = pytorch::safetensors(network, self.int8)?;
                let python = pytorch::python(network, &title);
                let mut files = vec![(pytorch::WEIGHTS, weights.as_slice()), (pytorch::PYTHON, python.as_bytes())];
                files.extend(vocabulary.map(|(name, text)| (name, text.as_bytes())));
                write_folder(&self.out, &files).map_err(|e| self.cannot(&e))?;
                let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
                print_line!("{}: {}", self.out.display(), names.join(", "));
                weights.len()
            }
            Format::Onnx => {
                let mut metadata = vec![("program", program), ("corpus", corpus)];
                metadata.extend(vocabulary);
                let file = onnx::onnx(network, program, &metadata, self.int8)?;
                let above = self.out.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
                let name = self.out.file_name().unwrap_or_default().to_string_lossy();
                replace(&System, above, &[(&name, &file)]).map_err(|e| self.cannot(&e))?;
                print_line!("{}: ONNX, opset 17, {} bytes", self.out.display(), file.len());
                file.len()
            }
        };
        let recurrent = &network.recurrent;
        let before = 4 * recurrent.matrix_values();
        let after = if self.int8 { recurrent.matrix_values() + 4 * recurrent.matrix_rows() } else { before };
        if self.int8 {
            print_line!("recurrent weights: {before} bytes as float32, {after} as int8 with their scales");
        }
        if let Some(rounded) = &rounded {
            let figures: Vec<String> = rounded
                .pairs()
                .map(|(name, before, after)| format!("{name} {} → {}", figure(before), figure(after)))
                .collect();
            print_line!("on {} {}: {}", rounded.items, rounded.of, figures.join(", "));
        }
        if self.json {
            let mut line = Map::new();
            for (name, value) in [
                ("format", json!(self.format)),
                ("out", json!(self.out.display().to_string())),
                ("int8", json!(self.int8)),
                ("bytes", json!(bytes)),
                ("recurrent_bytes", json!(after)),
                ("recurrent_bytes_float32", json!(before)),
            ] {
                line.insert(name.into(), value);
            }
            for (name, before, after) in rounded.iter().flat_map(Rounded::pairs) {
                line.insert(format!("{name}_float32"), json!(before));
                line.insert(format!("{name}_int8"), json!(after));
            }
            json_line(&line)?;
        }
        Ok(())
    }

    fn cannot(&self, error: &std::io::Error) -> Failure {
        Failure::input(format!("cannot write --out {}: {error}", self.out.display()))
    }
}
