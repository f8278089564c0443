//! The command line, and what is said of one that is wrong: which argument, why, and what would be right.

mod config_file;
pub(crate) mod given;

use crate::options::BESIDE_RESUME;
use crate::{Failure, say};
use clap::builder::TypedValueParser;
use clap::error::{ContextKind, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::error::Error;
use std::io::Write;
use std::ops::RangeInclusive;

/// Parses the command line. `--help` and `--version` are printed and end the process; what is wrong becomes one line
/// and exit code 2.
pub fn parse<C: clap::Parser>() -> C {
    // That a negative number is out of a range is a better answer than that it is no option.
    let command = negative_numbers(C::command());
    let args = config_file::expand(&command, std::env::args_os().collect()).unwrap_or_else(|failure| {
        say!("error: {failure}");
        std::process::exit(2)
    });
    let matches = command.clone().try_get_matches_from(args);
    if let Some(failure) = matches.as_ref().ok().and_then(|matches| given::remember(&command, matches).err()) {
        say!("error: {failure}");
        std::process::exit(2)
    }
    if let Some(option) = matches.as_ref().ok().and_then(|matches| beside_resume(&command, matches)) {
        say!("error: --resume takes all settings from the run; leave out {option} (--help shows what there is)");
        std::process::exit(2)
    }
    matches.and_then(|mut matches| C::from_arg_matches_mut(&mut matches)).unwrap_or_else(|error| {
        if error.use_stderr() {
            let given: Vec<String> = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
            say!("error: {} (--help shows what there is)", problem(&command, &given, &error));
            std::process::exit(2)
        }
        let printed = error.print().and_then(|()| std::io::stdout().flush()).map_err(Failure::from);
        std::process::exit(match printed {
            Ok(()) | Err(Failure::ClosedPipe) => 0,
            Err(failure) => {
                say!("error: {failure}");
                1
            }
        })
    })
}

/// An option that was given although `--resume` was and the run has that setting.
fn beside_resume(command: &Command, matches: &ArgMatches) -> Option<String> {
    if let Some((name, matches)) = matches.subcommand() {
        return beside_resume(command.find_subcommand(name)?, matches);
    }
    let is_given = |id: &str| {
        let known = command.get_arguments().any(|arg| arg.get_id() == id);
        known && matches.value_source(id) == Some(ValueSource::CommandLine)
    };
    let setting = |arg: &&Arg| is_given(arg.get_id().as_str()) && !BESIDE_RESUME.contains(&arg.get_id().as_str());
    let option = command.get_arguments().find(setting).filter(|_| is_given("resume"))?;
    Some(option.get_long().map_or_else(|| option.to_string(), |long| format!("--{long}")))
}

fn negative_numbers(command: Command) -> Command {
    let takes = |arg: Arg| match arg.get_action() {
        ArgAction::Set | ArgAction::Append => arg.allow_negative_numbers(true),
        _ => arg,
    };
    command.mut_args(takes).mut_subcommands(negative_numbers)
}

/// The parser of a whole number in `range`.
///
/// # Panics
/// If `T` does not hold all of `range`.
pub fn whole<T>(range: RangeInclusive<u64>) -> impl TypedValueParser<Value = T>
where
    T: TryFrom<u64> + Clone + Send + Sync + 'static,
{
    assert!(T::try_from(*range.end()).is_ok(), "the type holds the range");
    move |text: &str| {
        let number = text.parse::<i128>().map_err(|e| number_error(&e.to_string(), Some(&range)))?;
        in_range(number, &range)?;
        // Both ends fit, so that what is between them does.
        u64::try_from(number).ok().and_then(|number| T::try_from(number).ok()).ok_or_else(String::new)
    }
}

/// Whether `range` has the number.
///
/// # Errors
/// What is wrong with it and what would be right.
fn in_range(number: i128, range: &RangeInclusive<u64>) -> Result<(), String> {
    let problem = match number {
        n if n < (*range.start()).into() => "too small",
        n if n > (*range.end()).into() => "too large",
        _ => return Ok(()),
    };
    Err(format!("{problem}; {}", right(range)))
}

/// Checks a number that was not given as an option, such as one of a run's configuration; `name` names it.
///
/// # Errors
/// If `range` does not have it.
pub fn check_range(name: &str, number: usize, range: &RangeInclusive<u64>) -> Result<(), Failure> {
    in_range(number as i128, range).map_err(|why| Failure::input(format!("{name} {number}: {why}")))
}

fn right(range: &RangeInclusive<u64>) -> String {
    let to = if *range.end() == u64::MAX { "2^64-1".into() } else { range.end().to_string() };
    format!("give a whole number from {} to {to}", range.start())
}

/// What the standard library's words for a text that is no number mean to a person.
fn number_error(words: &str, range: Option<&RangeInclusive<u64>>) -> String {
    let what = match words {
        "invalid digit found in string" => "not a whole number",
        "cannot parse integer from empty string" | "cannot parse float from empty string" => "empty",
        "number too large to fit in target type" => "too large",
        "number too small to fit in target type" => "too small",
        "invalid float literal" => "not a number",
        other => return out_of_range(other).unwrap_or_else(|| other.to_string()),
    };
    match range {
        Some(range) => format!("{what}; {}", right(range)),
        None if words.contains("float") => format!("{what}; give a number such as 0.1"),
        None => format!("{what}; give a whole number such as 1"),
    }
}

/// clap's own `99 is not in 2..=24`.
fn out_of_range(words: &str) -> Option<String> {
    let (_, range) = words.split_once(" is not in ")?;
    let (from, to) = range.split_once("..")?;
    match (from, to.trim_start_matches('=')) {
        (from, "") => Some(format!("give a whole number of at least {from}")),
        ("", to) => Some(format!("give a whole number of at most {to}")),
        (from, to) => Some(format!("give a whole number from {from} to {to}")),
    }
}

/// What was wrong with the arguments `given` to `command`.
fn problem(command: &Command, given: &[String], error: &clap::Error) -> String {
    let command = &mut command.clone();
    command.build(); // else its arguments cannot be written
    let context = |kind| error.get(kind).map(ToString::to_string).unwrap_or_default();
    let arg = context(ContextKind::InvalidArg);
    let option = arg.split(" <").next().unwrap_or_default();
    let value = context(ContextKind::InvalidValue);
    let prior = context(ContextKind::PriorArg);
    match error.kind() {
        ErrorKind::ValueValidation => {
            let words = error.source().map(ToString::to_string).unwrap_or_default();
            format!("{option} {}: {}", quoted(&value), number_error(&words, None))
        }
        ErrorKind::InvalidValue => {
            let values = context(ContextKind::ValidValue);
            let right = if values.is_empty() { format!("write {arg}") } else { format!("the values are {values}") };
            match value.as_str() {
                "" => format!("{option}: a value is missing; {right}{}", help_of(command, &arg)),
                _ => format!(
                    "{option} {}: there is no such value; {right}{}",
                    quoted(&value),
                    guess(&context(ContextKind::SuggestedValue))
                ),
            }
        }
        ErrorKind::UnknownArgument => unknown(command, given, &arg, &context(ContextKind::SuggestedArg)),
        ErrorKind::InvalidSubcommand => {
            let name = context(ContextKind::InvalidSubcommand);
            no_subcommand(command, &name, &context(ContextKind::SuggestedSubcommand))
        }
        ErrorKind::MissingRequiredArgument => {
            let usage = context(ContextKind::Usage);
            let usage = usage.lines().next().unwrap_or_default().trim_start_matches("Usage: ").to_string();
            format!("missing: {arg}; write {usage}{}", help_of(command, &arg))
        }
        ErrorKind::ArgumentConflict => {
            let subcommand = context(ContextKind::InvalidSubcommand);
            match (subcommand.as_str(), prior.as_str()) {
                ("", prior) if prior == arg || prior.is_empty() => format!("{option} is given more than once"),
                ("", prior) => format!("{option} and {prior} cannot be given together; leave one out"),
                (name, _) => {
                    let program = command.get_name();
                    format!("options stand after the subcommand; write {program} {name}, then the options")
                }
            }
        }
        ErrorKind::TooManyValues if value.is_empty() => format!("{option} was given too many values"),
        ErrorKind::TooManyValues => format!("{option} takes no value, but {} was given", quoted(&value)),
        ErrorKind::InvalidUtf8 => "an argument is not UTF-8".into(),
        _ => {
            let text = error.render().to_string();
            let text = text.split("\n\nUsage:").next().unwrap_or_default();
            text.trim_start_matches("error: ").replace("For more information, try '--help'.", "")
        }
    }
}

/// A value as a person would write it in a shell, so that an empty one is seen.
fn quoted(value: &str) -> String {
    if value.is_empty() || value.contains(char::is_whitespace) { format!("'{value}'") } else { value.to_string() }
}

fn guess(suggested: &str) -> String {
    if suggested.is_empty() { String::new() } else { format!("; did you mean {suggested}?") }
}

/// The first sentence of an argument's help, in brackets.
fn help_of(command: &Command, arg: &str) -> String {
    let all = command.get_arguments().chain(command.get_subcommands().flat_map(Command::get_arguments));
    let help = all.into_iter().find(|known| known.to_string() == arg).and_then(|known| known.get_help());
    help.map(|help| format!(" ({help})")).unwrap_or_default()
}

fn unknown(command: &Command, given: &[String], arg: &str, suggested: &str) -> String {
    let subcommands = || command.get_subcommands().filter(|sub| sub.get_name() != "help");
    let here = given.get(1).and_then(|name| subcommands().find(|sub| sub.get_name() == name));
    let Some(long) = arg.strip_prefix("--") else {
        return match here {
            None if !arg.starts_with('-') => no_subcommand(command, arg, ""),
            _ if arg.starts_with('-') => format!("there is no option {arg}"),
            _ => format!("there is no place for the argument {}", quoted(arg)),
        };
    };
    let has = |sub: &Command| sub.get_arguments().any(|known| known.get_long() == Some(long));
    let others: Vec<&str> = subcommands().filter(|sub| has(sub)).map(Command::get_name).collect();
    if others.is_empty() {
        return format!("there is no option {arg}{}", guess(suggested));
    }
    let here = here.map_or("train, the default", Command::get_name);
    format!("{arg} is an option of {}, not of {here}", listed(&others))
}

fn no_subcommand(command: &Command, name: &str, suggested: &str) -> String {
    let names: Vec<&str> = command.get_subcommands().map(Command::get_name).filter(|name| *name != "help").collect();
    let right = if names.is_empty() { String::new() } else { format!("; the subcommands are {}", listed(&names)) };
    format!("there is no subcommand {}{right}{}", quoted(name), guess(suggested))
}

/// `a, b and c`.
fn listed(names: &[&str]) -> String {
    match names {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        _ => names.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Parser, Subcommand, ValueEnum};

    #[derive(Debug, Parser)]
    #[command(name = "program", args_conflicts_with_subcommands = true)]
    struct Cli {
        #[command(subcommand)]
        command: Option<Sub>,
        #[command(flatten)]
        train: Train,
    }

    #[derive(Debug, Subcommand)]
    enum Sub {
        Train(Train),
        Ask {
            /// The first number
            a: u32,
            #[arg(long, conflicts_with = "run")]
            file: Option<String>,
            #[arg(long)]
            run: Option<String>,
        },
    }

    #[derive(Debug, clap::Args)]
    struct Train {
        /// Units
        #[arg(long, value_name = "N", value_parser = whole::<u16>(1..=4096))]
        hidden: Option<u16>,
        #[arg(long, value_parser = clap::value_parser!(u32).range(2..=24))]
        bits: Option<u32>,
        #[arg(long)]
        seed: Option<u64>,
        #[arg(long)]
        rate: Option<f64>,
        #[arg(long, value_enum)]
        cell: Option<Cell>,
        #[arg(long)]
        json: bool,
    }

    #[derive(Debug, Clone, ValueEnum)]
    enum Cell {
        Rnn,
        Lstm,
    }

    fn said(args: &[&str]) -> String {
        let command = negative_numbers(<Cli as clap::CommandFactory>::command());
        let given: Vec<String> = ["program"].iter().chain(args).map(ToString::to_string).collect();
        let error = command.clone().try_get_matches_from(&given).expect_err("wrong arguments");
        problem(&command, &given, &error)
    }

    #[test]
    fn a_wrong_number_is_told_with_the_right_ones() {
        let right = "give a whole number from 1 to 4096";
        for (value, why) in [
            ("x", "not a whole number"),
            ("1.5", "not a whole number"),
            ("1e3", "not a whole number"),
            ("0x10", "not a whole number"),
            ("-1", "too small"),
            ("0", "too small"),
            ("4097", "too large"),
            ("9999999999999999999999999999999999999999999", "too large"),
        ] {
            assert_eq!(said(&["--hidden", value]), format!("--hidden {value}: {why}; {right}"));
        }
        assert_eq!(said(&["--hidden="]), format!("--hidden '': empty; {right}"));
        assert_eq!(said(&["train", "--hidden", "1 2"]), format!("--hidden '1 2': not a whole number; {right}"));
        // Parsers of clap's own.
        assert_eq!(said(&["--bits", "99"]), "--bits 99: give a whole number from 2 to 24");
        assert_eq!(said(&["--seed", "x"]), "--seed x: not a whole number; give a whole number such as 1");
        assert_eq!(said(&["--seed=-1"]), "--seed -1: not a whole number; give a whole number such as 1");
        assert_eq!(said(&["--rate", "1,5"]), "--rate 1,5: not a number; give a number such as 0.1");
        assert_eq!(said(&["--rate="]), "--rate '': empty; give a number such as 0.1");
    }

    #[test]
    fn what_is_missing_or_unknown_is_told_with_what_there_is() {
        assert_eq!(said(&["--hidden"]), "--hidden: a value is missing; write --hidden <N> (Units)");
        assert_eq!(said(&["--hidden", "--json"]), "--hidden: a value is missing; write --hidden <N> (Units)");
        assert_eq!(said(&["--cell"]), "--cell: a value is missing; the values are rnn, lstm");
        let tree = "--cell lstn: there is no such value; the values are rnn, lstm; did you mean lstm?";
        assert_eq!(said(&["--cell", "lstn"]), tree);
        assert_eq!(said(&["--hiden", "3"]), "there is no option --hiden; did you mean --hidden?");
        assert_eq!(said(&["--run", "x"]), "--run is an option of ask, not of train, the default");
        assert_eq!(said(&["ask", "1", "--cell", "rnn"]), "--cell is an option of train, not of ask");
        assert_eq!(
            said(&["trian"]),
            "there is no subcommand trian; the subcommands are train and ask; did you mean train?"
        );
        assert!(said(&["ask"]).starts_with("missing: <A>; write program ask"), "{}", said(&["ask"]));
        assert!(said(&["ask"]).ends_with("(The first number)"), "{}", said(&["ask"]));
        assert_eq!(said(&["ask", "1", "2"]), "there is no place for the argument 2");
        assert_eq!(said(&["-x"]), "there is no option -x");
        assert_eq!(said(&["--json=yes"]), "--json takes no value, but yes was given");
        assert_eq!(said(&["--hidden", "1", "--hidden", "2"]), "--hidden is given more than once");
        let together = "--file and --run <RUN> cannot be given together; leave one out";
        assert_eq!(said(&["ask", "1", "--file", "a", "--run", "b"]), together);
        let after = "options stand after the subcommand; write program ask, then the options";
        assert_eq!(said(&["--hidden", "3", "ask", "1"]), after);
    }
}
