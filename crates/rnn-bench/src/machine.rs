//! The machine and the versions, for the record.

use crate::records::run::{Machine, Versions};
use crate::stats::significant;
use rnn_harness::run_dir::timestamp;
use rnn_kernels::Isa;
use std::process::Command;
use std::time::SystemTime;

/// GFLOP/s of fused multiply-adds on `threads` threads at once.
pub fn fma_peak(threads: usize) -> f64 {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(|| rnn_kernels::fma_peak(Isa::best()))).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).sum()
    })
}

/// Processor, cores, memory, instruction set, and the peaks for these numbers of threads.
pub fn describe(threads: &[usize]) -> Machine {
    let field = |text: &str, name: &str| {
        let value = text.lines().find(|line| line.starts_with(name))?.split_once(':')?.1.trim().to_string();
        Some(value)
    };
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kb = field(&meminfo, "MemTotal").and_then(|kb| kb.split_whitespace().next()?.parse::<u64>().ok());
    Machine {
        processor: field(&cpuinfo, "model name").unwrap_or_else(|| std::env::consts::ARCH.to_string()),
        cores: std::thread::available_parallelism().map_or(1, |n| n.get()),
        memory_gib: kb.map(|kb| (kb + 512 * 1024) / (1024 * 1024)),
        system: std::env::consts::OS.to_string(),
        instructions: format!("{:?}", Isa::best()).to_lowercase(),
        fma_gflops: threads.iter().map(|&n| (n, significant(fma_peak(n)))).collect(),
    }
}

/// This commit, rustc and Burn.
pub fn versions() -> Versions {
    let lock = std::fs::read_to_string(crate::root().join("Cargo.lock")).unwrap_or_default();
    let burn = lock.split("[[package]]").find(|package| package.contains("name = \"burn\"\n"));
    let burn = burn.and_then(|package| package.split("version = \"").nth(1)?.split('"').next());
    let changed = !output("git", &["status", "--porcelain", "--untracked-files=no"]).is_empty();
    Versions {
        commit: output("git", &["rev-parse", "--short", "HEAD"]) + if changed { " with changes" } else { "" },
        rustc: output("rustc", &["--version"]),
        burn: burn.unwrap_or("?").to_string(),
        profile: if cfg!(debug_assertions) { "dev" } else { "release" }.into(),
    }
}

fn output(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).current_dir(crate::root()).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_string()).unwrap_or_default()
}

/// `2026-11-24`, UTC.
pub fn today() -> String {
    let mut date = timestamp(SystemTime::now());
    date.truncate("2026-11-24".len());
    date
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_versions_are_found() {
        let versions = super::versions();
        assert!(versions.burn.starts_with("0.") && versions.rustc.starts_with("rustc 1."), "{versions:?}");
    }
}
