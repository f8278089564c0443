//! For the tests of the programs: runs one as a person would, in a folder of its own, without a network.

use serde_json::Value;
use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
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
    /// What it said besides.
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

    /// Runs it and sends it the signal `TERM` or `INT` when it says a line on stderr that begins with `when`.
    #[cfg(unix)]
    pub fn run_signalled(&self, args: &[&str], when: &str, signal: &str) -> Ran {
        use std::io::{BufRead, BufReader};
        let mut child = self.command(args).spawn().expect("the program starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("piped")).lines().map(|line| line.expect("UTF-8"));
        let mut said: Vec<String> = Vec::new();
        while !said.last().is_some_and(|line| line.starts_with(when)) {
            said.push(stderr.next().unwrap_or_else(|| panic!("it ended without {when:?}: {said:#?}")));
        }
        let kill = format!("kill -{signal} {}", child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("a shell").success());
        said.extend(stderr);
        let ran = Ran::from(child.wait_with_output().expect("the program ends"));
        Ran { stderr: said.join("\n"), ..ran }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.binary);
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
