//! What stands on the command line: the settings of a training as TOML, and the files that options name.

use super::{beside_resume, config_file, problem};
use crate::Failure;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::any::TypeId;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use toml::{Table, Value};

/// Options that are not settings of a training.
const NO_SETTINGS: [&str; 7] = ["resume", "checkpoint_every", "tui", "json", "name", "config", "help"];
/// Options that name what is read; a pipe among them may have no writer yet.
const READ: [&str; 4] = ["data", "test", "file", "prime_file"];

/// The command line of this process.
#[derive(Debug)]
struct Given {
    command: Command,
    settings: String,
    /// The options that name files, and the files.
    files: Vec<(String, PathBuf)>,
}

static GIVEN: OnceLock<Given> = OnceLock::new();

/// Remembers the command line.
///
/// # Errors
/// A value that is not UTF-8: run folders and pages could not name it.
pub(super) fn remember(command: &Command, matches: &ArgMatches) -> Result<(), Failure> {
    let (mut sub, mut of) = (command, matches);
    while let Some((name, matches)) = of.subcommand() {
        let Some(found) = sub.find_subcommand(name) else { break };
        (sub, of) = (found, matches);
    }
    let mut files = Vec::new();
    for arg in sub.get_arguments() {
        let option = arg.get_long().map_or_else(|| arg.to_string(), |long| format!("--{long}"));
        for value in given_values(arg, of) {
            if value.to_str().is_none() {
                let value = value.to_string_lossy();
                return Err(Failure::input(format!("{option} {value} is not UTF-8; give it a name in UTF-8")));
            }
            if is_path(arg) && arg.get_long().is_some() {
                files.push((option.clone(), PathBuf::from(value)));
            }
            if READ.contains(&arg.get_id().as_str()) {
                announce_if_fifo(Path::new(value));
            }
        }
    }
    // The first command line is the process's.
    let _ = GIVEN.set(Given { command: command.clone(), settings: settings(sub, of), files });
    Ok(())
}

fn is_path(arg: &Arg) -> bool {
    arg.get_value_parser().type_id() == TypeId::of::<PathBuf>()
}

/// The values of an argument on the command line, not its default.
fn given_values<'a>(arg: &Arg, matches: &'a ArgMatches) -> Vec<&'a OsStr> {
    let id = arg.get_id().as_str();
    let is_there = matches.try_contains_id(id).unwrap_or(false);
    match is_there && matches.value_source(id) == Some(ValueSource::CommandLine) {
        true => matches.get_raw(id).into_iter().flatten().collect(),
        false => Vec::new(),
    }
}

/// Says of a named pipe that it is waited for: without a writer nothing would happen, and nobody would know why. Those
/// of a shell's `<(…)` have one.
pub(super) fn announce_if_fifo(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let is_shells = ["/dev/fd", "/proc"].iter().any(|above| path.starts_with(above)) || path.is_symlink();
        if !is_shells && path.metadata().is_ok_and(|metadata| metadata.file_type().is_fifo()) {
            crate::say!("waiting for a writer of the pipe {}", path.display());
        }
    }
}

/// The settings among `matches` of `command` as TOML, which `--config` reads. Files are written with their whole path,
/// so that the settings mean the same in another folder.
pub(super) fn settings(command: &Command, matches: &ArgMatches) -> String {
    if let Some((name, matches)) = matches.subcommand() {
        return command.find_subcommand(name).map_or_else(String::new, |command| settings(command, matches));
    }
    let mut lines = String::new();
    for arg in command.get_arguments() {
        let Some(long) = arg.get_long().filter(|_| !NO_SETTINGS.contains(&arg.get_id().as_str())) else { continue };
        let values = given_values(arg, matches);
        if values.is_empty() {
            continue;
        }
        if matches!(arg.get_action(), ArgAction::SetTrue) {
            lines += &format!("{long} = true\n");
            continue;
        }
        let whole = |value: &OsStr| {
            let path = Path::new(value);
            let is_file = is_path(arg) && path.exists() && value != OsStr::new("sample");
            let whole = if is_file { std::path::absolute(path).ok() } else { None };
            whole.map_or_else(|| value.to_string_lossy().into_owned(), |path| path.display().to_string())
        };
        let values: Vec<String> = values.into_iter().map(|value| written(&whole(value))).collect();
        lines += &match &values[..] {
            [value] => format!("{long} = {value}\n"),
            values => format!("{long} = [{}]\n", values.join(", ")),
        };
    }
    lines
}

/// A value as TOML: a number if that is written in the same way when it is read again, so that `0x10` and `1e3` stay
/// what they are.
fn written(value: &str) -> String {
    let is_number = format!("x = {value}").parse::<Table>().is_ok_and(|table| match table.get("x") {
        Some(number @ (Value::Integer(_) | Value::Float(_))) => number.to_string() == value,
        _ => false,
    });
    if is_number { value.into() } else { Value::String(value.into()).to_string() }
}

/// The settings on this process's command line as TOML.
pub(crate) fn given() -> &'static str {
    GIVEN.get().map_or("", |given| &given.settings)
}

/// The settings that this program would take from `args`, its subcommand first.
///
/// # Errors
/// What the program would refuse of them before it reads data.
pub(crate) fn settings_of(args: &[String]) -> Result<String, Failure> {
    let Some(Given { command, .. }) = GIVEN.get() else { return Ok(String::new()) };
    let given: Vec<String> = std::iter::once(command.get_name().to_string()).chain(args.iter().cloned()).collect();
    let args = config_file::expand(command, given.iter().map(OsString::from).collect())?;
    let matches = command.clone().try_get_matches_from(args);
    let matches = matches.map_err(|error| Failure::input(problem(command, &given, &error)))?;
    match beside_resume(command, &matches) {
        Some(option) => Err(Failure::input(format!("--resume takes all settings from the run; leave out {option}"))),
        None => Ok(settings(command, &matches)),
    }
}

/// The long names of the options of train.
pub(crate) fn options_of_train() -> Vec<&'static str> {
    let command = GIVEN.get().map(|given| &given.command);
    let train = command.and_then(|command| command.find_subcommand("train").or(Some(command)));
    let settings = |arg: &&Arg| !NO_SETTINGS.contains(&arg.get_id().as_str());
    train.into_iter().flat_map(Command::get_arguments).filter(settings).filter_map(Arg::get_long).collect()
}

/// The program's name, as on its command line.
pub(crate) fn program() -> Option<&'static str> {
    GIVEN.get().map(|given| given.command.get_name())
}

/// The options that name the file `path`, which is there, if another one than the one that it was taken from does.
pub(crate) fn also_named(path: &Path) -> Option<Vec<&'static str>> {
    let place = path.canonicalize().ok()?;
    let files = GIVEN.get().map_or(&[][..], |given| &given.files);
    let is_option = files.iter().any(|(_, file)| file == path);
    let same = |(_, file): &&(String, PathBuf)| file.canonicalize().is_ok_and(|file| file == place);
    let options: Vec<&str> = files.iter().filter(same).map(|(option, _)| option.as_str()).collect();
    (options.len() > usize::from(is_option)).then_some(options)
}

/// Whether two options cannot be given together.
pub(super) fn excludes(command: &Command, one: &Arg, other: &Arg) -> bool {
    let lists = |a: &Arg, b: &Arg| command.get_arg_conflicts_with(a).iter().any(|arg| arg.get_id() == b.get_id());
    lists(one, other) || lists(other, one)
}
