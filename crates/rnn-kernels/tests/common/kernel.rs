//! The same case through the kernels, on slices of either element type, outputs poisoned.

use super::case::{self, Case, Counted, Results, Zoneout};
use rnn_kernels::{
    Entry, Exec, Gradients, Input, Isa, LayerWeights, OptionGradients, Options, Output, OutputGradients, Sequence,
    Strides,
};

fn convert<T: Entry>(values: &[f64]) -> Vec<T> {
    values.iter().map(|&x| T::from_f64(x)).collect()
}

/// `[batch, time, width]` to `[time, batch, width]`, or back with batch and time exchanged.
pub fn swap<E: Copy>(values: &[E], batch: usize, time: usize, width: usize) -> Vec<E> {
    let mut swapped = Vec::with_capacity(values.len());
    for t in 0..time {
        for b in 0..batch {
            swapped.extend_from_slice(&values[(b * time + t) * width..][..width]);
        }
    }
    swapped
}

/// What options learn, with the names of its gradients.
pub fn learned(options: &case::Options) -> [(&'static str, &Vec<f64>); 8] {
    [
        ("d_p_i", &options.p_i),
        ("d_p_f", &options.p_f),
        ("d_p_o", &options.p_o),
        ("d_norm_ih", &options.norm_ih),
        ("d_norm_hh", &options.norm_hh),
        ("d_gamma_c", &options.gamma_c),
        ("d_beta_c", &options.beta_c),
        ("d_w_hr", &options.w_hr),
    ]
}

/// Elements between rows of the output, as if another direction's half stood there.
const GAP: usize = 3;

pub fn run<T: Entry>(case: &Case, isa: Isa) -> Results {
    let &Case { batch, time, d_input, d_hidden, time_major, .. } = case;
    let h_features = case.h_features();
    let arrange = |values: &[f64], width: usize| -> Vec<T> {
        convert(&if time_major { swap(values, batch, time, width) } else { values.to_vec() })
    };
    let strides = |width: usize| {
        if time_major { Strides::time_major(batch, width) } else { Strides::batch_major(time, width) }
    };
    let back = |values: &[T], width: usize, gap: usize| -> Vec<f64> {
        let rows = values.chunks(width + gap);
        let rows: Vec<f64> = rows.flat_map(|row| &row[..width]).map(|x| x.to_f64()).collect();
        if time_major { swap(&rows, time, batch, width) } else { rows }
    };
    let exec = Exec { isa, threads: case.threads };
    let [w_ih, w_hh, b_ih, b_hh, h0, c0, d_h, d_c] =
        [&case.w_ih, &case.w_hh, &case.b_ih, &case.b_hh, &case.h0, &case.c0, &case.d_h, &case.d_c]
            .map(|v| convert::<T>(v));
    let options = &case.options;
    let vectors = learned(options).map(|(_, v)| convert::<T>(v));
    let given = |vector: usize| (!vectors[vector].is_empty()).then(|| &vectors[vector][..]);
    let layer = LayerWeights {
        cell: case.cell,
        d_input,
        d_hidden,
        w_ih: &w_ih,
        w_hh: &w_hh,
        b_ih: case.biases[0].then_some(&b_ih[..]),
        b_hh: case.biases[1].then_some(&b_hh[..]),
        options: Options {
            gate: options.gate,
            candidate: options.candidate,
            hidden: options.hidden,
            clip: options.clip,
            p_i: given(0),
            p_f: given(1),
            p_o: given(2),
            norm_ih: given(3),
            norm_hh: given(4),
            gamma_c: given(5),
            beta_c: given(6),
            w_hr: given(7),
        },
    };
    let (x, d_sequence) = (arrange(&case.x, d_input), arrange(&case.d_sequence, h_features));
    let indices = if time_major {
        swap(&case.indices, batch, if case.indices.is_empty() { 0 } else { time }, 1)
    } else {
        case.indices.clone()
    };
    let masks = |masks: &[Vec<f64>]| -> Vec<Vec<T>> { masks.iter().map(|mask| convert(mask)).collect() };
    let (input_masks, recurrent_masks) = (masks(&case.input_masks), masks(&case.recurrent_masks));
    let (input_masks, recurrent_masks): (Vec<&[T]>, Vec<&[T]>) =
        (input_masks.iter().map(|m| &m[..]).collect(), recurrent_masks.iter().map(|m| &m[..]).collect());
    let drawn = [&case.zoneout_h, &case.zoneout_c].map(|zoneout| match zoneout {
        Zoneout::Drawn(keep) => convert::<T>(keep),
        _ => Vec::new(),
    });
    let zoneout = |which: usize| match [&case.zoneout_h, &case.zoneout_c][which] {
        Zoneout::Off => rnn_kernels::Zoneout::Off,
        Zoneout::Mean(p) => rnn_kernels::Zoneout::Mean(*p),
        Zoneout::Drawn(_) => rnn_kernels::Zoneout::Drawn(&drawn[which]),
    };
    let input = match case.indices.is_empty() {
        true => Input::Dense { values: &x, strides: strides(d_input) },
        false => Input::Indices { values: &indices, strides: strides(1) },
    };
    let sequence = Sequence {
        h0: Some(&h0),
        c0: case.cell.has_cell_state().then_some(&c0[..]),
        ids: (!case.ids.is_empty()).then_some(&case.ids[..]),
        reverse: case.reverse,
        counted: match &case.counted {
            Counted::All => rnn_kernels::Counted::All,
            Counted::Lengths(lengths) => rnn_kernels::Counted::Lengths(lengths),
            Counted::Mask(mask) => rnn_kernels::Counted::Mask(mask),
        },
        masked_output: case.masked_output,
        resets: (!case.resets.is_empty()).then_some(&case.resets[..]),
        input_masks: &input_masks,
        recurrent_masks: &recurrent_masks,
        zoneout_h: zoneout(0),
        zoneout_c: zoneout(1),
        ..Sequence::new(batch, time, input)
    };

    let nan = T::from_f64(f64::NAN);
    let gapped = h_features + GAP;
    let has_c = case.cell.has_cell_state();
    // Without saving, onto zeros, which are not written again at steps that do not count.
    let onto = |zeroed: bool, width: usize| -> Vec<T> {
        let within = |i: usize| zeroed && i % (width + GAP) < width;
        (0..batch * time * (width + GAP)).map(|i| if within(i) { T::ZERO } else { nan }).collect()
    };
    let zeroed = Sequence { zeroed: true, ..sequence };
    let forward = |save: bool| {
        let (mut out, mut h) = (onto(!save, h_features), vec![nan; batch * h_features]);
        let mut c = vec![nan; if has_c { batch * d_hidden } else { 0 }];
        let output =
            Output { sequence: &mut out, strides: strides(gapped), h: Some(&mut h), c: has_c.then_some(&mut c[..]) };
        let saved = match save {
            true => Some(rnn_kernels::forward_saving(exec, &layer, &sequence, output)),
            false => {
                rnn_kernels::forward(exec, &layer, &zeroed, output);
                None
            }
        };
        let gaps = out.chunks(gapped).flat_map(|row| &row[h_features..]);
        assert!(gaps.into_iter().all(|x| x.to_f64().is_nan()), "wrote between the rows");
        let wide = |values: &[T]| -> Vec<f64> { values.iter().map(|x| x.to_f64()).collect() };
        (saved, vec![("sequence", back(&out, h_features, GAP)), ("h", wide(&h)), ("c", wide(&c))])
    };
    let (_, plain) = forward(false);
    let (saved, mut results) = forward(true);
    let bits = |results: &Results| -> Vec<u64> { results.iter().flat_map(|r| &r.1).map(|x| x.to_bits()).collect() };
    assert_eq!(bits(&plain), bits(&results), "with and without saving");

    let given = OutputGradients {
        sequence: Some((&d_sequence, strides(h_features))),
        h: Some(&d_h),
        c: has_c.then_some(&d_c[..]),
    };
    let mut gradients = Gradients::default();
    let dense = case.indices.is_empty();
    let mut d_x = vec![nan; batch * time * (d_input + GAP)];
    let [mut d_w_ih, mut d_w_hh, mut d_b_ih, mut d_b_hh, mut d_h0, mut d_c0] =
        [&w_ih, &w_hh, &b_ih, &b_hh, &h0, &c0].map(|like| vec![nan; like.len()]);
    gradients.input = dense.then_some((&mut d_x[..], strides(d_input + GAP)));
    gradients.w_ih = Some(&mut d_w_ih);
    gradients.w_hh = Some(&mut d_w_hh);
    gradients.b_ih = case.biases[0].then_some(&mut d_b_ih[..]);
    gradients.b_hh = case.biases[1].then_some(&mut d_b_hh[..]);
    gradients.h0 = Some(&mut d_h0);
    gradients.c0 = has_c.then_some(&mut d_c0[..]);
    let mut d_vectors = vectors.each_ref().map(|like| vec![nan; like.len()]);
    let [p_i, p_f, p_o, norm_ih, norm_hh, gamma_c, beta_c, w_hr] =
        d_vectors.each_mut().map(|v| (!v.is_empty()).then_some(&mut v[..]));
    gradients.options = OptionGradients { p_i, p_f, p_o, norm_ih, norm_hh, gamma_c, beta_c, w_hr };
    let saved = saved.unwrap();
    rnn_kernels::backward(&layer, &sequence, &saved, given, gradients);
    let mut alone = vec![nan; d_w_ih.len()];
    let wanted = Gradients { w_ih: Some(&mut alone), ..Gradients::default() };
    rnn_kernels::backward(&layer, &sequence, &saved, given, wanted);
    let same = |a: &[T], b: &[T]| a.iter().zip(b).all(|(a, b)| a.to_f64().to_bits() == b.to_f64().to_bits());
    assert!(same(&alone, &d_w_ih), "the gradient of W_ih alone");
    if dense {
        let mut alone = onto(true, d_input);
        let input = Some((&mut alone[..], strides(d_input + GAP)));
        rnn_kernels::backward(&layer, &zeroed, &saved, given, Gradients { input, ..Gradients::default() });
        assert!(same(&alone, &d_x), "the gradient of the input alone");
    }
    let wide = |values: &[T]| values.iter().map(|x| x.to_f64()).collect();
    results.extend([
        ("d_w_ih", wide(&d_w_ih)),
        ("d_w_hh", wide(&d_w_hh)),
        ("d_h0", wide(&d_h0)),
        ("d_c0", wide(&d_c0)),
    ]);
    if dense {
        results.push(("d_x", back(&d_x, d_input, GAP)));
    }
    if case.biases[0] {
        results.push(("d_b_ih", wide(&d_b_ih)));
    }
    if case.biases[1] {
        results.push(("d_b_hh", wide(&d_b_hh)));
    }
    for ((name, _), vector) in learned(options).into_iter().zip(&d_vectors) {
        if !vector.is_empty() {
            results.push((name, wide(vector)));
        }
    }
    results
}
