//! `sweep`: a training for every combination of some settings, each a process of its own, then their comparison.

use super::compare::{Comparison, write};
use super::{Run, shown};
use crate::interrupt::{listen, stopped};
use crate::run_dir::{CONFIG, runs};
use crate::{Failure, print_line, say, whole};
use rnn_core::Key;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Trains with every combination of some settings.
#[derive(Debug, clap::Args)]
pub struct SweepArgs {
    /// An option of train and its values: cell=lstm,gru
    #[arg(required = true, value_name = "OPTION=VALUES")]
    grid: Vec<String>,
    /// Try combinations in random order and end after so many minutes
    #[arg(long, value_name = "N", value_parser = whole::<u64>(1..=100_000))]
    minutes: Option<u64>,
    /// Beginning of the runs' names; a sweep of the same name continues where it stopped
    #[arg(long, default_value = "sweep")]
    name: String,
    /// Seed of the random order
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Further options of train, after --
    #[arg(last = true, value_name = "OPTIONS")]
    options: Vec<String>,
}

/// Combinations without `--minutes` at most.
const MOST: usize = 1000;

/// Options with their values.
type Combination = Vec<(String, String)>;

pub(super) fn sweep(program: &str, args: &SweepArgs) -> Result<(), Failure> {
    listen()?;
    let mut all = combinations(&args.grid)?;
    if all.len() > MOST && args.minutes.is_none() {
        let count = all.len();
        return Err(Failure::input(format!(
            "{count} combinations are more than {MOST}; give fewer values, or --minutes N to try some of them"
        )));
    }
    if args.minutes.is_some() {
        let mut order: Vec<(f64, Combination)> = Key::new(args.seed).uniforms(all.len()).zip(all).collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0));
        all = order.into_iter().map(|(_, combination)| combination).collect();
    }
    let start = Instant::now();
    let end = args.minutes.map(|minutes| start + Duration::from_secs(60 * minutes));
    let (mut done, mut trained) = (Vec::new(), 0);
    for (number, combination) in all.iter().enumerate() {
        let name = name_of(&args.name, combination);
        let path = runs(program).join(&name);
        let before = Run::read(&path).ok();
        let described: Vec<String> = combination.iter().map(|(option, value)| format!("{option}={value}")).collect();
        if before.as_ref().is_none_or(|run| run.summary.is_none()) {
            // Not begun if it would not come to its end.
            let each = start.elapsed().checked_div(trained).unwrap_or_default();
            if end.is_some_and(|end| Instant::now() + each >= end) {
                break;
            }
            say!("{} of {}: {}", number + 1, all.len(), described.join(" "));
            let resumes = rnn_train::has_checkpoint(&path.join("checkpoints")).unwrap_or(false);
            if !train(combination, &args.options, &name, resumes.then_some(&path), end)? {
                break;
            }
            trained += 1;
        }
        if path.join(CONFIG).is_file() {
            let run = Run::read(&path)?;
            print_line!("{}: loss {}", described.join(" "), shown(Some(run.rank())));
            done.push(run);
        }
    }
    if done.is_empty() {
        return Err(Failure::failed("no training came to its end; give more --minutes or fewer epochs"));
    }
    done.sort_by(|a, b| a.rank().total_cmp(&b.rank()));
    let comparison = Comparison::of(&done);
    print_line!("{} of {} combinations, the lowest loss first:\n{}", done.len(), all.len(), comparison.text());
    write(&runs(program).join(format!("{}.html", args.name)), &comparison.page(program))
}

/// All combinations of the values.
fn combinations(grid: &[String]) -> Result<Vec<Combination>, Failure> {
    let mut all: Vec<Combination> = vec![Vec::new()];
    for part in grid {
        let wrong =
            || Failure::input(format!("{part}: write an option of train and its values, such as cell=lstm,gru"));
        let (option, values) = part.split_once('=').ok_or_else(wrong)?;
        let option = option.trim_start_matches('-');
        let values: Vec<&str> = values.split(',').map(str::trim).filter(|value| !value.is_empty()).collect();
        if option.is_empty() || values.is_empty() {
            return Err(wrong());
        }
        if all[0].iter().any(|(known, _)| known == option) {
            return Err(Failure::input(format!(
                "{option} is given more than once; write all of its values in one list"
            )));
        }
        let with = |before: &Combination, value: &&str| {
            let mut combination = before.clone();
            combination.push((option.to_string(), value.to_string()));
            combination
        };
        all =
            all.iter().flat_map(|before| values.iter().map(|value| with(before, value)).collect::<Vec<_>>()).collect();
    }
    Ok(all)
}

/// A run's name: what it was trained with, in characters that a file name may have.
fn name_of(prefix: &str, combination: &Combination) -> String {
    let parts = combination.iter().map(|(option, value)| format!("{option}-{value}"));
    let name = std::iter::once(prefix.to_string()).chain(parts).collect::<Vec<_>>().join("-");
    name.chars().map(|c| if c.is_alphanumeric() || "-._".contains(c) { c } else { '_' }).collect()
}

/// Trains in a process of its own; `false` if the time was over first.
fn train(
    combination: &Combination,
    options: &[String],
    name: &str,
    resume: Option<&std::path::PathBuf>,
    end: Option<Instant>,
) -> Result<bool, Failure> {
    let program = std::env::current_exe().map_err(|e| Failure::failed(format!("cannot find this program: {e}")))?;
    let mut command = Command::new(program);
    command.arg("train").stdin(Stdio::null()).stdout(Stdio::null());
    match resume {
        Some(path) => command.arg("--resume").arg(path),
        None => {
            for (option, value) in combination {
                command.arg(format!("--{option}={value}"));
            }
            command.args(options).arg("--name").arg(name)
        }
    };
    let mut child = command.spawn().map_err(|e| Failure::failed(format!("cannot start a training: {e}")))?;
    loop {
        if let Some(status) = child.try_wait()? {
            return match status.code() {
                Some(0) => Ok(true),
                Some(2) => Err(Failure::input("the training refused its options, as said above")),
                _ if stopped() => Err(Failure::Interrupted("the same command continues the sweep".into())),
                // Diverged, say: the others may do better.
                _ => Ok(true),
            };
        }
        if end.is_some_and(|end| Instant::now() >= end) {
            child.kill()?;
            child.wait()?;
            say!("the time is over; the last training has its checkpoint");
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_has_every_combination() {
        let grid = ["cell=lstm,gru".to_string(), "--hidden=8, 16,32".into()];
        let all = combinations(&grid).expect("a grid");
        assert_eq!(all.len(), 6);
        assert_eq!(name_of("s", &all[5]), "s-cell-gru-hidden-32");
        for wrong in ["cell", "cell=", "=x", "--=1"] {
            assert!(matches!(combinations(&[wrong.into()]), Err(Failure::Input(_))), "{wrong}");
        }
        let twice = combinations(&["a=1".into(), "a=2".into()]).expect_err("twice");
        assert!(twice.to_string().contains("more than once"));
    }
}
