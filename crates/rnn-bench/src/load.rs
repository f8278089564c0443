//! Whether other work runs on the machine. Linux only: elsewhere nothing is known, and the record says so.
//!
//! Busy time that neither this process nor its children used is foreign, and so is what a hypervisor took away.

use std::fs;
use std::time::{Duration, Instant};

/// The share of all cores that may be foreign. One busy core of two is 0.5; idle systems show 0.01.
pub const ALLOWED: f64 = 0.05;

/// Counts of clock ticks since boot.
#[derive(Debug, Clone, Copy)]
struct Ticks {
    all: u64,
    busy: u64,
    ours: u64,
}

impl Ticks {
    fn now() -> Option<Self> {
        let (all, busy) = cores(&fs::read_to_string("/proc/stat").ok()?)?;
        Some(Self { all, busy, ours: ours()? })
    }
}

/// All and busy ticks of all cores. The fields are user, nice, system, idle, iowait, irq, softirq, steal.
fn cores(stat: &str) -> Option<(u64, u64)> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let fields: Vec<u64> = line.split_whitespace().take(8).map_while(|field| field.parse().ok()).collect();
    let all: u64 = fields.iter().sum();
    Some((all, all - fields.get(3)? - fields.get(4)?))
}

/// What this process, the children it has waited for and the children it has now have used.
fn ours() -> Option<u64> {
    let own = process(&fs::read_to_string("/proc/self/stat").ok()?)?;
    let pid = u64::from(std::process::id());
    let children = fs::read_dir("/proc").ok()?.filter_map(|entry| {
        let stat = fs::read_to_string(entry.ok()?.path().join("stat")).ok()?;
        process(&stat).filter(|process| process.parent == pid)
    });
    Some(own.own + own.waited + children.map(|child| child.own + child.waited).sum::<u64>())
}

struct Process {
    parent: u64,
    own: u64,
    waited: u64,
}

/// Fields of `/proc/PID/stat` after the name, which may hold anything.
fn process(stat: &str) -> Option<Process> {
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let field = |i: usize| fields.get(i)?.parse::<u64>().ok();
    Some(Process { parent: field(1)?, own: field(11)? + field(12)?, waited: field(13)? + field(14)? })
}

/// Foreign load since a moment.
#[derive(Debug)]
pub struct Watch(Option<Ticks>);

impl Watch {
    pub fn start() -> Self {
        Self(Ticks::now())
    }

    /// Where nothing is known.
    #[cfg(test)]
    pub fn unknown() -> Self {
        Self(None)
    }

    /// The share of all cores that something else had; `None` where it is not known.
    pub fn foreign(&self) -> Option<f64> {
        let (then, now) = (self.0?, Ticks::now()?);
        let all = now.all.saturating_sub(then.all);
        let busy = now.busy.saturating_sub(then.busy);
        let ours = now.ours.saturating_sub(then.ours);
        (all > 0).then(|| busy.saturating_sub(ours) as f64 / all as f64)
    }
}

/// Waits until the machine is idle, at most `patience`. Returns the foreign share if it never was.
pub fn wait_for_idle(patience: Duration) -> Result<(), f64> {
    let start = Instant::now();
    loop {
        let watch = Watch::start();
        std::thread::sleep(Duration::from_millis(300));
        match watch.foreign() {
            Some(foreign) if foreign > ALLOWED => {
                if start.elapsed() >= patience {
                    return Err(foreign);
                }
                std::thread::sleep(Duration::from_millis(500));
            }
            _ => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lines_are_read() {
        assert_eq!(cores("cpu  10 1 5 100 4 0 1 3 0 0\ncpu0 1\n"), Some((124, 20)));
        let stat = "42 (a) b) S 7 42 42 0 -1 4194304 1 2 3 4 50 6 70 8 20 0 1 0 9 9";
        let process = process(stat).expect("fields");
        assert_eq!((process.parent, process.own, process.waited), (7, 56, 78));
    }

    #[test]
    fn own_work_is_not_foreign() {
        let watch = Watch::start();
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(100) {
            std::hint::black_box(start.elapsed());
        }
        if let Some(foreign) = watch.foreign() {
            assert!((0.0..=1.0).contains(&foreign));
        }
    }
}
