//! The other end of the pipe for our layers and for burn-nn's: `rnn-bench worker rnn-core|burn-nn`.

use super::ours::Forward;
use super::protocol::{Answer, Cell, Layer, Ragged, Request, Spec};
use super::worker::peak_of;
use super::{burn_nn, ours};
use burn::tensor::{Device, Distribution, Tensor};
use std::collections::HashMap;
use std::io::{BufRead, Write};

/// Whose layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Library {
    /// Ours
    RnnCore,
    /// Burn's own
    BurnNn,
}

/// Makes a number of calls, and returns the seconds of all of them together.
pub type Task = Box<dyn FnMut(u64) -> f64>;

/// Times calls of `work`.
pub fn timed(mut work: impl FnMut() + 'static) -> Task {
    Box::new(move |calls| {
        let start = std::time::Instant::now();
        for _ in 0..calls {
            work();
        }
        start.elapsed().as_secs_f64()
    })
}

/// Answers until stdin ends.
///
/// # Errors
/// If stdin or stdout breaks.
pub fn serve(library: Library) -> Result<(), String> {
    let mut slots: HashMap<usize, Task> = HashMap::new();
    let mut stdout = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|e| e.to_string())?;
        let answer = serde_json::from_str(&line)
            .map_err(|e| e.to_string())
            .and_then(|request| answer(library, request, &mut slots))
            .unwrap_or_else(|error| Answer { error: Some(error), ..Answer::default() });
        let said = serde_json::to_string(&answer).map_err(|e| e.to_string())?;
        writeln!(stdout, "{said}").and_then(|()| stdout.flush()).map_err(|e| e.to_string())?;
    }
    Ok(())
}

fn answer(library: Library, request: Request, slots: &mut HashMap<usize, Task>) -> Result<Answer, String> {
    match request {
        Request::Prepare { slot, spec } => {
            slots.insert(slot, prepare(library, spec)?);
        }
        Request::Run { slot, calls } => {
            let task = slots.get_mut(&slot).ok_or("nothing is prepared there")?;
            return Ok(Answer { seconds: Some(task(calls)), ..Answer::default() });
        }
        Request::Clear => slots.clear(),
        Request::Rss => return Ok(Answer { mb: peak_of("self"), ..Answer::default() }),
    }
    Ok(Answer::default())
}

fn prepare(library: Library, spec: Spec) -> Result<Task, String> {
    Ok(match (library, spec) {
        (Library::RnnCore, Spec::Layer(layer)) => {
            passes(layer, |device| ours::forward(layer.cell, layer.input, layer.hidden, device))
        }
        (Library::BurnNn, Spec::Layer(layer)) => {
            passes(layer, |device| burn_nn::forward(layer.cell, layer.input, layer.hidden, device))
        }
        (Library::RnnCore, Spec::Optional(optional)) => {
            passes(optional.layer, |device| ours::with_option(optional, device))
        }
        (Library::BurnNn, Spec::Optional(_)) => return Err("burn-nn's cells have no such options".into()),
        (Library::RnnCore, Spec::Ragged(ragged)) => ragged_passes(ragged),
        (Library::BurnNn, Spec::Ragged(_)) => return Err("burn-nn's layers take no lengths".into()),
        (_, Spec::Step { cell, input, hidden, .. }) => steps(library, cell, input, hidden),
        (Library::BurnNn, Spec::Sentiment(reviews)) => burn_nn::lesson::sentiment(&reviews),
        (Library::BurnNn, Spec::Chargen(text)) => burn_nn::lesson::chargen(&text),
        (Library::BurnNn, Spec::Generation { symbols, hidden, .. }) => burn_nn::generation::characters(symbols, hidden),
        (Library::RnnCore, _) => return Err("the programs themselves are timed for that".into()),
        (Library::BurnNn, Spec::Evaluation(_)) => return Err("burn-nn's evaluation is not timed".into()),
    })
}

fn random(shape: [usize; 3], device: &Device) -> Tensor<3> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
}

/// One pass per call. Backward starts from the sum of all outputs and goes to the weights and to the input.
fn passes(layer: Layer, make: impl FnOnce(&Device) -> Forward) -> Task {
    let cpu = Device::flex();
    let x = random([layer.batch, layer.time, layer.input], &cpu);
    let device = if layer.backward { cpu.autodiff() } else { cpu };
    let forward = make(&device);
    if !layer.backward {
        return timed(move || drop(forward(x.clone())));
    }
    timed(move || {
        // A fresh leaf each time, as for each batch in training.
        let x = x.clone().autodiff().require_grad();
        drop(forward(x).sum().backward());
    })
}

/// One pass over all batches per call, back from the sum of the last h, which is what a classifier of whole rows reads.
fn ragged_passes(ragged: Ragged) -> Task {
    let cpu = Device::flex();
    let forward = ours::ragged(ragged.cell, ragged.input, ragged.hidden, &cpu.clone().autodiff());
    let batch = |lengths: Vec<usize>| {
        let time = lengths.iter().copied().max().unwrap_or(1);
        (random([lengths.len(), time, ragged.input], &cpu), lengths)
    };
    let batches: Vec<_> = ragged.batches.into_iter().map(batch).collect();
    timed(move || {
        for (x, lengths) in &batches {
            let x = x.clone().autodiff().require_grad();
            drop(forward(x, ragged.told.then_some(&lengths[..])).sum().backward());
        }
    })
}

/// One step of one sequence per call, the state carried from call to call.
fn steps(library: Library, cell: Cell, d_input: usize, d_hidden: usize) -> Task {
    let x = random([1, 1, d_input], &Device::flex());
    match library {
        Library::RnnCore => ours::steps(cell, x, d_hidden),
        Library::BurnNn => burn_nn::steps(cell, x, d_hidden),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_prepares_runs_and_reports_what_it_cannot() {
        let mut slots = HashMap::new();
        let mut ask = |library, request: &str| {
            let request = serde_json::from_str(request).expect("a request");
            answer(library, request, &mut slots)
        };
        let step = r#"{"do": "prepare", "slot": 0, "spec": {"task": "step", "cell": "gru", "input": 3, "hidden": 4,
            "onednn": true}}"#;
        let layer = r#"{"do": "prepare", "slot": 1, "spec": {"task": "layer", "cell": "lstm", "batch": 2, "time": 3,
            "input": 3, "hidden": 4, "backward": true, "onednn": true}}"#;
        for library in [Library::RnnCore, Library::BurnNn] {
            for (slot, prepare) in [step, layer].into_iter().enumerate() {
                ask(library, prepare).expect("prepared");
                let ran = ask(library, &format!(r#"{{"do": "run", "slot": {slot}, "calls": 2}}"#)).expect("ran");
                assert!(ran.seconds.is_some_and(|seconds| seconds > 0.0), "{library:?}");
            }
        }
        let generation = r#"{"do": "prepare", "slot": 0, "spec": {"task": "generation", "symbols": 5, "hidden": 4,
            "onednn": true}}"#;
        assert!(ask(Library::RnnCore, generation).is_err_and(|error| error.contains("programs")));
        ask(Library::RnnCore, r#"{"do": "clear"}"#).expect("cleared");
        assert!(ask(Library::RnnCore, r#"{"do": "run", "slot": 0, "calls": 1}"#).is_err());
    }
}
