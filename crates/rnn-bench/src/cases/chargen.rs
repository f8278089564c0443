//! The lesson's GRU on Alice: an epoch, and the peak of memory. Ours is `chargen train`.

use super::lesson::{self, Lesson, Variant};
use super::{Case, corpus};
use crate::bench::Bench;
use crate::contestants::Engine;
use crate::contestants::protocol::{Spec, Text};
use crate::records::row::{Row, Unit};

const BATCH: usize = 128;

pub fn run(bench: &mut Bench) -> Result<(), String> {
    let (threads, quick) = (bench.most_threads(), bench.args.quick);
    let case = Case::Chargen;
    let name = if quick { "epoch, a tenth" } else { "epoch" };
    bench.say("chargen: epoch");
    let Some(files) = corpus::alice(&bench.folder, quick)? else {
        bench.progress.inc_length(1);
        let row = Row::new(case, name, threads, Unit::Seconds);
        bench.keep(row.refuse("not measured: Alice is not here (cargo xtask data fetch alice, or set RNN_DATASETS)"));
        return Ok(());
    };
    bench.progress.inc_length(2);
    let programs = bench.programs()?;
    let spec = |onednn| {
        let (ids, symbols) = (files.ids.clone(), files.symbols);
        Spec::Chargen(Text { ids, window: corpus::WINDOW, symbols, batch: BATCH, onednn })
    };
    let mut variants = Vec::new();
    for engine in bench.engines(&[Engine::BurnNn, Engine::PyTorch, Engine::Keras]) {
        match engine {
            Engine::BurnNn => variants.push(Variant::burn_nn(files.windows.div_ceil(BATCH), spec(true), quick)),
            Engine::PyTorch => {
                variants.push(Variant::whole(engine, "", spec(true)));
                variants.push(Variant::without_onednn(engine, spec(false)));
            }
            _ => variants.push(Variant::whole(engine, "", spec(true))),
        }
    }
    let ours = || {
        let mut args = vec!["train", "--preset", "lesson"];
        let data = files.data.as_ref().map(|data| data.display().to_string());
        args.extend(data.as_deref().map(|data| ["--data", data, "--prepare", "none"]).into_iter().flatten());
        programs.run(&programs.chargen, threads, args)
    };
    let lesson = Lesson {
        row: Row::new(case, name, threads, Unit::Seconds).headline(true),
        also: vec![],
        memory: lesson::memory(case, name, threads),
        ours: Box::new(ours),
        beside: None,
        variants,
    };
    lesson::run(bench, lesson).map(drop)
}
