//! The Python peers: which interpreter has them, and a virtual environment with pinned versions where none is named.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const TORCH: &str = "torch==2.15.0";
/// The package for processors alone exists where it is much smaller.
const TENSORFLOW: &str = if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
    "tensorflow-cpu==2.21.0"
} else {
    "tensorflow==2.21.0"
};
const KERAS: &str = "keras==3.15.1";
const NUMPY: &str = "numpy==2.4.6";
/// PyTorch's own index has a build without CUDA; PyPI's for Linux brings CUDA along.
const TORCH_INDEX: &str = "https://download.pytorch.org/whl/cpu";

const SCRIPTS: [(&str, &str); 4] = [
    ("peer.py", include_str!("python/peer.py")),
    ("torch_peer.py", include_str!("python/torch_peer.py")),
    ("keras_peer.py", include_str!("python/keras_peer.py")),
    ("numpy_peer.py", include_str!("python/numpy_peer.py")),
];

/// Lists the packages that are there, without importing them.
const PROBE: &str = "import json, importlib.metadata as m\nfound = {}\nfor d in m.distributions():\n    \
                     name = (d.metadata['Name'] or '').lower().replace('_', '-')\n    \
                     if name in ('torch', 'keras', 'tensorflow', 'tensorflow-cpu', 'numpy'):\n        \
                     found[name] = d.version\nprint(json.dumps(found))";

/// A library to compare with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    PyTorch,
    Keras,
    NumPy,
}

impl Peer {
    fn script(self) -> &'static str {
        match self {
            Peer::PyTorch => "torch",
            Peer::Keras => "keras",
            Peer::NumPy => "numpy",
        }
    }
}

/// An interpreter and the versions of what it has.
#[derive(Debug)]
struct Interpreter {
    program: PathBuf,
    versions: Value,
}

impl Interpreter {
    fn has(&self, peer: Peer) -> bool {
        let has = |name: &str| self.versions[name].is_string();
        match peer {
            Peer::PyTorch => has("torch") && has("numpy"),
            Peer::Keras => has("keras") && (has("tensorflow") || has("tensorflow-cpu")),
            Peer::NumPy => has("numpy"),
        }
    }
}

/// The interpreters and the scripts they run.
#[derive(Debug)]
pub struct Peers {
    interpreters: Vec<Interpreter>,
    scripts: PathBuf,
}

impl Peers {
    /// The environments in `given`, or the bench's own, made if it is not there.
    pub fn open(folder: &Path, given: &[PathBuf]) -> Result<Self, String> {
        let scripts = folder.join("peers");
        make_folder(&scripts)?;
        for (name, script) in SCRIPTS {
            let path = scripts.join(name);
            std::fs::write(&path, script).map_err(|e| format!("cannot write {}: {e}", path.display()))?;
        }
        let own = [folder.join("python")];
        let environments = match given {
            [] => {
                make_environment(&own[0])?;
                &own[..]
            }
            given => given,
        };
        let interpreters = environments.iter().map(|path| probe(path)).collect::<Result<Vec<_>, _>>()?;
        let peers = Self { interpreters, scripts };
        for (peer, name) in [(Peer::PyTorch, "torch"), (Peer::Keras, "keras with tensorflow"), (Peer::NumPy, "numpy")] {
            if !peers.has(peer) {
                eprintln!("no {name} in the given environments: those columns are left out");
            }
        }
        Ok(peers)
    }

    fn of(&self, peer: Peer) -> Option<&Interpreter> {
        self.interpreters.iter().find(|interpreter| interpreter.has(peer))
    }

    pub fn has(&self, peer: Peer) -> bool {
        self.of(peer).is_some()
    }

    /// The peer's process, to which more arguments may be given.
    pub fn command(&self, peer: Peer) -> Result<Command, String> {
        let interpreter = self.of(peer).ok_or_else(|| format!("no environment has {}", peer.script()))?;
        let mut command = Command::new(&interpreter.program);
        command.arg(self.scripts.join("peer.py")).arg(peer.script());
        Ok(command)
    }

    /// Name and version of each package that is compared with.
    pub fn versions(&self) -> Vec<String> {
        let wanted = [
            (Peer::PyTorch, &["torch"][..]),
            (Peer::Keras, &["keras", "tensorflow", "tensorflow-cpu"]),
            (Peer::NumPy, &["numpy"]),
        ];
        let mut versions = Vec::new();
        for (peer, names) in wanted {
            let Some(interpreter) = self.of(peer) else { continue };
            for name in names {
                if let Some(version) = interpreter.versions[*name].as_str() {
                    versions.push(format!("{name} {version}"));
                }
            }
        }
        versions
    }
}

/// The interpreter of a virtual environment.
fn interpreter(environment: &Path) -> PathBuf {
    if cfg!(windows) { environment.join("Scripts/python.exe") } else { environment.join("bin/python") }
}

fn probe(environment: &Path) -> Result<Interpreter, String> {
    let program = interpreter(environment);
    if !program.is_file() {
        return Err(format!("{} is no virtual environment: it has no {}", environment.display(), program.display()));
    }
    let wrong = |e: &dyn std::fmt::Display| format!("{}: {e}", program.display());
    let output = Command::new(&program).args(["-c", PROBE]).output().map_err(|e| wrong(&e))?;
    let versions = serde_json::from_slice(&output.stdout).map_err(|_| {
        let said = String::from_utf8_lossy(&output.stderr);
        wrong(&said.lines().last().unwrap_or("it says nothing"))
    })?;
    Ok(Interpreter { program, versions })
}

/// Makes the environment, unless it is there, whole, and of these versions.
fn make_environment(environment: &Path) -> Result<(), String> {
    let pins = [TORCH, TENSORFLOW, KERAS, NUMPY].join("\n");
    let mark = environment.join("complete");
    if std::fs::read_to_string(&mark).is_ok_and(|found| found == pins) {
        return Ok(());
    }
    let python = if cfg!(windows) { "python" } else { "python3" };
    let found = Command::new(python).args(["-c", "import venv, ensurepip"]).stdout(Stdio::null()).output();
    if !found.is_ok_and(|output| output.status.success()) {
        return Err(format!(
            "--peers needs {python} with the modules venv and ensurepip (3.11 or newer); install it first"
        ));
    }
    eprintln!(
        "--peers makes a Python environment in {}: {TORCH}, {TENSORFLOW}, {KERAS}, {NUMPY}. It downloads about 0.6 GB \
         and takes 2.5 GB on disk; where PyTorch's own index ({TORCH_INDEX}) cannot be reached, PyPI's build brings \
         CUDA along: about 3 GB and 7 GB. Delete the folder to be rid of it; --python DIR takes an environment of \
         yours instead.",
        environment.display()
    );
    if environment.exists() {
        std::fs::remove_dir_all(environment).map_err(|e| format!("cannot empty {}: {e}", environment.display()))?;
    }
    let log = environment.with_extension("log");
    run(Command::new(python).args(["-m", "venv"]).arg(environment), "python3 -m venv", &log)?;
    let program = interpreter(environment);
    let pip = |args: &[&str]| {
        let mut command = Command::new(&program);
        command.args(["-m", "pip", "install", "--disable-pip-version-check"]).args(args);
        run(&mut command, &format!("pip install {}", args.join(" ")), &log)
    };
    let own_index = ["--index-url", TORCH_INDEX, "--retries", "1", "--timeout", "15", TORCH];
    if let Err(why) = pip(&own_index) {
        eprintln!("{why}; now from PyPI");
        pip(&[TORCH])?;
    }
    pip(&[TENSORFLOW, KERAS, NUMPY])?;
    std::fs::write(&mark, pins).map_err(|e| format!("cannot write {}: {e}", mark.display()))
}

/// Runs `command`; what it says goes to `log`, and its last line into the error.
fn run(command: &mut Command, what: &str, log: &Path) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|e| format!("cannot start {what}: {e}"))?;
    let said = [output.stdout, output.stderr].concat();
    let written = std::fs::write(log, &said);
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&said);
    let error = said.lines().rev().find(|line| line.starts_with("ERROR")).or(said.lines().last()).unwrap_or_default();
    let more = if written.is_ok() { format!(" (all of it: {})", log.display()) } else { String::new() };
    Err(format!("{what} failed: {error}{more}"))
}

fn make_folder(path: &Path) -> Result<(), String> {
    std::fs::create_dir_all(path).map_err(|e| format!("cannot make {}: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_an_interpreter_is_told() {
        let error = probe(Path::new("/nowhere")).expect_err("nothing there");
        assert!(error.contains("/nowhere is no virtual environment"), "{error}");
    }

    #[test]
    fn peers_are_known_by_their_packages() {
        let versions = serde_json::json!({"numpy": "2.4.6", "torch": "2.15.0", "keras": "3.15.1"});
        let interpreter = Interpreter { program: PathBuf::new(), versions };
        assert!(interpreter.has(Peer::PyTorch) && interpreter.has(Peer::NumPy));
        assert!(!interpreter.has(Peer::Keras), "no TensorFlow");
    }

    #[test]
    fn what_fails_is_told_in_one_line() {
        let log = std::env::temp_dir().join(format!("rnn-bench-{}.log", std::process::id()));
        let error = run(Command::new("cargo").arg("no-such-command"), "pip install x", &log).expect_err("fails");
        assert!(error.starts_with("pip install x failed: ") && !error.contains('\n'), "{error}");
        std::fs::remove_file(&log).expect("written");
    }
}
