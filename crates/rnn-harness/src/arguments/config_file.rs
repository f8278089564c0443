//! `--config FILE.toml`: options from a file. Its keys are the long names of options.

use crate::Failure;
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Command};
use std::ffi::OsString;
use std::path::Path;
use std::sync::OnceLock;
use toml::{Table, Value};

/// Options that are not settings of a training.
const NO_SETTINGS: [&str; 7] = ["resume", "checkpoint_every", "tui", "json", "name", "config", "help"];

/// The settings that this process was started with.
static GIVEN: OnceLock<String> = OnceLock::new();

/// `args` with the options of the file that their `--config` names, where the command line does not have them itself.
///
/// # Errors
/// A file that cannot be read, is not TOML, or has a key that is no option, or a value that no option takes.
pub(super) fn expand(command: &Command, mut args: Vec<OsString>) -> Result<Vec<OsString>, Failure> {
    let end = args.iter().position(|arg| arg == "--").unwrap_or(args.len());
    let texts: Vec<String> = args[..end].iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let named = texts.iter().enumerate().find_map(|(place, arg)| match arg.strip_prefix("--config") {
        Some("") => args.get(place + 1).cloned(),
        Some(rest) => rest.strip_prefix('=').map(OsString::from),
        None => None,
    });
    let sub = texts.get(1).and_then(|name| command.find_subcommand(name));
    let command = sub.unwrap_or(command);
    let has_config = command.get_arguments().any(|arg| arg.get_long() == Some("config"));
    let Some(file) = named.filter(|_| has_config) else { return Ok(args) };
    let is_given = |name: &str| {
        let (whole, begin) = (format!("--{name}"), format!("--{name}="));
        texts.iter().any(|arg| *arg == whole || arg.starts_with(&begin))
    };
    let path = Path::new(&file);
    let wrong = |what: String| Failure::input(format!("--config {}: {what}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|e| wrong(format!("cannot read it: {e}")))?;
    let table: Table = text.parse().map_err(|e: toml::de::Error| {
        let line = e.span().map_or(1, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
        wrong(format!("line {line} is not TOML ({}); write lines such as learning-rate = 0.001", e.message()))
    })?;
    let mut options = Vec::new();
    for (key, value) in &table {
        let name = key.replace('_', "-");
        let Some(option) = command.get_arguments().find(|arg| arg.get_long() == Some(name.as_str())) else {
            return Err(wrong(format!("there is no option {key} (--help shows what there is)")));
        };
        if is_given(&name) {
            continue;
        }
        let is_switch = matches!(option.get_action(), ArgAction::SetTrue);
        let values: &[Value] = if let Value::Array(values) = value { values } else { std::slice::from_ref(value) };
        for value in values {
            match value {
                Value::Boolean(on) if is_switch => options.extend(on.then(|| format!("--{name}"))),
                _ if is_switch => return Err(wrong(format!("{key} = {value}: give true or false"))),
                Value::String(text) => options.push(format!("--{name}={text}")),
                Value::Integer(_) | Value::Float(_) => options.push(format!("--{name}={value}")),
                _ => return Err(wrong(format!("{key} = {value}: give a text, a number, or a list of them"))),
            }
        }
    }
    args.splice(end..end, options.into_iter().map(OsString::from));
    Ok(args)
}

/// Remembers the settings on the command line, for [`given`].
pub(super) fn remember(command: &Command, matches: &ArgMatches) {
    if let Some((name, matches)) = matches.subcommand() {
        return command.find_subcommand(name).map_or((), |command| remember(command, matches));
    }
    let mut lines = String::new();
    for arg in command.get_arguments() {
        let (id, Some(long)) = (arg.get_id().as_str(), arg.get_long()) else { continue };
        if NO_SETTINGS.contains(&id) || !matches.try_contains_id(id).unwrap_or(false) {
            continue;
        }
        if matches.value_source(id) != Some(ValueSource::CommandLine) {
            continue;
        }
        if matches!(arg.get_action(), ArgAction::SetTrue) {
            lines += &format!("{long} = true\n");
            continue;
        }
        let raw = matches.get_raw(id).into_iter().flatten();
        let values: Vec<String> = raw.map(|value| written(&value.to_string_lossy())).collect();
        lines += &match &values[..] {
            [value] => format!("{long} = {value}\n"),
            values => format!("{long} = [{}]\n", values.join(", ")),
        };
    }
    let _ = GIVEN.set(lines); // the first command line is the process's
}

/// The settings on this process's command line as TOML, which `--config` reads.
pub(crate) fn given() -> &'static str {
    GIVEN.get().map_or("", String::as_str)
}

/// A value as TOML: a number if it is one.
fn written(value: &str) -> String {
    let is_number = format!("x = {value}")
        .parse::<Table>()
        .is_ok_and(|table| matches!(table.get("x"), Some(Value::Integer(_) | Value::Float(_))));
    if is_number { value.into() } else { Value::String(value.into()).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Arg;

    fn command() -> Command {
        let arg = |name: &'static str| Arg::new(name).long(name).action(ArgAction::Append);
        let train = Command::new("train").args([arg("config"), arg("cell"), arg("learning-rate"), arg("input")]);
        let train = train.arg(Arg::new("on").long("on").action(ArgAction::SetTrue));
        Command::new("program").subcommand(train)
    }

    fn expanded(file: &str, more: &[&str]) -> Result<String, String> {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a.toml");
        std::fs::write(&path, file).expect("written");
        let mut args: Vec<OsString> = vec!["program".into(), "train".into(), "--config".into(), path.into()];
        args.extend(more.iter().map(OsString::from));
        let args = expand(&command(), args).map_err(|e| e.to_string())?;
        Ok(args[4..].iter().map(|arg| arg.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn a_file_gives_options_and_the_command_line_wins() {
        let file = "cell = \"gru\"\nlearning_rate = 0.01\ninput = [\"a\", 2]\non = true\n";
        assert_eq!(expanded(file, &[]).as_deref(), Ok("--cell=gru --input=a --input=2 --learning-rate=0.01 --on"));
        assert_eq!(expanded("cell = \"gru\"\non = false", &["--cell=lstm"]).as_deref(), Ok("--cell=lstm"));
        assert_eq!(expanded("cell = \"gru\"", &["--", "x"]).as_deref(), Ok("--cell=gru -- x"));
    }

    #[test]
    fn what_no_option_takes_is_named() {
        for (file, says) in [
            ("cells = 1", "there is no option cells"),
            ("cell = [\n", "is not TOML"),
            ("a = 1\na = 2", "line 2 is not TOML"),
            ("on = 1", "on = 1: give true or false"),
            ("[cell]\nx = 1", "give a text, a number"),
        ] {
            let error = expanded(file, &[]).expect_err("wrong");
            assert!(error.contains(says) && error.contains("a.toml"), "{error}");
        }
        let missing = expand(&command(), ["p", "train", "--config=/none.toml"].map(OsString::from).to_vec());
        assert!(missing.expect_err("missing").to_string().contains("--config /none.toml: cannot read it"));
    }

    #[test]
    fn settings_are_written_as_a_file_reads_them() {
        let matches = command().get_matches_from(["p", "train", "--cell", "a\"b", "--learning-rate", "1e-3", "--on"]);
        remember(&command(), &matches);
        assert_eq!(expanded(given(), &[]).as_deref(), Ok("--cell=a\"b --learning-rate=0.001 --on"));
    }
}
