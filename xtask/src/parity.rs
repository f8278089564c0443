//! `cargo xtask parity [--regenerate [LIBRARY]]`: the layers against PyTorch and Keras, exports against onnxruntime.
//! With `--ets`, forecasts against statsmodels.

mod ets;

use crate::root;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output, Stdio};

#[derive(Debug, clap::Args)]
pub struct ParityArgs {
    /// Make the fixtures anew first, of all libraries or of this one: in fresh virtual environments, with the versions
    /// pinned beside the generators
    #[arg(long, value_name = "LIBRARY", num_args = 0..=1, default_missing_value = "all",
        value_parser = ["all", "pytorch", "keras", "onnx"])]
    regenerate: Option<String>,
    /// Instead, forecast the registry's series and compare with exponential smoothing by statsmodels, run by this Python,
    /// or without one in a fresh virtual environment (0.1 GB)
    #[arg(long, value_name = "PYTHON", num_args = 0..=1, conflicts_with = "regenerate")]
    ets: Option<Option<PathBuf>>,
}

struct Library {
    name: &'static str,
    /// The crate with its test.
    package: &'static str,
    /// The test's folder under tests, and its name.
    folder: &'static str,
    /// What pip fetches, as measured with the pinned versions on x86-64 Linux.
    download: &'static str,
}

const LIBRARIES: [Library; 3] = [
    Library {
        name: "PyTorch",
        package: "rnn-core",
        folder: "pytorch",
        download: "3.0 GB, because PyPI's build brings CUDA",
    },
    Library { name: "Keras", package: "rnn-core", folder: "keras", download: "0.3 GB" },
    Library {
        name: "onnxruntime",
        package: "rnn-export",
        folder: "onnx",
        download: "3.1 GB, because it runs PyTorch too",
    },
];

/// What the tests print for each case and at the end.
const MARK: &str = "worst error";

/// Prints every configuration with its worst error.
///
/// # Errors
/// What keeps the fixtures from being made or the tests from being started, in one line.
pub fn run(args: &ParityArgs) -> Result<ExitCode, String> {
    if let Some(python) = &args.ets {
        return ets::run(python.as_deref()).map(|()| ExitCode::SUCCESS);
    }
    if let Some(which) = &args.regenerate {
        let libraries = LIBRARIES.iter().filter(|library| which == "all" || which == library.folder);
        regenerate(&libraries.collect::<Vec<_>>())?;
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root()).args(["test", "--workspace"]);
    for library in &LIBRARIES {
        command.args(["--test", library.folder]);
    }
    // The tests' own lines; those of the build go to stderr.
    command.args(["--", "--nocapture", "every_case"]).stderr(Stdio::inherit());
    let output = command.output().map_err(|e| format!("cannot start cargo: {e}"))?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    for line in stdout.lines().filter(|line| line.contains(MARK)) {
        // With one thread the first line stands behind the name of the test.
        println!("{}", line.rsplit(" ... ").next().unwrap_or(line));
    }
    if output.status.success() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("error: the parity tests failed");
    Ok(ExitCode::FAILURE)
}

fn regenerate(libraries: &[&Library]) -> Result<(), String> {
    let python = Path::new("python3");
    let version = said(Command::new(python).arg("--version"))
        .map_err(|e| format!("the generators need Python 3, and python3 does not start: {e}"))?;
    println!("Making the fixtures with {}. pip is going to fetch:", version.trim());
    for Library { name, download, .. } in libraries {
        println!("  {name}: {download}");
    }
    let folder = Temporary(std::env::temp_dir().join(format!("rnn-parity-{}", std::process::id())));
    for library in libraries {
        let here = root().join("crates").join(library.package).join("tests").join(library.folder);
        let failed = |what: &str, e: String| format!("{}: {what} failed: {e}", library.name);
        let home = folder.0.join(library.folder);
        let python =
            environment(&home, &here.join("requirements.txt")).map_err(|e| format!("{}: {e}", library.name))?;
        if library.folder == "onnx" {
            // The files that onnxruntime is to run are ours.
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let mut write = Command::new(cargo);
            write.current_dir(root()).args(["test", "--workspace", "--test", library.folder]);
            said(write.env("RNN_WRITE_FIXTURES", "1")).map_err(|e| failed("writing the files", e))?;
        }
        said(Command::new(&python).arg(here.join("generate.py"))).map_err(|e| failed("generate.py", e))?;
        println!("{}: made {}", library.name, here.display());
        // The next one needs the room.
        let _ = std::fs::remove_dir_all(&home);
    }
    Ok(())
}

/// A virtual environment in `folder` with what `requirements` names; gives its Python.
fn environment(folder: &Path, requirements: &Path) -> Result<PathBuf, String> {
    said(Command::new("python3").args(["-m", "venv"]).arg(folder))
        .map_err(|e| format!("python3 -m venv failed: {e}"))?;
    let python = folder.join("bin/python");
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--no-cache-dir", "--progress-bar", "off"]);
    // Its progress is for the person.
    pip.arg("-r").arg(requirements).stdout(Stdio::inherit());
    said(&mut pip).map_err(|e| format!("pip failed: {e}"))?;
    Ok(python)
}

/// What `command` printed, or, if it failed, the last line that it said about it.
fn said(command: &mut Command) -> Result<String, String> {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().map_err(|e| e.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if status.success() {
        return Ok(text(&stdout));
    }
    let (out, err) = (text(&stdout), text(&stderr));
    let mut lines = err.lines().rev().chain(out.lines().rev()).map(str::trim).filter(|line| !line.is_empty());
    Err(format!("{} ({status})", lines.next().unwrap_or("it said nothing")))
}

/// A folder that goes when it is no longer needed.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
