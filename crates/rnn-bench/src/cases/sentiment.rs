//! The lesson's LSTM on IMDb: an epoch with dropout of the input alone and with both dropouts, the evaluation, and the
//! peak of memory. Ours is `sentiment train`. With both dropouts each gate has masks of its own, as in Keras; a row of
//! ours alone has one mask for all gates with either dropout.

use super::lesson::{self, Lesson, Program, Variant};
use super::{Case, corpus};
use crate::bench::Bench;
use crate::contestants::Engine;
use crate::contestants::protocol::{Reviews, Spec};
use crate::records::row::{Row, Unit};

const BATCH: usize = 50;
/// Reviews in a step of the evaluation, as in the program.
const TEST_BATCH: usize = 100;
/// Of the product of 128 inputs or units with the weights of four gates of 128 units.
const STEP_FLOP: f64 = 2.0 * 128.0 * 4.0 * 128.0;

pub fn run(bench: &mut Bench) -> Result<(), String> {
    let (threads, quick) = (bench.most_threads(), bench.args.quick);
    let part = if quick { ", a tenth" } else { "" };
    let case = Case::Sentiment;
    bench.say("reading IMDb");
    let Some(files) = corpus::reviews(&bench.folder, quick)? else {
        bench.progress.inc_length(1);
        let row = Row::new(case, "epoch", threads, Unit::Seconds);
        bench.keep(row.refuse("not measured: IMDb is not here (cargo xtask data fetch imdb, or set RNN_DATASETS)"));
        return Ok(());
    };
    bench.progress.inc_length(7);
    let programs = bench.programs()?;
    for (recurrent_dropout, shared, name) in [
        (0.0, false, "epoch, input dropout"),
        (0.2, false, "epoch, both dropouts"),
        (0.2, true, "epoch, both dropouts, gates share masks"),
    ] {
        let both = recurrent_dropout > 0.0;
        let peers: &[Engine] = if shared { &[] } else { &[Engine::BurnNn, Engine::PyTorch, Engine::Keras] };
        bench.say(format!("sentiment: {name}"));
        let spec = |masks: &str, onednn| {
            let files = &files.train;
            let (ids, labels) = (files.ids.clone(), files.labels.clone());
            Spec::Sentiment(reviews(ids, labels, BATCH, recurrent_dropout, masks, onednn))
        };
        let test = |onednn| {
            let (ids, labels) = (files.test.ids.clone(), files.test.labels.clone());
            Spec::Evaluation(reviews(ids, labels, TEST_BATCH, 0.0, "element", onednn))
        };
        let mut variants = Vec::new();
        let mut tests = Vec::new();
        for engine in bench.engines(peers) {
            match engine {
                Engine::BurnNn if !both => {
                    variants.push(Variant::burn_nn(files.train.reviews.div_ceil(BATCH), spec("element", true), quick));
                }
                Engine::PyTorch if !both => {
                    variants.push(Variant::whole(engine, "", spec("element", true)));
                    variants.push(Variant::without_onednn(engine, spec("element", false)));
                    let whole = Variant::whole(engine, ", one mask for all steps", spec("sequence", true));
                    variants.push(Variant { column: "PyTorch, one mask", ..whole });
                    tests.push(Variant::whole(engine, "", test(true)));
                    tests.push(Variant::without_onednn(engine, test(false)));
                }
                Engine::Keras => {
                    variants.push(Variant::whole(engine, "", spec("sequence", true)));
                    if !both {
                        tests.push(Variant::whole(engine, "", test(true)));
                    }
                }
                _ => {}
            }
        }
        let train = |recurrent: f64| {
            let recurrent = recurrent.to_string();
            let mut args = vec!["train", "--preset", "lesson", "--dropout", "0.2", "--recurrent-dropout", &recurrent];
            let data = files.data.as_ref().map(|data| data.display().to_string());
            args.extend(shared.then_some(["--dropout-masks", "shared"]).into_iter().flatten());
            args.extend(data.as_deref().map(|data| ["--data", data]).into_iter().flatten());
            programs.run(&programs.sentiment, threads, args)
        };
        let beside: Option<(_, Program)> =
            both.then(|| ("rnn-core, input dropout", Box::new(|| train(0.0)) as Program));
        let row = |name: String| Row::new(case, name, threads, Unit::Seconds).headline(true);
        let reviews = files.test.reviews;
        // The input product of each word is made once, the recurrent one at each step.
        let steps = (reviews * corpus::TOKENS + corpus::WORDS) as f64;
        let evaluation = row(format!("evaluation of {reviews} reviews")).flop(steps * STEP_FLOP);
        let evaluation = (!both).then_some(("test_seconds", evaluation, tests));
        let lesson = Lesson {
            row: row(format!("{name}{part}")),
            also: evaluation.into_iter().collect(),
            memory: lesson::memory(case, &format!("{name}{part}"), threads).headline(!shared),
            ours: Box::new(|| train(recurrent_dropout)),
            beside,
            variants,
        };
        if let Some(last) = lesson::run(bench, lesson)?
            && !shared
        {
            bench.trained_sentiment = Some(last.run()?);
        }
    }
    Ok(())
}

fn reviews(
    ids: std::path::PathBuf,
    labels: std::path::PathBuf,
    batch: usize,
    recurrent_dropout: f64,
    masks: &str,
    onednn: bool,
) -> Reviews {
    let (tokens, words, masks) = (corpus::TOKENS, corpus::WORDS, masks.to_string());
    Reviews { ids, labels, tokens, words, batch, recurrent_dropout, masks, onednn }
}
