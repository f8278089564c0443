//! For the tests of the programs: runs one as a person would, in a folder of its own, without a network.

use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write;
#[cfg(unix)]
use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
#[cfg(unix)]
use std::process::{Child, ChildStderr};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A program and the folder it runs in.
#[derive(Debug)]
pub struct Program {
    binary: &'static str,
    folder: TempDir,
}

/// How a run of a program ended.
#[derive(Debug)]
pub struct Ran {
    /// The exit code.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it printed on stderr.
    pub stderr: String,
}

impl Program {
    /// The program `binary`: `env!("CARGO_BIN_EXE_…")`.
    ///
    /// # Panics
    /// If there is no temporary folder, as everything here: a test cannot go on then.
    pub fn new(binary: &'static str) -> Self {
        Self { binary, folder: tempfile::tempdir().expect("temporary folder") }
    }

    /// The folder it runs in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file into the folder.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.folder().join(name), content).expect("written");
    }

    /// Runs it to its end.
    pub fn run(&self, args: &[&str]) -> Ran {
        self.run_with(args, "", &[])
    }

    /// Runs it with something on stdin and additional environment variables.
    pub fn run_with(&self, args: &[&str], stdin: &str, environment: &[(&str, &OsStr)]) -> Ran {
        let mut child = self.command(args).envs(environment.iter().copied()).spawn().expect("the program starts");
        let mut pipe = child.stdin.take().expect("piped");
        // A program that ends without reading closes the pipe.
        let _ = pipe.write_all(stdin.as_bytes());
        drop(pipe);
        Ran::from(child.wait_with_output().expect("the program ends"))
    }

    /// Runs it and sends it the signal `TERM`, `INT` or another when it says a line on stderr that begins with `when`.
    #[cfg(unix)]
    pub fn run_signalled(&self, args: &[&str], when: &str, signal: &str) -> Ran {
        let mut running = self.start(args);
        running.until(when);
        running.signal(signal);
        running.end()
    }

    /// Starts it.
    #[cfg(unix)]
    pub fn start(&self, args: &[&str]) -> Running {
        Running::from(self.command(args))
    }

    /// Starts it with a signal ignored, as `nohup` does with `HUP`.
    #[cfg(unix)]
    pub fn start_ignoring(&self, signal: &str, args: &[&str]) -> Running {
        let script = format!("trap '' {signal}; exec \"$0\" \"$@\"");
        Running::from(self.command_of("sh", &[&["-c", &script, self.binary], args].concat()))
    }

    /// Trains with `args` once without a break and `kills` times with SIGKILL at a random moment and `--resume` after
    /// it: all must leave the same model, figures and order of examples.
    ///
    /// # Panics
    /// If one does not.
    #[cfg(unix)]
    pub fn kill_and_resume(&self, args: &[&str], kills: usize, seed: u64) {
        let runs = self.folder().join("runs");
        let run = |name: &str| -> std::path::PathBuf {
            let programs = std::fs::read_dir(&runs).expect("a run").map(|entry| entry.expect("an entry").path());
            programs.map(|program| program.join(name)).find(|run| run.exists()).unwrap_or_default()
        };
        let left = |name: &str| {
            let model = std::fs::read(run(name).join("model.bpk")).expect("a model");
            let metrics = std::fs::read(run(name).join("summary.json")).expect("metrics");
            (model, without_times(serde_json::from_slice(&metrics).expect("JSON")))
        };
        let train = |name: &str| self.run(&[args, &["--name", name]].concat());
        let start = std::time::Instant::now();
        train("whole").ok();
        let whole = start.elapsed();
        let expected = left("whole");
        for (kill, u) in rnn_core::Key::new(seed).uniforms(kills).enumerate() {
            let name = format!("killed{kill}");
            let mut child = self.command(&[args, &["--name", &name]].concat()).spawn().expect("the program starts");
            std::thread::sleep(whole.mul_f64(u));
            child.kill().expect("killed"); // SIGKILL
            child.wait().expect("it ends");
            let folder = run(&name);
            // Killed before there was a configuration, it is begun once more.
            match folder.join("config.json").exists() {
                true => self.run(&["train", "--resume", &folder.to_string_lossy()]).ok(),
                false => train(&name).ok(),
            };
            let found = left(&name);
            assert!(found == expected, "kill {kill}, after {:.3} of {whole:?}: {:#} {:#}", u, found.1, expected.1);
        }
    }

    /// Trains on the CPU with `args`, once with `--half-storage` and once without. The option must change no figure there,
    /// the program must say so, and a resumed run must keep the option. `uses` are the arguments of a command that reads
    /// a run folder written before the option existed.
    ///
    /// # Panics
    /// If one of these does not hold.
    pub fn half_storage_is_kept(&self, args: &[&str], uses: &[&str]) {
        const LINE: &str = "--half-storage changes nothing on flex: it is a CPU, and only a GPU stores 16-bit floats\n";
        let args = [args, &["--device", "flex", "--json", "--name"]].concat();
        let full = self.run(&[&args[..], &["full"]].concat()).ok();
        let half = self.run(&[&args[..], &["half", "--half-storage"]].concat()).ok();
        assert!(half.stderr.contains(LINE) && !full.stderr.contains("half"), "{half:#?} {full:#?}");
        assert_eq!(half.json()["train_loss"], full.json()["train_loss"]);
        let run = half.json()["run"].as_str().unwrap_or_default().to_string();
        let config = std::fs::read_to_string(self.folder().join(&run).join("config.json")).expect("a configuration");
        let mut config: Value = serde_json::from_str(&config).expect("JSON");
        assert_eq!(config["model"]["half_storage"], true, "{config:#}");
        assert!(self.run(&["train", "--resume", &run]).ok().stderr.contains(LINE));
        self.run(&["train", "--resume", &run, "--half-storage"]).told("leave out --half-storage");
        config["model"].as_object_mut().and_then(|model| model.remove("half_storage")).expect("a field");
        self.forge(&run, "config.json", config.to_string());
        self.run(&[uses, &["--run", &run]].concat()).ok();
    }

    /// Writes the file `name` of the run `run`, a folder below the program's, and its SHA-256 with it: as somebody
    /// may who hands a run folder on.
    pub fn forge(&self, run: &str, name: &str, content: impl AsRef<[u8]>) {
        let (run, content) = (self.folder().join(run), content.as_ref());
        let sha256: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
        let checksums = run.join("checksums.json");
        let mut json: Value = serde_json::from_slice(&std::fs::read(&checksums).expect("read")).expect("JSON");
        json[name] = vec![sha256].into();
        std::fs::write(checksums, json.to_string()).expect("written");
        std::fs::write(run.join(name), content).expect("written");
    }

    fn command(&self, args: &[&str]) -> Command {
        self.command_of(self.binary, args)
    }

    fn command_of(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(args)
            .current_dir(self.folder())
            .env_remove("RNN_DATASETS")
            .env_remove("RNN_RUNS")
            .env("RUST_BACKTRACE", "0")
            .env("HOME", self.folder())
            .env("XDG_CACHE_HOME", self.folder().join("cache"))
            .env("HTTPS_PROXY", "http://127.0.0.1:9") // nobody listens there
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

/// The f32 tensors of a file of safetensors, by name.
///
/// # Panics
/// If it is no such file.
pub fn tensors(path: &Path) -> BTreeMap<String, Vec<f32>> {
    let bytes = std::fs::read(path).expect("a file");
    let (length, rest) = bytes.split_first_chunk::<8>().expect("the length of the header");
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let header: BTreeMap<String, Value> = serde_json::from_slice(header).expect("JSON");
    let values = |tensor: &Value| -> Vec<f32> {
        let [from, to] = [0, 1].map(|i| tensor["data_offsets"][i].as_u64().expect("a number") as usize);
        data[from..to].as_chunks().0.iter().map(|value| f32::from_le_bytes(*value)).collect()
    };
    header.iter().filter(|(_, tensor)| tensor["dtype"] == "F32").map(|(name, t)| (name.clone(), values(t))).collect()
}

/// Metrics without what differs between two runs of the same training.
fn without_times(mut metrics: Value) -> Value {
    match &mut metrics {
        Value::Object(map) => {
            map.retain(|name, _| name != "run" && name != "seconds" && !name.ends_with("_seconds"));
            map.values_mut().for_each(|value| *value = without_times(value.take()));
        }
        Value::Array(list) => list.iter_mut().for_each(|value| *value = without_times(value.take())),
        _ => {}
    }
    metrics
}

/// Whether the tests, and so what they start, ignore SIGHUP: they may run under `nohup`.
#[cfg(unix)]
pub fn ignores_hangup() -> bool {
    crate::interrupt::Ignored::now().has(signal_hook::consts::SIGHUP)
}

/// A program that runs.
#[cfg(unix)]
#[derive(Debug)]
pub struct Running {
    child: Child,
    stderr: Lines<BufReader<ChildStderr>>,
    said: Vec<String>,
}

#[cfg(unix)]
impl From<Command> for Running {
    fn from(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let stderr = BufReader::new(child.stderr.take().expect("piped")).lines();
        Self { child, stderr, said: Vec::new() }
    }
}

#[cfg(unix)]
impl Running {
    /// Waits until it says a line on stderr that begins with `when`.
    pub fn until(&mut self, when: &str) {
        loop {
            match self.stderr.next() {
                Some(line) => self.said.push(line.expect("UTF-8")),
                None => panic!("it ended without {when:?}: {:#?}", self.said),
            }
            if self.said.last().is_some_and(|line| line.starts_with(when)) {
                return;
            }
        }
    }

    /// Sends it a signal, such as `TERM`.
    pub fn signal(&self, signal: &str) {
        let kill = format!("kill -{signal} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("a shell").success());
    }

    /// Waits for its end.
    pub fn end(mut self) -> Ran {
        self.said.extend(self.stderr.map(|line| line.expect("UTF-8")));
        let ran = Ran::from(self.child.wait_with_output().expect("the program ends"));
        Ran { stderr: self.said.join("\n"), ..ran }
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Ran {
    /// It ended well.
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }

    /// The JSON object in the last line of stdout.
    pub fn json(&self) -> Value {
        let line = self.stdout.lines().last().unwrap_or_default();
        let json: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {self:#?}"));
        assert!(json.is_object(), "{self:#?}");
        json
    }

    /// It ended with exit code 2 and this in the last line of stderr, the only one that begins with `error:`.
    pub fn told(self, what: &str) {
        assert_eq!(self.code, Some(2), "{self:#?}");
        let errors: Vec<&str> = self.stderr.lines().filter(|line| line.starts_with("error:")).collect();
        assert_eq!(errors.len(), 1, "{self:#?}");
        assert!(errors[0].contains(what), "{what}: {self:#?}");
    }
}
