//! `forecast inspect`: what the program sees in a table before it trains.

use crate::config::{SeriesArgs, Undecided};
use crate::table::number;
use crate::times::tell_unread;
use crate::view::View;
use rnn_data::series::{Grid, is_missing};
use rnn_harness::{Failure, print_line};

/// Says what the program sees in a table: columns, step, gaps, missing values, windows.
#[derive(Debug, clap::Args)]
pub struct InspectArgs {
    #[command(flatten)]
    series: SeriesArgs,
}

/// With three decimals, as far as they show something.
fn three(x: f64) -> String {
    if x == 0.0 || (0.001..1e12).contains(&x.abs()) { format!("{x:.3}") } else { number(x) }
}

fn gaps(grid: &Grid) {
    for gap in &grid.gaps {
        print_line!("  gap: {} missing after {} (line {})", grid.step.times(gap.rows), gap.after, gap.after_line);
    }
}

/// Prints the columns, the step, and three windows.
pub fn inspect(args: &InspectArgs) -> Result<(), Failure> {
    let table = args.series.data.table()?;
    print_line!("{} rows, {} columns", table.rows(), table.names.len());
    print_line!(
        "{:<4} {:<18} {:<8} {:>8} {:>12} {:>12} {:>12}",
        "",
        "column",
        "kind",
        "missing",
        "least",
        "mean",
        "most"
    );
    for (number, name) in table.names.iter().enumerate() {
        let missing = table.cells(number).iter().filter(|cell| is_missing(cell)).count();
        let (kind, range) = if table.is_time(number) {
            ("time", String::new())
        } else if table.is_numeric(number) {
            let all = table.numbers(number).map_err(Failure::input)?;
            let known: Vec<f64> = all.into_iter().filter(|value| !value.is_nan()).collect();
            let (least, most) = known.iter().fold((f64::MAX, f64::MIN), |(l, m), x| (l.min(*x), m.max(*x)));
            let mean = known.iter().sum::<f64>() / known.len() as f64;
            ("numbers", format!("{:>12} {:>12} {:>12}", three(least), three(mean), three(most)))
        } else {
            ("text", String::new())
        };
        print_line!("{:<4} {name:<18} {kind:<8} {missing:>8} {range}", number + 1);
    }
    if let Some(Undecided { time, names }) = args.series.undecided(&table)? {
        let grid = Grid::of(&table, &time).map_err(Failure::input)?;
        if time.is_empty() {
            tell_unread(&table, &[]);
        }
        let (first, last, step) = (grid.label(0), grid.label(grid.len() - 1), grid.step.times(1));
        print_line!("\n{} times from {first} to {last} in a step of {step}; {} gaps", grid.len(), grid.gaps.len());
        gaps(&grid);
        print_line!("\n--target NAME shows the windows too; NAME is the column to forecast: {}", names.join(", "));
        return Ok(());
    }
    let (sizes, view_config, series) = args.series.seen(&table)?;
    let grid = &series.grid;
    let last = series.len() - 1;
    print_line!(
        "\n{} times from {} to {} in a step of {}; {} gaps; seasons {:?}; the model reads {} and of the calendar {:?}",
        series.len(),
        grid.label(0),
        grid.label(last),
        grid.step.times(1),
        grid.gaps.len(),
        view_config.seasons,
        series.names.join(", "),
        view_config.calendar
    );
    gaps(grid);
    let view = View::new(&series, &view_config, &sizes)?;
    let origins = view.origins(0..series.len());
    if origins.is_empty() {
        let (window, horizon) = (sizes.window, sizes.horizon);
        print_line!("\nno windows: {} rows are too few for --window {window} and --horizon {horizon}", series.len());
        return Ok(());
    }
    print_line!("\nthree windows of {}, the last two steps of each as the model reads them:", sizes.window);
    for origin in [origins.start, (origins.start + origins.end) / 2, origins.end - 1] {
        let window = view.window(origin);
        let shown = |step: &[f32]| step.iter().map(|x| format!("{x:.2}")).collect::<Vec<_>>().join(" ");
        let steps: Vec<String> = window.chunks(sizes.features).rev().take(2).map(shown).collect();
        let next: Vec<String> = (1..=sizes.horizon.min(3)).map(|k| view.values(0)[origin + k].to_string()).collect();
        let past: Vec<&str> = steps.iter().rev().map(String::as_str).collect();
        print_line!("  to {}: … [{}] → {} …", grid.label(origin), past.join("] ["), next.join(", "));
    }
    Ok(())
}
