//! What must hold beside the values: numeric derivatives, where NaN goes, rows without steps, the same bits, long
//! sequences, the stepper.

mod common;

use common::case::{CELLS, Case, Counted, NORMALIZED, Zoneout};
use common::{check, kernel, naive};
use fastrand::Rng;
use rnn_kernels::{Cell, Dense, Isa, LayerWeights, MaskedOutput, Options, Stepper};

/// Σ outputs · their given gradients: what backward differentiates.
fn loss(case: &Case, isa: Isa) -> f64 {
    let results = kernel::run::<f64>(case, isa);
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(&results[0].1, &case.d_sequence) + dot(&results[1].1, &case.d_h) + dot(&results[2].1, &case.d_c)
}

type Field = fn(&mut Case) -> &mut Vec<f64>;

#[test]
fn gradients_are_those_of_differences() {
    let mut random = Rng::with_seed(1);
    for (cell, round) in CELLS.into_iter().flat_map(|cell| (0..6).map(move |round| (cell, round))) {
        let mut case = Case::random(&mut random, cell, [3, 4, 3, 5]);
        case.threads = 1 + round % 2;
        if cell.has_cell_state() && round % 2 == 1 {
            case.project(&mut random, 3);
        }
        // One x is moved at a time.
        case.ids.clear();
        for isa in Isa::available() {
            let results = kernel::run::<f64>(&case, isa);
            let fields: [(&str, Field); 8] = [
                ("d_w_ih", |case| &mut case.w_ih),
                ("d_w_hh", |case| &mut case.w_hh),
                ("d_h0", |case| &mut case.h0),
                ("d_c0", |case| &mut case.c0),
                ("d_x", |case| &mut case.x),
                ("d_b_ih", |case| &mut case.b_ih),
                ("d_b_hh", |case| &mut case.b_hh),
                ("d_w_hr", |case| &mut case.options.w_hr),
            ];
            for (name, field) in fields {
                let Some((_, gradient)) = results.iter().find(|(found, _)| *found == name) else { continue };
                let numeric: Vec<f64> = (0..gradient.len())
                    .map(|i| {
                        let at = |step: f64| {
                            let mut case = case.clone();
                            field(&mut case)[i] += step;
                            loss(&case, isa)
                        };
                        (at(1e-5) - at(-1e-5)) / 2e-5
                    })
                    .collect();
                let scale = numeric.iter().fold(1e-2f64, |max, x| max.max(x.abs()));
                for (i, (a, b)) in gradient.iter().zip(&numeric).enumerate() {
                    assert!((a - b).abs() <= 1e-7 * scale, "{name}[{i}] of {cell:?} at {isa:?}: {a}, not {b}");
                }
            }
        }
    }
}

#[test]
fn long_sequences_are_done_in_chunks() {
    let mut random = Rng::with_seed(2);
    for cell in CELLS {
        for mut case in [
            Case::plain(&mut random, cell, [2, 1600, 2, 3]),
            Case::random(&mut random, cell, [5, 300, 3, 9]),
            Case::random(&mut random, cell, [9, 60, 5, 37]),
            Case::plain(&mut random, cell, [5, 120, 4, 70]),
        ] {
            case.forget_fast();
            check(&case);
        }
    }
}

/// A gradient that has vanished over many steps is zero, not a subnormal number, which would slow the processor down.
#[test]
fn gradients_that_vanish_are_zero() {
    let mut random = Rng::with_seed(6);
    for cell in CELLS {
        let [batch, time, d_input] = [3, 700, 2];
        let mut case = Case::plain(&mut random, cell, [batch, time, d_input, 9]);
        case.w_hh.iter_mut().for_each(|w| *w *= 0.3);
        // From h after the last step alone.
        case.d_sequence.fill(0.0);
        for isa in Isa::available() {
            let results = kernel::run::<f32>(&case, isa);
            let (_, d_x) = results.iter().find(|(name, _)| *name == "d_x").expect("of x");
            for row in d_x.chunks_exact(time * d_input) {
                let (first, last) = (&row[..10 * d_input], &row[(time - 1) * d_input..]);
                assert!(first.iter().all(|&d| d == 0.0) && last.iter().all(|&d| d != 0.0), "{cell:?} at {isa:?}");
                assert!(!row.iter().any(|&d| (d as f32).is_subnormal()), "{cell:?} at {isa:?}");
                let least = row.iter().filter(|&&d| d != 0.0).fold(1.0, |least: f64, d| least.min(d.abs()));
                assert!(least < 1e-30, "{cell:?} at {isa:?}: zero below {least:e}");
            }
        }
    }
}

#[test]
fn nan_stays_in_its_row() {
    let mut random = Rng::with_seed(3);
    let rows = [11, 4, 6, 19];
    for cell in CELLS {
        let clean = Case::plain(&mut random, cell, rows);
        let mut case = clean.clone();
        let [batch, time, d_input, d_hidden] = rows;
        let poisoned = 4;
        case.x[(poisoned * time + 1) * d_input] = f64::NAN;
        for isa in Isa::available() {
            let (expected, found) = (kernel::run::<f32>(&clean, isa), kernel::run::<f32>(&case, isa));
            for (name, width) in
                [("sequence", time * d_hidden), ("h", d_hidden), ("d_x", time * d_input), ("d_h0", d_hidden)]
            {
                let of = |results: &common::case::Results| results.iter().find(|r| r.0 == name).unwrap().1.clone();
                let (expected, found) = (of(&expected), of(&found));
                for b in (0..batch).filter(|&b| b != poisoned) {
                    let row = b * width..(b + 1) * width;
                    assert_eq!(found[row.clone()], expected[row], "{name} of {cell:?} at {isa:?}");
                }
            }
            let sequence = &found[0].1[poisoned * time * d_hidden..];
            let (before, after) = (&sequence[..d_hidden], &sequence[d_hidden..time * d_hidden]);
            assert!(before.iter().all(|x| x.is_finite()) && after.iter().all(|x| x.is_nan()), "{cell:?} at {isa:?}");
        }
    }
}

#[test]
fn padding_may_hold_anything() {
    let mut random = Rng::with_seed(4);
    for (cell, masks) in CELLS.into_iter().flat_map(|cell| [(cell, 0), (cell, 1), (cell, cell.gates())]) {
        let [batch, time, d_input, d_hidden] = [6, 5, 3, 7];
        let mut clean = Case::plain(&mut random, cell, [batch, time, d_input, d_hidden]);
        // Row 3 has no steps at all.
        clean.counted = Counted::Lengths(vec![5, 2, 1, 0, 4, 3]);
        let mask = |width: usize| (0..masks).map(|_| vec![1.25; batch * width]).collect();
        clean.input_masks = mask(d_input);
        clean.set_recurrent_masks(mask(d_hidden));
        if cell.has_cell_state() && masks == 1 {
            clean.project(&mut random, 4);
        }
        let mut case = clean.clone();
        for (i, x) in case.x.iter_mut().enumerate() {
            if !clean.counts(i / d_input / time, i / d_input % time) {
                *x = f64::NAN;
            }
        }
        for isa in Isa::available() {
            assert_eq!(kernel::run::<f32>(&case, isa), kernel::run::<f32>(&clean, isa), "{cell:?} at {isa:?}, f32");
            let (clean, found) = (kernel::run::<f64>(&clean, isa), kernel::run::<f64>(&case, isa));
            assert_eq!(found, clean, "{cell:?} at {isa:?}");
            let (h, row) = (&found[1].1, 3 * case.h_features()..4 * case.h_features());
            assert_eq!(h[row.clone()], case.h0[row], "{cell:?} at {isa:?}");
        }
    }
}

/// Row `b` of a case alone, cut behind its last step.
fn row_alone(case: &Case, b: usize) -> Case {
    let &Case { batch, time, d_input, d_hidden, .. } = case;
    let length = (0..time).rev().find(|&t| case.counts(b, t)).map_or(1, |last| last + 1);
    fn part<E: Clone>(values: &[E], from: usize, n: usize) -> Vec<E> {
        if values.is_empty() { Vec::new() } else { values[from..from + n].to_vec() }
    }
    let steps = |values: &[f64], width: usize| part(values, b * time * width, length * width);
    let h_features = case.h_features();
    let state = |values: &[f64], n: usize| part(values, b * n, n);
    let masks = |masks: &[Vec<f64>], width: usize| masks.iter().map(|mask| part(mask, b * width, width)).collect();
    let zoneout = |zoneout: &Zoneout, n: usize| match zoneout {
        Zoneout::Drawn(keep) => {
            Zoneout::Drawn(keep.chunks_exact(batch * n).take(length).flat_map(|step| part(step, b * n, n)).collect())
        }
        other => other.clone(),
    };
    Case {
        batch: 1,
        time: length,
        x: steps(&case.x, d_input),
        indices: part(&case.indices, b * time, length),
        ids: part(&case.ids, b * time, length),
        h0: state(&case.h0, h_features),
        c0: state(&case.c0, d_hidden),
        counted: Counted::Mask((0..length).map(|t| case.counts(b, t)).collect()),
        resets: part(&case.resets, b * time, length),
        input_masks: masks(&case.input_masks, d_input),
        recurrent_masks: masks(&case.recurrent_masks, h_features),
        zoneout_h: zoneout(&case.zoneout_h, h_features),
        zoneout_c: zoneout(&case.zoneout_c, d_hidden),
        d_sequence: steps(&case.d_sequence, h_features),
        d_h: state(&case.d_h, h_features),
        d_c: state(&case.d_c, d_hidden),
        ..case.clone()
    }
}

/// With lengths or a mask a row has the same bits alone and in any batch, and there is nothing behind its steps.
#[test]
fn a_row_has_the_same_bits_alone() {
    let mut random = Rng::with_seed(11);
    for (cell, round) in CELLS.into_iter().flat_map(|cell| (0..12).map(move |round| (cell, round))) {
        let shape = [[3, 4, 3, 5], [9, 12, 20, 33], [13, 30, 40, 64]][if cfg!(miri) { 0 } else { round % 3 }];
        let [batch, time, d_input, _] = shape;
        let mut case = Case::random(&mut random, cell, shape);
        case.threads = 1 + round % 3;
        if round >= 6 && cell.has_w_hh() {
            case.draw_options(&mut random);
        }
        if round >= 9 && NORMALIZED.contains(&cell) {
            case.normalize(&mut random);
        }
        // The gradients of repeated inputs may be put together, or not.
        case.ids.clear();
        case.masked_output = MaskedOutput::Zero;
        // Whether dropped features are skipped depends on whether all rows' masks multiply by the same number.
        for mask in case.input_masks.iter_mut().flatten() {
            *mask = if *mask == 0.0 { 0.0 } else { 1.25 };
        }
        case.counted = match round % 6 {
            0..4 => Counted::Lengths((0..batch).map(|_| random.usize(0..=time)).collect()),
            _ => Counted::Mask((0..batch * time).map(|_| random.u8(0..3) > 0).collect()),
        };
        for isa in Isa::available() {
            let together = [kernel::run::<f32>(&case, isa), kernel::run::<f64>(&case, isa)];
            for b in 0..batch {
                let alone = row_alone(&case, b);
                let results = [kernel::run::<f32>(&alone, isa), kernel::run::<f64>(&alone, isa)];
                for (name, width) in
                    [("sequence", case.h_features()), ("d_x", d_input), ("h", 0), ("c", 0), ("d_h0", 0), ("d_c0", 0)]
                {
                    for (together, alone_results) in together.iter().zip(&results) {
                        let of = |results: &common::case::Results| {
                            results.iter().find(|r| r.0 == name).map(|r| r.1.clone()).unwrap_or_default()
                        };
                        let (all, one) = (of(together), of(alone_results));
                        let size = if width > 0 { time * width } else { all.len() / batch };
                        let mut found = all.get(b * size..(b + 1) * size).unwrap_or_default().to_vec();
                        let padding = found.split_off(one.len().min(found.len()));
                        let bits = |values: &[f64]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                        let same = bits(&found) == bits(&one);
                        assert!(same, "{name} of row {b}, {cell:?} {shape:?} {:?} at {isa:?}", case.options);
                        assert!(padding.iter().all(|x| x.to_bits() == 0), "{name} of row {b}, {cell:?} at {isa:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_row_that_never_starts() {
    let mut random = Rng::with_seed(5);
    for cell in CELLS {
        for masked_output in [MaskedOutput::Zero, MaskedOutput::Previous] {
            let mut case = Case::plain(&mut random, cell, [3, 4, 2, 5]);
            case.counted =
                Counted::Mask(vec![false, false, true, false, false, false, false, false, true, false, true, false]);
            case.masked_output = masked_output;
            check(&case);
        }
    }
}

#[test]
fn the_same_bits_every_time() {
    let mut random = Rng::with_seed(6);
    for cell in CELLS {
        let mut case = Case::plain(&mut random, cell, [17, 30, 20, 40]);
        case.threads = 2;
        let first = kernel::run::<f32>(&case, Isa::best());
        for _ in 0..20 {
            assert_eq!(kernel::run::<f32>(&case, Isa::best()), first, "{cell:?}");
        }
    }
}

#[test]
fn steps_are_those_of_the_sequence() {
    let mut random = Rng::with_seed(7);
    for (cell, d_hidden) in CELLS.into_iter().flat_map(|cell| [1, 7, 16, 33, 64].map(|d_hidden| (cell, d_hidden))) {
        for (indices, projects) in [(false, false), (true, false), (false, true), (true, true)] {
            let (time, d_input) = (6, 5);
            let mut case = Case::plain(&mut random, cell, [1, time, d_input, d_hidden]);
            if projects && cell.has_cell_state() {
                case.project(&mut random, d_hidden.div_ceil(2));
            }
            if indices {
                case.indices = (0..time).map(|_| random.u32(0..d_input as u32)).collect();
                case.zoneout_h = Zoneout::Mean(0.25);
                case.zoneout_c = if cell.has_cell_state() { Zoneout::Mean(0.125) } else { Zoneout::Off };
            }
            let expected = naive::run(&case);
            let layer = LayerWeights {
                cell,
                d_input,
                d_hidden,
                w_ih: &case.w_ih,
                w_hh: &case.w_hh,
                b_ih: Some(&case.b_ih),
                b_hh: cell.has_w_hh().then_some(&case.b_hh[..]),
                options: Options {
                    w_hr: (!case.options.w_hr.is_empty()).then_some(&case.options.w_hr[..]),
                    ..Options::default()
                },
            };
            for isa in Isa::available() {
                let mut stepper = Stepper::new(isa, &layer).clone();
                if indices {
                    stepper.set_zoneout(0.25, 0.125);
                }
                for round in 0..2 {
                    stepper.set_state(&case.h0, cell.has_cell_state().then_some(&case.c0[..]));
                    for t in 0..time {
                        let h = match indices {
                            true => stepper.step_index(case.indices[t] as usize),
                            false => stepper.step(&case.x[t * d_input..][..d_input]),
                        };
                        for (a, b) in h.iter().zip(&expected[0].values[t * case.h_features()..]) {
                            assert!((a - b).abs() < 1e-13, "{cell:?} {d_hidden} at {isa:?}, round {round}");
                        }
                    }
                    assert!(stepper.h().iter().zip(&expected[1].values).all(|(a, b)| (a - b).abs() < 1e-13));
                    if cell == Cell::Lstm {
                        assert!(stepper.c().iter().zip(&expected[2].values).all(|(a, b)| (a - b).abs() < 1e-13));
                    }
                }
                stepper.reset();
                assert!(stepper.h().iter().all(|&h| h == 0.0));
            }
        }
    }
}

#[test]
fn dense_is_the_product() {
    let mut random = Rng::with_seed(8);
    for (d_input, d_output) in [(1, 1), (3, 16), (20, 17), (7, 63), (7, 64), (5, 65), (128, 150)] {
        let mut numbers = |n: usize| -> Vec<f64> { (0..n).map(|_| random.f64() - 0.5).collect() };
        let (w, b, x) = (numbers(d_input * d_output), numbers(d_output), numbers(d_input));
        for isa in Isa::available() {
            let mut y = vec![f64::NAN; d_output];
            Dense::new(isa, [d_input, d_output], &w, Some(&b)).apply(&x, &mut y);
            for (j, y) in y.iter().enumerate() {
                let expected = b[j] + (0..d_input).map(|k| x[k] * w[k * d_output + j]).sum::<f64>();
                assert!((y - expected).abs() < 1e-13, "{d_input}→{d_output} at {isa:?}");
            }
        }
    }
}

#[test]
#[should_panic(expected = "symbol 3 at row 0, step 1 is not below 3")]
fn a_symbol_that_is_too_large() {
    let mut case = Case::plain(&mut Rng::with_seed(9), Cell::Lstm, [1, 2, 3, 2]);
    case.indices = vec![0, 3];
    kernel::run::<f32>(&case, Isa::Portable);
}

/// Layers of many sizes on many threads, which share the pool, while another thread empties it: the same bits as alone.
#[test]
fn memory_may_be_released_at_any_time() {
    let mut random = Rng::with_seed(10);
    let sizes = if cfg!(miri) { 1 } else { 6 };
    let cases: Vec<Case> = (0..sizes)
        .map(|i| Case::plain(&mut random, CELLS[i % 5], [1 + 3 * i, 5 + 20 * i, 1 + i, 1 + 13 * i]))
        .collect();
    let isa = Isa::best();
    let bits = |case: &Case| -> Vec<u64> {
        kernel::run::<f32>(case, isa).iter().flat_map(|(_, values)| values).map(|x| x.to_bits()).collect()
    };
    let alone: Vec<Vec<u64>> = cases.iter().map(bits).collect();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let emptying = scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                rnn_kernels::release_memory();
                std::thread::yield_now();
            }
        });
        let workers: Vec<_> = (0..cases.len())
            .map(|i| {
                let (case, alone, bits) = (&cases[i], &alone[i], &bits);
                scope.spawn(move || (0..10).filter(|_| bits(case) != *alone).count())
            })
            .collect();
        let wrong: Vec<usize> = workers.into_iter().map(|worker| worker.join().expect("no panic")).collect();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        emptying.join().expect("no panic");
        assert_eq!(wrong, vec![0; cases.len()]);
    });
}
