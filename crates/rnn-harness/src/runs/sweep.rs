//! `sweep`: a training for every combination of some settings, each a process of its own, then their comparison.

use super::compare::{Comparison, write};
use super::{Run, shown};
use crate::arguments::given::settings_of;
use crate::interrupt::{listen, stopped};
use crate::run_dir::{CONFIG, SETTINGS, named, runs};
use crate::{Failure, print_line, say, whole};
use rnn_core::Key;
use sha2::{Digest, Sha256};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use toml::{Table, Value};

/// Trains with every combination of some settings.
#[derive(Debug, clap::Args)]
pub struct SweepArgs {
    /// An option of train and its values: cell=lstm,gru
    #[arg(required = true, value_name = "OPTION=VALUES")]
    grid: Vec<String>,
    /// Try combinations in random order and end after N minutes
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

/// What the same command does after an interruption.
const CONTINUES: &str = "the same command continues the sweep";

pub(super) fn sweep(program: &str, args: &SweepArgs) -> Result<(), Failure> {
    listen()?;
    let mut all = combinations(&args.grid)?;
    if all.len() > MOST && args.minutes.is_none() {
        let count = all.len();
        return Err(Failure::input(format!(
            "{count} combinations are more than {MOST}; give fewer values, or --minutes N to try some of them"
        )));
    }
    check(program, args, &all)?;
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
            if stopped() {
                return Err(Failure::Interrupted(CONTINUES.into()));
            }
            say!("{} of {}: {}", number + 1, all.len(), described.join(" "));
            let resumes = rnn_train::has_checkpoint(&path.join("checkpoints")).unwrap_or(false);
            let options = if resumes { resuming(&path) } else { options(args, combination, &name) };
            if !train(&options, end)? {
                break;
            }
            trained += 1;
        }
        if path.join(CONFIG).is_file() {
            let run = Run::read(&path)?;
            match run.rank() {
                Some((figure, value)) => {
                    print_line!("{}: {} {}", described.join(" "), figure.replace('_', " "), shown(figure, Some(value)));
                }
                None => print_line!("{}: did not come to its end", described.join(" ")),
            }
            done.push(run);
        }
    }
    if done.is_empty() {
        return Err(Failure::failed("no training came to its end; give more --minutes or fewer epochs"));
    }
    done.sort_by(|a, b| a.order().total_cmp(&b.order()));
    let comparison = Comparison::of(&done);
    let figure = done[0].rank().map_or("loss", |(figure, _)| figure).replace('_', " ");
    print_line!("{} of {} combinations, the lowest {figure} first:\n{}", done.len(), all.len(), comparison.text());
    write(&runs(program).join(format!("{}.html", args.name)), &comparison.page(program))
}

/// All combinations of the values.
fn combinations(grid: &[String]) -> Result<Vec<Combination>, Failure> {
    let mut all: Vec<Combination> = vec![Vec::new()];
    for part in grid {
        let wrong =
            || Failure::input(format!("{part}: write an option of train and its values, such as cell=lstm,gru"));
        let (option, values) = part.split_once('=').ok_or_else(wrong)?;
        let option = option.trim_start_matches('-').replace('_', "-");
        let values: Vec<&str> = values.split(',').map(str::trim).filter(|value| !value.is_empty()).collect();
        if option.is_empty() || values.is_empty() {
            return Err(wrong());
        }
        if all[0].iter().any(|(known, _)| *known == option) {
            return Err(Failure::input(format!(
                "{option} is given more than once; write all of its values in one list"
            )));
        }
        if let Some((_, twice)) = values.iter().enumerate().find(|(place, value)| values[..*place].contains(value)) {
            return Err(Failure::input(format!("{part}: {twice} is there twice; write every value once")));
        }
        let with = |before: &Combination, value: &&str| {
            let mut combination = before.clone();
            combination.push((option.clone(), value.to_string()));
            combination
        };
        all =
            all.iter().flat_map(|before| values.iter().map(|value| with(before, value)).collect::<Vec<_>>()).collect();
    }
    Ok(all)
}

/// Checks all combinations before the first training: what train refuses by itself, and runs of the same name that were
/// made with other settings, whose figures would be shown as those of this sweep.
fn check(program: &str, args: &SweepArgs, all: &[Combination]) -> Result<(), Failure> {
    let mut names = std::collections::BTreeSet::new();
    for combination in all {
        let name = name_of(&args.name, combination);
        let path = named(&runs(program), &name)?;
        let asked = settings_of(&options(args, combination, &name))?;
        if !names.insert(name.clone()) {
            return Err(Failure::input(format!("two combinations would have the name {name}; write other values")));
        }
        if path.join(CONFIG).is_file() {
            let run = Run::read(&path)?;
            let made = run.folder.read_text(SETTINGS)?;
            if let Some(difference) = difference(&made, &asked) {
                return Err(Failure::input(format!(
                    "the run {} was made {difference}; choose another --name for the sweep",
                    path.display()
                )));
            }
        }
    }
    Ok(())
}

/// In what the settings `made` differ from `asked`, both in TOML.
fn difference(made: &str, asked: &str) -> Option<String> {
    let [made, asked] = [made, asked].map(|text| text.parse::<Table>().unwrap_or_default());
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), String::from);
    let names = made.keys().chain(asked.keys());
    // Lists and single values of one option are the same to it, and so are a number and its text.
    let list = |table: &Table, name: &str| -> Option<Vec<String>> {
        let values = table.get(name)?;
        Some(values.as_array().map_or_else(|| vec![plain(values)], |all| all.iter().map(plain).collect()))
    };
    let name = names.into_iter().find(|name| list(&made, name) != list(&asked, name))?;
    let [made, asked] = [&made, &asked].map(|table| list(table, name).map(|values| values.join(" ")));
    Some(match (made, asked) {
        (Some(made), Some(asked)) => format!("with --{name} {made}, not {asked}"),
        (Some(made), None) => format!("with --{name} {made}"),
        (None, asked) => format!("without --{name} {}", asked.unwrap_or_default()),
    })
}

/// A run's name: what it was trained with. Where that has characters that a file name may not have, its SHA-256 keeps
/// apart what would have the same name.
fn name_of(prefix: &str, combination: &Combination) -> String {
    let parts = combination.iter().map(|(option, value)| format!("{option}-{value}"));
    let whole = std::iter::once(prefix.to_string()).chain(parts).collect::<Vec<_>>().join("-");
    let name: String = whole.chars().map(|c| if c.is_alphanumeric() || "-._".contains(c) { c } else { '_' }).collect();
    if name == whole {
        return name;
    }
    let sha256: String = Sha256::digest(&whole).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("{name}-{sha256}")
}

/// The arguments of a new training.
fn options(args: &SweepArgs, combination: &Combination, name: &str) -> Vec<String> {
    let mut all = vec!["train".to_string()];
    all.extend(combination.iter().map(|(option, value)| format!("--{option}={value}")));
    all.extend(args.options.iter().cloned());
    all.push(format!("--name={name}"));
    all
}

/// The arguments of one that goes on.
fn resuming(path: &Path) -> Vec<String> {
    vec!["train".into(), "--resume".into(), path.display().to_string()]
}

/// Trains in a process of its own; `false` if the time was over first.
fn train(options: &[String], end: Option<Instant>) -> Result<bool, Failure> {
    let program = std::env::current_exe().map_err(|e| Failure::failed(format!("cannot find this program: {e}")))?;
    let mut command = Command::new(program);
    command.args(options).stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = command.spawn().map_err(|e| Failure::failed(format!("cannot start a training: {e}")))?;
    let mut passed_on = false;
    loop {
        if let Some(status) = child.try_wait()? {
            return match status.code() {
                _ if stopped() => Err(Failure::Interrupted(CONTINUES.into())),
                Some(0) => Ok(true),
                Some(2) => Err(Failure::input("the training refused its options, as said above")),
                Some(130) => Err(Failure::Interrupted(CONTINUES.into())),
                // Diverged, say: the others may do better.
                _ => Ok(true),
            };
        }
        if stopped() && !std::mem::replace(&mut passed_on, true) {
            end_softly(&mut child)?;
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

/// Passes the signal on that asks this process to end: one sent to it alone has not reached the training, which writes
/// a checkpoint before it ends.
fn end_softly(child: &mut Child) -> Result<(), Failure> {
    // The standard library can only kill; the shell has `kill` itself.
    let kill = format!("kill -TERM {}", child.id());
    let sent = cfg!(unix) && Command::new("sh").args(["-c", &kill]).status().is_ok_and(|status| status.success());
    if !sent && child.try_wait()?.is_none() {
        child.kill()?;
    }
    Ok(())
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
        let twice = combinations(&["cell=gru,rnn,gru".into()]).expect_err("twice").to_string();
        assert!(twice.contains("gru is there twice"), "{twice}");
    }

    #[test]
    fn different_values_have_different_names() {
        let names = combinations(&["data=a/b.csv,a_b.csv,a b.csv".into()]).expect("a grid");
        let names: std::collections::BTreeSet<String> = names.iter().map(|one| name_of("s", one)).collect();
        assert_eq!(names.len(), 3, "{names:?}");
        assert!(names.contains("s-data-a_b.csv"), "{names:?}");
    }

    #[test]
    fn other_settings_are_told() {
        let told = |made, asked| difference(made, asked).unwrap_or_default();
        assert_eq!(told("cell = \"gru\"\nhidden = 4\n", "hidden = \"4\"\ncell = [\"gru\"]"), "");
        assert_eq!(told("hidden = 4\n", "hidden = 64\n"), "with --hidden 4, not 64");
        assert_eq!(told("hidden = 4\n", ""), "with --hidden 4");
        assert_eq!(told("", "input = [\"a\", \"b\"]\n"), "without --input a b");
    }
}
