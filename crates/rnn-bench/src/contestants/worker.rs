//! A worker process from the bench's side: it stays warm, waits on its stdin, and measures on request.

use super::protocol::{Answer, Request, Spec};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A running worker.
#[derive(Debug)]
pub struct Worker {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    slots: usize,
}

impl Worker {
    /// Starts `command`; what it says on stderr goes to the end of `log`.
    pub fn start(name: &str, command: &mut Command, threads: usize, log: &Path) -> Result<Self, String> {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .map_err(|e| format!("cannot write {}: {e}", log.display()))?;
        let mut child = command
            .env("RAYON_NUM_THREADS", threads.to_string())
            .env("OMP_NUM_THREADS", threads.to_string())
            .env("OPENBLAS_NUM_THREADS", threads.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(|e| format!("cannot start the worker of {name}: {e}"))?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(format!("the worker of {name} has no pipes"));
        };
        Ok(Self { name: name.to_string(), child, stdin: Some(stdin), stdout: BufReader::new(stdout), slots: 0 })
    }

    fn ask(&mut self, request: &Request) -> Result<Answer, String> {
        let name = &self.name;
        let gone = |e: &dyn std::fmt::Display| format!("the worker of {name} stopped: {e}");
        let line = serde_json::to_string(request).map_err(|e| gone(&e))?;
        let stdin = self.stdin.as_mut().ok_or_else(|| gone(&"its stdin is closed"))?;
        writeln!(stdin, "{line}").and_then(|()| stdin.flush()).map_err(|e| gone(&e))?;
        let mut said = String::new();
        if self.stdout.read_line(&mut said).map_err(|e| gone(&e))? == 0 {
            return Err(gone(&"it ended without an answer; its last words are in the log"));
        }
        let answer: Answer = serde_json::from_str(&said).map_err(|e| gone(&e))?;
        match answer.error {
            Some(error) => Err(format!("{name}: {error}")),
            None => Ok(answer),
        }
    }

    /// Prepares `spec`; [`run`](Self::run) takes the number that this returns.
    pub fn prepare(&mut self, spec: Spec) -> Result<usize, String> {
        let slot = self.slots;
        self.ask(&Request::Prepare { slot, spec })?;
        self.slots += 1;
        Ok(slot)
    }

    /// Seconds per call, the mean of `calls`.
    pub fn run(&mut self, slot: usize, calls: u64) -> Result<f64, String> {
        let answer = self.ask(&Request::Run { slot, calls })?;
        let seconds = answer.seconds.ok_or_else(|| format!("the worker of {} gave no time", self.name))?;
        Ok(seconds / calls as f64)
    }

    /// Forgets what was prepared.
    pub fn clear(&mut self) -> Result<(), String> {
        self.slots = 0;
        self.ask(&Request::Clear).map(drop)
    }

    /// The peak of its resident memory in MB, where the system reports it.
    pub fn peak_mb(&mut self) -> Result<Option<f64>, String> {
        Ok(self.ask(&Request::Rss)?.mb)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.stdin.take()); // the end of stdin ends an idle worker; `kill` ends one that is busy
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `VmHWM` of a process, in MB. Linux only.
pub fn peak_of(pid: &str) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<f64>().ok().map(|kb| kb / 1024.0)
}
