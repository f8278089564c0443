//! `cargo xtask data list|fetch|verify`.

use clap::{Args, Subcommand};
use rnn_data::registry::{self, Corpus};
use rnn_data::{DataError, Places, fetch, verify};
use std::io::Write;

#[derive(Debug, Args)]
pub struct DataArgs {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(Debug, Subcommand)]
enum DataCommand {
    /// Say which corpora there are, under what terms, and where they lie.
    List,
    /// Download corpora into the cache; all of them if none is named.
    Fetch { names: Vec<String> },
    /// Check what lies in $RNN_DATASETS and in the cache against the hashes.
    Verify { names: Vec<String> },
}

pub fn run(args: DataArgs) -> Result<(), String> {
    let places = Places::from_env(None);
    match args.command {
        DataCommand::List => list(&places)?,
        DataCommand::Fetch { names } => fetch_all(&named(&names)?, &places)?,
        DataCommand::Verify { names } => verify_all(&named(&names)?, &places)?,
    }
    Ok(())
}

fn named(names: &[String]) -> Result<Vec<&'static Corpus>, String> {
    if names.is_empty() {
        return Ok(registry::corpora().iter().collect());
    }
    names.iter().map(|name| registry::corpus(name).map_err(text)).collect()
}

fn text(error: DataError) -> String {
    error.to_string()
}

fn list(places: &Places) -> Result<(), String> {
    let mut text = String::new();
    for corpus in registry::corpora() {
        text += &format!("{}: {}\n", corpus.name, corpus.about);
        text += &format!("  terms: {}\n", corpus.terms);
        text += &format!("  cite:  {}\n", corpus.citation);
        for file in &corpus.files {
            text += &format!("  {:>10} bytes  {}\n", file.bytes, file.address.as_deref().unwrap_or(&file.path));
        }
        let found: Vec<String> =
            verify(corpus, places).iter().map(|verdict| verdict.path.display().to_string()).collect();
        text += &format!("  here:  {}\n", if found.is_empty() { "no".to_string() } else { found.join(", ") });
    }
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(format!("cannot write to stdout: {e}")),
        _ => Ok(()),
    }
}

fn fetch_all(corpora: &[&Corpus], places: &Places) -> Result<(), String> {
    let cache = places.cache.as_ref().ok_or("this system names no cache folder for the user; set HOME")?;
    for corpus in corpora {
        let path = fetch(corpus, cache).map_err(text)?;
        println!("{}: {}", corpus.name, path.display());
    }
    Ok(())
}

fn verify_all(corpora: &[&Corpus], places: &Places) -> Result<(), String> {
    if let Some(folder) = places.datasets.as_ref().filter(|folder| !folder.is_dir()) {
        return Err(format!("{}: RNN_DATASETS must be the path of a folder, but this is none", folder.display()));
    }
    let mut wrong = 0;
    for corpus in corpora {
        let verdicts = verify(corpus, places);
        if verdicts.is_empty() {
            println!("{}: not here", corpus.name);
        }
        for verdict in verdicts {
            match verdict.result {
                Ok(()) => println!("{}: {} is right", corpus.name, verdict.path.display()),
                Err(error) => {
                    wrong += 1;
                    println!("{}: {error}", corpus.name);
                }
            }
        }
    }
    if wrong > 0 { Err(format!("{wrong} files are not what the registry says")) } else { Ok(()) }
}
