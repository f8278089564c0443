//! `--config FILE.toml`: options from a file. Its keys are the long names of options.

use super::given::{announce_if_fifo, excludes};
use crate::{Failure, input};
use clap::{Arg, ArgAction, Command};
use std::ffi::OsString;
use std::path::Path;
use toml::{Table, Value};

/// The largest file in bytes.
const MOST_BYTES: u64 = 1 << 20;

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
    // Without a value, or with an option in its place, clap says what is missing.
    let is_value = |file: &OsString| !file.is_empty() && !file.to_string_lossy().starts_with("--");
    let Some(file) = named.filter(|file| has_config && is_value(file)) else { return Ok(args) };
    let is_given = |name: &str| {
        let (whole, begin) = (format!("--{name}"), format!("--{name}="));
        texts.iter().any(|arg| *arg == whole || arg.starts_with(&begin))
    };
    let path = Path::new(&file);
    let wrong = |what: String| Failure::input(format!("--config {}: {what}", path.display()));
    announce_if_fifo(path);
    let text = input::read_text(path, MOST_BYTES).map_err(|problem| wrong(format!("cannot read it: {problem}")))?;
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
        if name == "config" {
            return Err(wrong(format!("{key}: a file cannot name another one; write its lines into this one")));
        }
        // The command line comes first: what cannot be given beside its options is left out too.
        let given = |arg: &&Arg| arg.get_long().is_some_and(is_given);
        if is_given(&name) || command.get_arguments().filter(given).any(|arg| excludes(command, arg, option)) {
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

#[cfg(test)]
mod tests {
    use super::super::given::settings;
    use super::*;

    fn command() -> Command {
        let arg = |name: &'static str| Arg::new(name).long(name).action(ArgAction::Append);
        let train = Command::new("train").args([arg("config"), arg("cell"), arg("learning-rate"), arg("input")]);
        let train = train.arg(arg("data").value_parser(clap::value_parser!(std::path::PathBuf)));
        let train = train.arg(arg("corpus").conflicts_with("data"));
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
            ("config = \"b.toml\"", "config: a file cannot name another one"),
        ] {
            let error = expanded(file, &[]).expect_err("wrong");
            assert!(error.contains(says) && error.contains("a.toml"), "{error}");
        }
        let missing = expand(&command(), ["p", "train", "--config=/none.toml"].map(OsString::from).to_vec());
        assert!(missing.expect_err("missing").to_string().contains("--config /none.toml: cannot read it"));
    }

    #[test]
    fn an_option_stands_before_what_the_file_has_of_its_kind() {
        assert_eq!(expanded("corpus = \"a\"\ncell = \"gru\"", &["--data=b"]).as_deref(), Ok("--data=b --cell=gru"));
        assert_eq!(expanded("data = \"b\"", &["--corpus", "a"]).as_deref(), Ok("--corpus a"));
        for args in [&["p", "train", "--config"][..], &["p", "train", "--config", "--cell", "gru"]] {
            let args: Vec<OsString> = args.iter().map(OsString::from).collect();
            assert_eq!(expand(&command(), args.clone()).ok(), Some(args), "clap says what is missing");
        }
    }

    #[test]
    fn a_file_without_end_is_refused() {
        if Path::new("/dev/zero").exists() {
            let told = expand(&command(), ["p", "train", "--config=/dev/zero"].map(OsString::from).to_vec());
            let told = told.expect_err("no end").to_string();
            assert!(told.contains("--config /dev/zero: cannot read it: it has more than the 1048576 bytes"), "{told}");
        }
    }

    #[test]
    fn settings_are_written_as_a_file_reads_them() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a.csv").display().to_string();
        let values = ["a\"b", "0x10", "1e3", "1_0", "1.50", "-0", "007", "16", "0.25", "true", "inf", "ё"];
        std::fs::write(&path, "").expect("written");
        let args = ["p", "train", "--learning-rate", "1e-3", "--on", "--data", &path].map(String::from);
        let args = args.into_iter().chain(values.iter().map(|value| format!("--cell={value}")));
        let written = settings(&command(), &command().get_matches_from(args));
        let cells: String = values.iter().map(|value| format!("--cell={value} ")).collect();
        let expected = format!("{cells}--data={path} --learning-rate=1e-3 --on");
        assert_eq!(expanded(&written, &[]).as_deref(), Ok(expected.as_str()));
        assert!(written.contains(", 16, 0.25, ") && written.contains("\"1e3\""), "{written}");
    }
}
