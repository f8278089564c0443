//! The lessons' whole training steps.

use super::adapters::Adapter;
use super::model::{Lesson, Model};
use super::torch::Torch;
use super::{Contestant, Effort, Timed, duration, head, launched, measure};
use crate::contestants::burn_nn;
use burn::tensor::Device;
use rnn_train::Trial;
use std::time::Instant;

pub fn run(adapters: &[Adapter], torch: Option<&Torch>, effort: Effort) -> Result<(), String> {
    println!("## Training steps of the lessons\n");
    println!("{}", head(adapters, &["ours on flex", "PyTorch, cuda"]));
    for (name, lesson) in [
        ("sentiment: LSTM, 50 reviews of 80 words", Lesson::Sentiment),
        ("chargen: GRU, 128 windows of 10 characters", Lesson::Chargen),
    ] {
        println!("{}", measured(name, lesson, adapters, torch, effort)?);
    }
    println!();
    Ok(())
}

fn measured(
    name: &str,
    lesson: Lesson,
    adapters: &[Adapter],
    torch: Option<&Torch>,
    effort: Effort,
) -> Result<String, String> {
    let mut contestants: Vec<Contestant> = Vec::new();
    let mut launches = Vec::new();
    for adapter in adapters {
        for mut timed in [ours(lesson, &adapter.device)?, plain(lesson, &adapter.device)] {
            timed(1)?;
            launches.push(launched(&mut timed)?);
            contestants.push((adapter.name.clone(), timed));
        }
    }
    contestants.push(("flex".into(), ours(lesson, &Device::flex())?));
    let figures = measure(&mut contestants, effort)?;
    let mut cells = vec![name.to_string()];
    for (pair, count) in figures.chunks_exact(2).zip(launches.chunks_exact(2)) {
        let (ours, plain) = (pair[0], pair[1]);
        cells.extend([duration(ours), count[0].to_string(), duration(plain), count[1].to_string()]);
        cells.push(format!("{:.3}", ours / plain));
    }
    cells.push(duration(figures.last().copied().unwrap_or(f64::NAN)));
    let theirs = torch.map(|torch| torch.lesson(lesson)).transpose()?;
    cells.push(theirs.map_or_else(|| "–".into(), duration));
    Ok(format!("| {} |", cells.join(" | ")))
}

/// Steps on burn-nn's layers and with Burn's optimizers.
fn plain(lesson: Lesson, device: &Device) -> Timed<'static> {
    let mut step = match lesson {
        Lesson::Sentiment => burn_nn::lesson::sentiment_on(lesson.sizes(), device),
        Lesson::Chargen => burn_nn::lesson::chargen_on(lesson.sizes(), device),
    };
    let device = device.clone();
    Box::new(move |count| {
        let start = Instant::now();
        step(count as u64);
        device.sync().map_err(|error| error.to_string())?;
        Ok(start.elapsed().as_secs_f64() / count as f64)
    })
}

/// Steps as `rnn-train` makes them. The batches live as long as the process, which ends soon.
fn ours(lesson: Lesson, device: &Device) -> Result<Timed<'static>, String> {
    let batches = Box::leak(Box::new(lesson.batches(device)));
    let model: Model = lesson.model(&device.clone().autodiff());
    let mut trial = Trial::new(&lesson.plan(), model, batches).map_err(|error| error.to_string())?;
    Ok(Box::new(move |count| trial.steps(count).map_err(|error| error.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In software or not, a step is the same launches.
    #[test]
    fn a_training_step_takes_at_most_60_launches() {
        let adapter = Adapter::found(None).expect("a GPU, such as Mesa's lavapipe").remove(0);
        for lesson in [Lesson::Sentiment, Lesson::Chargen] {
            let mut step = ours(lesson, &adapter.device).expect("a model");
            // The first one makes the optimizer's state.
            step(1).expect("a step");
            let (result, kernels) = rnn_core::gpu::launches(|| step(1));
            result.expect("a step");
            let count: usize = kernels.values().sum();
            println!("{lesson:?}: {count} launches");
            assert!(count <= 60, "{lesson:?}: {count} launches: {kernels:#?}");
        }
    }
}
