//! Whether the sizes of a call fit together, so that no kernel reads or writes beyond a slice.

use super::{
    Cell, Counted, Gradients, Input, LayerWeights, OptionGradients, Options, Output, OutputGradients, Sequence,
    Strides, Zoneout,
};
use crate::float::Float;

fn check<T>(what: &str, slice: &[T], expected: usize) {
    assert!(slice.len() == expected, "{what} has {} elements where {expected} are needed", slice.len());
}

fn check_strided<T>(what: &str, slice: &[T], strides: Strides, [batch, time, width]: [usize; 3]) {
    let needed = strides.reach(batch, time, width);
    assert!(slice.len() >= needed, "{what} has {} elements where its strides reach over {needed}", slice.len());
}

/// Rows that are written on several threads must not overlap.
fn check_apart(what: &str, strides: Strides, [batch, time, width]: [usize; 3]) {
    let (small, steps, large) = match strides.batch <= strides.time {
        true => (strides.batch, batch, strides.time),
        false => (strides.time, time, strides.batch),
    };
    let inner = if steps > 1 { small } else { width };
    let outer_rows = if strides.batch <= strides.time { time } else { batch };
    let apart = inner >= width && (outer_rows == 1 || large >= small * (steps - 1) + width);
    assert!(apart, "{what} has overlapping rows: {strides:?} for {batch} rows and {time} steps of {width}");
}

/// So that no product of sizes wraps around, filled up to whole vectors and for all gates as they are.
pub(crate) fn check_sizes<const N: usize>(sizes: [usize; N]) {
    let all = sizes.iter().try_fold(64usize, |all, &size| all.checked_mul(size.max(1)));
    assert!(all.is_some_and(|all| all < isize::MAX as usize), "{sizes:?} are too large");
}

/// What the options learn, with its size.
fn learned<'a, T>(
    options: &Options<'a, T>,
    width: usize,
    [d_hidden, h_features]: [usize; 2],
) -> [(&'static str, Option<&'a [T]>, usize); 8] {
    [
        ("p_i", options.p_i, d_hidden),
        ("p_f", options.p_f, d_hidden),
        ("p_o", options.p_o, d_hidden),
        ("γ_ih", options.norm_ih, width),
        ("γ_hh", options.norm_hh, width),
        ("γ_c", options.gamma_c, d_hidden),
        ("β_c", options.beta_c, d_hidden),
        ("W_hr", options.w_hr, d_hidden * h_features),
    ]
}

/// # Panics
/// On sizes that do not fit together, so that no kernel reads or writes beyond a slice.
pub(crate) fn check_forward<T: Float>(layer: &LayerWeights<T>, sequence: &Sequence<T>) {
    let (&LayerWeights { d_input, d_hidden, .. }, h_features) = (layer, layer.h_features());
    let &Sequence { batch, time, .. } = sequence;
    check_sizes([batch, time, d_hidden.max(h_features), d_input]);
    let width = layer.cell.gates() * d_hidden;
    assert!(d_hidden > 0 && batch > 0 && time > 0, "{batch} rows, {time} steps, {d_hidden} units: none may be 0");
    check("W_ih", layer.w_ih, d_input * width);
    check("W_hh", layer.w_hh, layer.w_hh_rows() * width);
    let recurs = layer.b_hh.is_some() || !sequence.recurrent_masks.is_empty();
    assert!(layer.cell.has_w_hh() || !recurs, "b_hh and recurrent masks are for cells with W_hh");
    layer.b_ih.inspect(|b| check("b_ih", b, width));
    layer.b_hh.inspect(|b| check("b_hh", b, width));
    let options = &layer.options;
    for (what, slice, expected) in learned(options, width, [d_hidden, h_features]) {
        slice.inspect(|slice| check(what, slice, expected));
    }
    assert!(h_features > 0, "W_hr has no column");
    let vectors = [options.p_i, options.p_f, options.p_o, options.gamma_c, options.beta_c, options.w_hr];
    let of_lstm = options.hidden.is_some() || vectors.iter().any(Option::is_some);
    assert!(!of_lstm || layer.cell.has_cell_state(), "peepholes, ψ, γ_c, β_c and W_hr are of an LSTM");
    assert!(options.p_f.is_none() || layer.cell != Cell::LstmCoupled, "with coupled gates there is no p_f");
    let of_gates = options.gate.is_some() || options.candidate.is_some() || options.clip.is_some();
    assert!(!of_gates || layer.cell.has_w_hh(), "a cell without W_hh has its own functions, and no clip");
    assert!(options.clip.is_none_or(|clip| clip > 0.0), "a clip of {:?} is not above 0", options.clip);
    let norm = options.norm_ih.is_some();
    assert!(options.norm_hh.is_some() == (norm && layer.cell.has_w_hh()), "γ_ih and γ_hh go together");
    let of_c = norm && layer.cell.has_cell_state();
    assert!(
        [options.gamma_c, options.beta_c].iter().all(|v| v.is_some() == of_c),
        "γ_c and β_c go with an LSTM's norms"
    );
    match sequence.input {
        Input::Dense { values, strides } => check_strided("the input", values, strides, [batch, time, d_input]),
        Input::Indices { values, strides } => {
            check_strided("the input", values, strides, [batch, time, 1]);
            for (b, t) in (0..batch).flat_map(|b| (0..time).map(move |t| (b, t))) {
                let symbol = values[strides.at(b, t)];
                assert!((symbol as usize) < d_input, "symbol {symbol} at row {b}, step {t} is not below {d_input}");
            }
            assert!(sequence.input_masks.is_empty(), "indices take no input masks");
        }
    }
    if let Some(ids) = sequence.ids {
        check("the ids", ids, batch * time);
        assert!(matches!(sequence.input, Input::Dense { .. }), "ids are of dense input");
    }
    sequence.h0.inspect(|h| check("h0", h, batch * h_features));
    sequence.c0.inspect(|c| check("c0", c, batch * d_hidden));
    match sequence.counted {
        Counted::All => {}
        Counted::Lengths(lengths) => {
            check("lengths", lengths, batch);
            assert!(lengths.iter().all(|&length| length <= time), "a length is above {time}");
        }
        Counted::Mask(mask) => check("the mask", mask, batch * time),
    }
    sequence.resets.inspect(|resets| check("the resets", resets, batch * time));
    assert!(u32::try_from(batch).is_ok(), "{batch} rows are too many");
    for (what, masks, width) in
        [("an input mask", sequence.input_masks, d_input), ("a recurrent mask", sequence.recurrent_masks, h_features)]
    {
        let count = masks.len();
        assert!(count <= 1 || count == layer.cell.gates(), "{count} masks for {} gates", layer.cell.gates());
        masks.iter().for_each(|mask| check(what, mask, batch * width));
    }
    for (zoneout, features) in [(sequence.zoneout_h, h_features), (sequence.zoneout_c, d_hidden)] {
        if let Zoneout::Drawn(keep) = zoneout {
            check("a zoneout mask", keep, time * batch * features);
        }
    }
}

pub(crate) fn check_output<T: Float>(layer: &LayerWeights<T>, sequence: &Sequence<T>, output: &Output<T>) {
    let shape @ [batch, _, h_features] = [sequence.batch, sequence.time, layer.h_features()];
    check_strided("the output", output.sequence, output.strides, shape);
    check_apart("the output", output.strides, shape);
    output.h.as_ref().inspect(|h| check("the last h", h, batch * h_features));
    output.c.as_ref().inspect(|c| check("the last c", c, batch * layer.d_hidden));
    assert!(output.c.is_none() || layer.cell.has_cell_state(), "this cell has no c");
}

pub(crate) fn check_backward<T: Float>(
    layer: &LayerWeights<T>,
    sequence: &Sequence<T>,
    d_output: &OutputGradients<T>,
    wanted: &Gradients<T>,
) {
    let (&LayerWeights { d_input, d_hidden, .. }, features) = (layer, layer.h_features());
    let &Sequence { batch, time, .. } = sequence;
    let (width, [h_size, c_size]) = (layer.cell.gates() * d_hidden, [batch * features, batch * d_hidden]);
    d_output.sequence.inspect(|(slice, s)| check_strided("the output's gradient", slice, *s, [batch, time, features]));
    d_output.h.inspect(|h| check("the gradient of the last h", h, h_size));
    d_output.c.inspect(|c| check("the gradient of the last c", c, c_size));
    if let Some((slice, strides)) = &wanted.input {
        assert!(matches!(sequence.input, Input::Dense { .. }), "indices have no gradient");
        check_strided("the input's gradient", slice, *strides, [batch, time, d_input]);
        check_apart("the input's gradient", *strides, [batch, time, d_input]);
    }
    wanted.w_ih.as_ref().inspect(|w| check("the gradient of W_ih", w, d_input * width));
    wanted.w_hh.as_ref().inspect(|w| check("the gradient of W_hh", w, layer.w_hh_rows() * width));
    wanted.b_ih.as_ref().inspect(|b| check("the gradient of b_ih", b, width));
    wanted.b_hh.as_ref().inspect(|b| check("the gradient of b_hh", b, width));
    let OptionGradients { p_i, p_f, p_o, norm_ih, norm_hh, gamma_c, beta_c, w_hr } = &wanted.options;
    let options = [p_i, p_f, p_o, norm_ih, norm_hh, gamma_c, beta_c, w_hr];
    let learned = learned(&layer.options, width, [d_hidden, features]);
    for (wanted, (what, given, expected)) in options.into_iter().zip(learned) {
        let Some(wanted) = wanted else { continue };
        assert!(given.is_some(), "the gradient of {what}, which is not there");
        check(what, wanted, expected);
    }
    assert!(wanted.b_hh.is_none() || layer.cell.has_w_hh(), "this cell has no b_hh");
    wanted.h0.as_ref().inspect(|h| check("the gradient of h0", h, h_size));
    wanted.c0.as_ref().inspect(|c| check("the gradient of c0", c, c_size));
    assert!(wanted.c0.is_none() || layer.cell.has_cell_state(), "this cell has no c");
}
