//! `adder watch 57 66`: the addition going through a trained network, step by step.

use crate::commands::ask::Trained;
use crate::commands::train::PROGRAM;
use crate::watch::{Watched, picture};
use rnn_harness::device::DeviceArgs;
use rnn_harness::html::Page;
use rnn_harness::options::RunArgs;
use rnn_harness::{Failure, json_line, print_line, whole, write_file};
use std::io::IsTerminal;
use std::path::PathBuf;

/// Shows an addition going through a trained network: the bits, the carry, every hidden unit, the answer.
#[derive(Debug, clap::Args)]
pub struct WatchArgs {
    /// The first number.
    #[arg(value_parser = whole::<u64>(0..=u64::MAX))]
    a: u64,
    /// The second number.
    #[arg(value_parser = whole::<u64>(0..=u64::MAX))]
    b: u64,
    /// Also draw it
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Also write a page with the picture and the numbers
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    run: RunArgs,
    /// Print the results as a JSON object in the last line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

/// Loads the model and shows what it does.
pub fn watch(args: &WatchArgs) -> Result<(), Failure> {
    let run = args.run.open(PROGRAM)?;
    let selected = args.device.select()?;
    let trained = Trained::load(run, &selected.device)?;
    let pair = (args.a, args.b);
    trained.check(pair)?;
    let watched = Watched::new(&trained.model, &trained.config, pair, &selected.device);
    print!("{}", watched.text(std::io::stdout().is_terminal()));
    if args.svg.is_some() || args.html.is_some() {
        let svg = picture::svg(&watched);
        if let Some(path) = &args.svg {
            write_file(path, svg.as_bytes())?;
            print_line!("picture: {}", path.display());
        }
        if let Some(path) = &args.html {
            let page = Page::new(&format!("{} + {} in a recurrent network", args.a, args.b))
                .text(&watched.said())
                .picture(&svg)
                .text(&watched.legend())
                .heading("The numbers")
                .table(&["step", "a", "b", "carry in", "h", "answer", "right bit"], &watched.rows());
            write_file(path, page.finish().as_bytes())?;
            print_line!("page: {}", path.display());
        }
    }
    if args.json {
        json_line(&watched)?;
    }
    Ok(())
}
