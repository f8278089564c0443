//! Whether the buffers of a call are as long as its sizes say.

use crate::Buffer;
use crate::args::{Cell, Counted, Input, Layer, Norm, Sequence, Strided, Zoneout};

/// # Panics
/// If one is not, or an option is not as the type says.
pub(super) fn check(layer: &Layer, sequence: &Sequence) {
    let Layer { cell, d_input, d_hidden, .. } = *layer;
    let Sequence { batch, time, .. } = *sequence;
    let width = cell.gates() * d_hidden;
    let same = |what: &str, buffer: &Buffer, len: usize| {
        assert_eq!(buffer.len(), len, "{what} of {d_input} features, {d_hidden} units, {batch} rows and {time} steps");
    };
    assert!(d_hidden > 0 && batch > 0 && time > 0, "a layer has units, rows and steps");
    same("W_ih", &layer.w_ih, d_input * width);
    assert_eq!(layer.w_hh.is_some(), cell.has_w_hh(), "W_hh of {cell:?}");
    layer.w_hh.iter().for_each(|w_hh| same("W_hh", w_hh, d_hidden * width));
    let has = layer.peepholes.each_ref().map(Option::is_some);
    let all = [cell.has_c(), cell == Cell::Lstm, cell.has_c()];
    assert!(has == [false; 3] || has == all, "peepholes to i, f and o of {cell:?}: {has:?}");
    if let Some(Norm { ih, hh, c }) = &layer.norm {
        same("γ_ih", ih, width);
        assert_eq!((hh.is_some(), c.is_some()), (cell.has_w_hh(), cell.has_c()), "γ_hh and γ_c of {cell:?}");
        hh.iter().for_each(|hh| same("γ_hh", hh, width));
        c.iter().flatten().for_each(|c| same("γ_c or β_c", c, d_hidden));
    }
    layer.peepholes.iter().flatten().for_each(|vector| same("a peephole", vector, d_hidden));
    [&layer.b_ih, &layer.b_hh].into_iter().flatten().for_each(|bias| same("a bias", bias, width));
    same("h0", &sequence.h0, batch * d_hidden);
    assert_eq!(sequence.c0.is_some(), cell.has_c(), "an LSTM has a c0, and no other cell");
    sequence.c0.iter().for_each(|c0| same("c0", c0, batch * d_hidden));
    sequence.input_masks.iter().for_each(|mask| same("a mask of the input", mask, batch * d_input));
    sequence.recurrent_masks.iter().for_each(|mask| same("a mask of h", mask, batch * d_hidden));
    for count in [sequence.input_masks.len(), sequence.recurrent_masks.len()] {
        assert!([0, 1, cell.gates()].contains(&count), "{count} masks: none, one, or one for each gate");
    }
    assert!(cell.has_w_hh() || sequence.recurrent_masks.is_empty(), "masks of h, which {cell:?} does not multiply");
    sequence.resets.iter().for_each(|resets| assert_eq!(resets.len(), batch * time, "true or false for each step"));
    let drawn = [&sequence.zoneout_h, &sequence.zoneout_c].into_iter().filter_map(Zoneout::drawn);
    drawn.for_each(|keep| same("zoneout", keep, time * batch * d_hidden));
    match &sequence.input {
        Input::Dense(Strided { buffer, strides }) => {
            let reach: usize = strides.iter().zip([time, batch, d_input]).map(|(s, n)| s * n.saturating_sub(1)).sum();
            assert!(reach < buffer.len().max(1), "x of {} numbers has strides {strides:?}", buffer.len());
        }
        Input::Symbols(symbols) => {
            assert_eq!(symbols.len(), batch * time, "a symbol for each step");
            assert!(symbols.iter().all(|&symbol| (symbol as usize) < d_input), "symbols are below {d_input}");
            assert!(sequence.input_masks.is_empty(), "symbols have no masks");
        }
    }
    match sequence.counted {
        Counted::All => {}
        Counted::Lengths(lengths) => {
            assert!(lengths.len() == batch && lengths.iter().all(|&l| l <= time), "a length up to {time} for each row")
        }
        Counted::Mask(mask) => assert_eq!(mask.len(), batch * time, "true or false for each step"),
    }
}
