//! The options about the run of a training: a new one or one that is resumed, its device, what is shown.

use crate::device::{DeviceArgs, Selected, same_bits};
use crate::run_dir::{Config, RunDir, SETTINGS};
use crate::{Failure, say};
use std::path::PathBuf;

/// The options about the run, the same in every program that trains.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct SessionArgs {
    /// Seed of the weights, the order of the examples and dropout
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Name of the run folder [default: the time]
    #[arg(long)]
    name: Option<String>,
    /// Take options from a TOML file, such as the settings.toml of a run; an option on the command line overrides the
    /// file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Continue the training in this run folder, which was stopped or killed, from its last checkpoint and with its own
    /// settings
    #[arg(long, value_name = "DIR")]
    resume: Option<PathBuf>,
    /// Write a checkpoint after every N mini-batches too, not only after each epoch
    #[arg(long, value_name = "N", value_parser = super::size())]
    checkpoint_every: Option<u64>,
    /// Show burn-train's dashboard instead of the progress line
    #[arg(long)]
    tui: bool,
    /// Print the results as a JSON object in the last line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

/// The options that may be given beside `--resume`.
pub(crate) const BESIDE_RESUME: [&str; 6] = ["resume", "checkpoint_every", "tui", "json", "device", "threads"];

/// A training as it was asked for.
#[derive(Debug, Clone)]
pub struct Session {
    /// The program's name under `runs`.
    pub program: &'static str,
    /// What it runs on; of several the first, until [`decide`](Session::decide) has measured them.
    pub device: Selected,
    /// The other devices that it may run on.
    pub(crate) rivals: Vec<Selected>,
    /// Of a new run.
    pub seed: u64,
    /// Print the results as a JSON object in the last line.
    pub json: bool,
    pub(crate) name: Option<String>,
    pub(crate) resumed: Option<RunDir>,
    pub(crate) checkpoint_every: Option<u64>,
    pub(crate) tui: bool,
}

impl SessionArgs {
    /// Whether the run has a name of its own.
    pub fn is_named(&self) -> bool {
        self.name.is_some()
    }

    /// Finds the devices; of a run that is resumed also gives the configuration. Call it before the first tensor
    /// exists. Where the session may run on several devices, [`Session::decide`] chooses.
    ///
    /// # Errors
    /// A device that is not there, a name that is taken, a run that cannot be resumed.
    pub fn begin<C: Config>(&self, program: &'static str) -> Result<(Session, Option<C>), Failure> {
        if self.tui && !std::io::IsTerminal::is_terminal(&std::io::stdout()) {
            return Err(Failure::input("--tui needs a terminal on stdout; leave it out for plain lines"));
        }
        let (mut devices, resumed, config) = match &self.resume {
            None => {
                let devices = self.device.candidates()?;
                RunDir::check(program, self.name.as_deref())?;
                (devices, None, None)
            }
            Some(path) => {
                let run = RunDir::resume(program, path)?;
                let config: C = run.read_config_to_resume()?;
                let saved = config.training();
                let device = self.device.select_as(&saved.device, saved.threads)?;
                if !same_bits(&device.name, &saved.device) || device.threads != saved.threads {
                    let s = if saved.threads == 1 { "" } else { "s" };
                    say!(
                        "the training began on {} with {} thread{s}: the last digits will differ from those of one that was \
                         not stopped",
                        saved.device,
                        saved.threads
                    );
                }
                (vec![device], Some(run), Some(config))
            }
        };
        let rivals = devices.split_off(1);
        let device = devices.remove(0);
        let Self { seed, name, checkpoint_every, tui, json, .. } = self.clone();
        Ok((Session { program, device, rivals, seed, json, name, resumed, checkpoint_every, tui }, config))
    }
}

impl Session {
    /// The run's folder. A new one gets `files`, then its configuration.
    ///
    /// # Errors
    /// A folder or file that cannot be made.
    pub fn run(&self, config: &impl Config, files: &[(&str, &[u8])]) -> Result<RunDir, Failure> {
        if let Some(run) = &self.resumed {
            // What is missing or damaged is written again.
            for (name, bytes) in files {
                if run.read_bytes(name).ok().as_deref() != Some(bytes) {
                    run.write_bytes(name, bytes)?;
                }
            }
            return Ok(run.clone());
        }
        let run = RunDir::create(self.program, self.name.as_deref())?;
        for (name, bytes) in files {
            run.write_bytes(name, bytes)?;
        }
        run.write_bytes(SETTINGS, crate::arguments::given::given().as_bytes())?;
        run.write_config(config)?;
        Ok(run)
    }
}
