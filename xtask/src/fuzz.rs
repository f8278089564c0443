//! `cargo xtask fuzz`: everything that reads files of other people, given what libFuzzer makes up.

use crate::{cargo, root};
use clap::ValueEnum;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// What `cargo xtask fuzz` may be told.
#[derive(Debug, clap::Args)]
pub struct FuzzArgs {
    /// The readers to fuzz; all of them if none is named
    #[arg(value_enum)]
    targets: Vec<Target>,
    /// Seconds for each
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u32,
    /// How many run at a time; each takes a core
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..))]
    jobs: u8,
    /// Take a panic that the reader catches for a finding too
    #[arg(long)]
    strict: bool,
    /// Give one target this file alone, as a finding says it, and show what it says
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Target {
    /// PyTorch's pickles
    Pt,
    /// Safetensors
    Safetensors,
    /// Keras' weights in HDF5
    H5,
    /// Keras' archives
    Keras,
    /// NumPy's archives
    Npz,
    /// Tables of reviews
    Tables,
    /// Archives of reviews, texts
    Corpora,
    /// Tables of numbers over time
    Series,
    /// Folders of trained runs
    Runs,
    /// Checkpoints of trainings
    Checkpoints,
}

/// The most memory that a target may take, and ask for at once, in MiB. The readers' own bounds lie below: a pickle
/// of 16 MiB or weights that inflate to 64 MiB take some hundreds.
const MEMORY: [&str; 2] = ["-rss_limit_mb=2048", "-malloc_limit_mb=512"];
/// The most seconds for one input.
const TIMEOUT: &str = "-timeout=20";

/// One target at work.
struct Running {
    target: Target,
    process: Child,
    /// Where its files go; taken away at the end.
    _folder: tempfile::TempDir,
    log: PathBuf,
}

/// Builds the targets and runs them; a finding is an error.
pub fn run(args: &FuzzArgs) -> Result<(), String> {
    let home = target_folder().join("fuzz");
    let programs = build(&home)?;
    if let Some(input) = &args.input {
        let [target] = args.targets[..] else { return Err("--input goes with one target".into()) };
        let folder = folder()?;
        let mut command = command(&programs, target, folder.path(), args.strict);
        let status = command.args([TIMEOUT].iter().chain(&MEMORY)).arg(input).status();
        return match status.map_err(|e| format!("cannot start {target:?}: {e}"))?.success() {
            true => Ok(()),
            false => Err(format!("{} is a finding", input.display())),
        };
    }
    let all = Target::value_variants().to_vec();
    let mut waiting = if args.targets.is_empty() { all } else { args.targets.clone() };
    waiting.dedup();
    waiting.reverse();
    let (mut running, mut findings) = (Vec::new(), Vec::new());
    println!("{:<12} {:>12} {:>10} {:>10}", "target", "inputs", "a second", "coverage");
    while !(waiting.is_empty() && running.is_empty()) {
        while running.len() < usize::from(args.jobs) {
            let Some(target) = waiting.pop() else { break };
            running.push(start(&programs, &home, target, args)?);
        }
        std::thread::sleep(Duration::from_millis(200));
        let mut still = Vec::new();
        for mut one in running {
            match one.process.try_wait().map_err(|e| format!("cannot wait for {:?}: {e}", one.target))? {
                None => still.push(one),
                Some(status) => {
                    let log = std::fs::read_to_string(&one.log).unwrap_or_default();
                    println!("{}", line(one.target, &log));
                    if !status.success() {
                        findings.push(finding(one.target, &log, &one.log));
                    }
                }
            }
        }
        running = still;
    }
    if findings.is_empty() { Ok(()) } else { Err(findings.join("\n")) }
}

/// `$CARGO_TARGET_DIR`, or `target`.
fn target_folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").filter(|v| !v.is_empty()).map_or_else(|| root().join("target"), PathBuf::from)
}

/// Builds the programs, instrumented, and says where they are. Burn is built once more, in a folder of its own.
fn build(home: &Path) -> Result<PathBuf, String> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err("fuzzing needs Linux on x86-64".into());
    }
    let host = "x86_64-unknown-linux-gnu";
    let package = root().join("xtask/fuzz");
    // The workspace's versions; cargo adds libFuzzer's.
    let lock = package.join("Cargo.lock");
    std::fs::copy(root().join("Cargo.lock"), &lock).map_err(|e| format!("cannot write {}: {e}", lock.display()))?;
    let status = cargo()
        .args(["build", "--quiet", "--target", host, "--manifest-path"])
        .arg(package.join("Cargo.toml"))
        // The flags of the sanitizers are not stable.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_DIR", home)
        .env("CARGO_INCREMENTAL", "0")
        .status()
        .map_err(|e| format!("cannot start cargo: {e}"))?;
    match status.success() {
        true => Ok(home.join(host).join("debug")),
        false => Err("cargo build of the fuzz targets failed; it needs a C++ compiler".into()),
    }
}

/// A folder in memory, where there is one: every input becomes a file.
fn folder() -> Result<tempfile::TempDir, String> {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.map_err(|e| format!("cannot make a temporary folder: {e}"))
}

fn command(programs: &Path, target: Target, folder: &Path, strict: bool) -> Command {
    let mut command = Command::new(programs.join(if matches!(target, Target::Runs | Target::Checkpoints) {
        "runs"
    } else {
        "readers"
    }));
    command
        .env("RNN_FUZZ_TARGET", name(target))
        .env("RNN_FUZZ_FOLDER", folder)
        .env("RNN_RUNS", folder)
        // One thread is enough, and Burn's pool lives to the end.
        .env("RAYON_NUM_THREADS", "1")
        .env("ASAN_OPTIONS", "detect_leaks=0");
    if strict {
        command.env("RNN_FUZZ_STRICT", "1");
    }
    command
}

fn start(programs: &Path, home: &Path, target: Target, args: &FuzzArgs) -> Result<Running, String> {
    let make = |what: &str| {
        let path = home.join(what).join(name(target));
        std::fs::create_dir_all(&path)
            .map(|()| path.clone())
            .map_err(|e| format!("cannot make {}: {e}", path.display()))
    };
    // What libFuzzer finds worth keeping grows from call to call; the seeds stay as they are.
    let (corpus, findings) = (make("corpus")?, make("findings")?);
    let log = findings.join("log");
    let output = File::create(&log).map_err(|e| format!("cannot write {}: {e}", log.display()))?;
    let folder = folder()?;
    let process = command(programs, target, folder.path(), args.strict)
        .args([TIMEOUT].iter().chain(&MEMORY))
        .arg(format!("-max_total_time={}", args.seconds))
        .arg(format!("-artifact_prefix={}/", findings.display()))
        .args(["-print_final_stats=1", "-reload=0"])
        .args([corpus, root().join("xtask/fuzz/seeds").join(name(target))])
        .stdout(Stdio::null())
        .stderr(output)
        .spawn()
        .map_err(|e| format!("cannot start {}: {e}", name(target)))?;
    Ok(Running { target, process, _folder: folder, log })
}

fn name(target: Target) -> String {
    target.to_possible_value().map(|value| value.get_name().to_string()).unwrap_or_default()
}

/// The target's row of the table, from libFuzzer's `stat::number_of_executed_units: 5` and `#5 NEW cov: 12 …`.
fn line(target: Target, log: &str) -> String {
    let stat = |key: &str| {
        let found = log.lines().find_map(|line| line.strip_prefix("stat::")?.strip_prefix(key));
        found.map_or("-", |rest| rest.trim_start_matches(':').trim()).to_string()
    };
    let coverage = log.lines().rev().find_map(|line| line.split_once(" cov: ")?.1.split(' ').next());
    format!(
        "{:<12} {:>12} {:>10} {:>10}",
        name(target),
        stat("number_of_executed_units"),
        stat("average_exec_per_sec"),
        coverage.unwrap_or("-")
    )
}

/// What went wrong, and how to see it again.
fn finding(target: Target, log: &str, path: &Path) -> String {
    const LINES: usize = 40;
    let lines: Vec<&str> = log.lines().filter(|line| !line.starts_with('#')).collect();
    let text = lines[lines.len().saturating_sub(LINES)..].join("\n");
    let name = name(target);
    let input = log.lines().find_map(|line| line.split_once("Test unit written to ").map(|(_, path)| path));
    let again = input.map_or_else(String::new, |input| format!("\nagain: cargo xtask fuzz {name} --input {input}"));
    format!("{name}: a finding, whole in {}:\n{text}{again}", path.display())
}

#[cfg(test)]
mod tests {
    use super::{Target, finding, line};
    use std::path::Path;

    const LOG: &str = "INFO: Seed: 1\n#2\tINITED cov: 7 ft: 8 corp: 1/1b\n#9\tNEW    cov: 12 ft: 20 corp: 2/2b\n\
                       ==1== ERROR: libFuzzer: timeout after 20 seconds\n\
                       Test unit written to /x/timeout-1\nstat::number_of_executed_units: 900\nstat::average_exec_per_sec:     30\n";

    #[test]
    fn a_log_becomes_a_row() {
        let row = line(Target::Pt, LOG);
        assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["pt", "900", "30", "12"]);
        let none = line(Target::H5, "");
        assert_eq!(none.split_whitespace().collect::<Vec<_>>(), ["h5", "-", "-", "-"]);
    }

    #[test]
    fn a_finding_says_how_to_see_it_again() {
        let text = finding(Target::H5, LOG, Path::new("/x/log"));
        assert!(text.contains("timeout after 20 seconds"), "{text}");
        assert!(text.ends_with("again: cargo xtask fuzz h5 --input /x/timeout-1"), "{text}");
        assert!(!text.contains("INITED"), "{text}");
    }
}
