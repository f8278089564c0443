//! One layer in several ways that must agree: steps, windows, permutations, padding, directions, symbols, a probe.

use super::gradients::{PARAMETERS, parameter};
use super::*;
use burn::tensor::Int;

#[test]
fn steps_one_by_one_equal_the_sequence() {
    let layer = lstm(Bias::One).with_num_layers(2).init(Key::new(5), &device());
    let x = tensor(&values(Key::new(1), BATCH * TIME * INPUT), [BATCH, TIME, INPUT]);
    let whole = layer.forward(x.clone());
    let mut state: Option<States<_>> = None;
    for t in 0..TIME {
        let input = x.clone().slice_dim(1, t..t + 1).squeeze_dim(1);
        state = Some(layer.step(input, state));
    }
    let state = state.expect("TIME is not 0");
    assert_eq!(state_values(&state), state_values(&whole.state), "the same operations, so the same bits");
}

#[test]
fn two_windows_with_carried_state_equal_the_whole() {
    let layer = gru(true)(Bias::Two).with_num_layers(2).with_zoneout(0.2, 0.0).init(Key::new(5), &device());
    let x = tensor(&values(Key::new(1), BATCH * TIME * INPUT), [BATCH, TIME, INPUT]);
    let whole = layer.forward(x.clone());
    let first = layer.forward(x.clone().slice_dim(1, 0..2));
    let args = ForwardArgs::default().with_state(first.state.clone().detach());
    let second = layer.forward_with(x.clone().slice_dim(1, 2..TIME), args);
    let together = Tensor::cat(vec![first.sequence, second.sequence], 1);
    assert_eq!(to_vec(together), to_vec(whole.sequence));
    assert_eq!(state_values(&second.state), state_values(&whole.state));
    let lengths: Vec<usize> = layer.windows(x.clone(), 2).map(|window| window.dims()[1]).collect();
    assert_eq!(lengths, [2, 2, 1]);
    let time_major = gru(true)(Bias::Two).with_time_major(true).init(Key::new(5), &device());
    let windows = time_major.windows(x.clone().swap_dims(0, 1), 2).map(|window| window.dims());
    assert_eq!(windows.collect::<Vec<_>>(), [[2, BATCH, INPUT], [2, BATCH, INPUT], [1, BATCH, INPUT]]);
    // A row whose document ended starts anew.
    let reset = first.state.reset(&[false, true, false]);
    let expected = tensors(&layer.forward(x.slice_dim(1, 0..2)).state);
    for (found, before) in tensors(&reset).into_iter().zip(expected) {
        let (found, before) = (to_vec(found), to_vec(before));
        assert_eq!(found[..HIDDEN], before[..HIDDEN]);
        assert_eq!(found[HIDDEN..2 * HIDDEN], [0.0; HIDDEN]);
        assert_eq!(found[2 * HIDDEN..], before[2 * HIDDEN..]);
    }
}

#[test]
fn a_permuted_batch_gives_a_permuted_result() {
    let layer = lstm(Bias::Two).with_direction(Direction::Bidirectional).with_num_layers(2);
    let layer = layer.with_peepholes(true).with_proj_size(Some(3)).init(Key::new(5), &device());
    let x = tensor(&values(Key::new(1), BATCH * TIME * INPUT), [BATCH, TIME, INPUT]);
    let (lengths, order) = ([3, 5, 1], [2, 0, 1]);
    let rows = |t: Tensor<3>| Tensor::cat(order.map(|row| t.clone().slice_dim(0, row..row + 1)).to_vec(), 0);
    let a = layer.forward_with(x.clone(), ForwardArgs::default().with_lengths(&lengths));
    let b = layer.forward_with(rows(x), ForwardArgs::default().with_lengths(&order.map(|row| lengths[row])));
    assert!(worst(&to_vec(rows(a.sequence)), &to_vec(b.sequence)) < 1e-15);
    for (a, b) in tensors(&a.state).into_iter().zip(tensors(&b.state)) {
        assert!(worst(&to_vec(rows(a.unsqueeze_dim(1))), &to_vec(b)) < 1e-15);
    }
}

#[test]
fn a_probe_sees_what_happens_and_changes_nothing() {
    let layer = gru(true)(Bias::Two).init(Key::new(5), &device());
    let x = tensor(&values(Key::new(1), BATCH * TIME * INPUT), [BATCH, TIME, INPUT]);
    let plain = layer.forward(x.clone());
    let (seen, traces) = probe::record(|| layer.forward(x.clone()));
    assert!(worst(&to_vec(seen.sequence.clone()), &to_vec(plain.sequence.clone())) < 1e-14);
    assert_eq!(traces.len(), 1);
    assert_eq!(traces[0].names(), ["r", "z", "n", "h"]);
    assert!(traces[0].values("f").is_none());
    let hidden = traces[0].values("h").expect("h").swap_dims(0, 1);
    assert_eq!(to_vec(hidden), to_vec(seen.sequence.clone()));
    // h' = (1−z)∘n + z∘h, from what was seen of the gates.
    let at = |name: &str, t: usize| to_vec(traces[0].values(name).expect("seen").slice_dim(0, t..t + 1));
    let (z, n, before, after) = (at("z", 3), at("n", 3), at("h", 2), at("h", 3));
    let again: Vec<f64> = (0..z.len()).map(|i| (1.0 - z[i]) * n[i] + z[i] * before[i]).collect();
    assert!(worst(&again, &after) < 1e-15);

    // ∂L/∂h_2 is the gradient of the state with which the second of two windows starts, and what h_2 adds as an output.
    let weigh = |t: Tensor<3>| {
        let shape = t.dims();
        (t * tensor(&values(Key::new(7), TIME * BATCH * HIDDEN)[..shape.iter().product()], shape)).sum()
    };
    let loss = weigh(seen.sequence.slice_dim(1, 3..TIME));
    let found = traces[0].gradients("h", &loss.backward()).expect("differentiable");
    let first = layer.forward(x.clone().slice_dim(1, 0..3)).state.detach();
    let start = first.hidden().require_grad();
    let args = ForwardArgs::default().with_state(HiddenState { hidden: start.clone() });
    let second = layer.forward_with(x.slice_dim(1, 3..TIME), args);
    let expected = start.grad(&weigh(second.sequence).backward()).expect("gradient");
    assert!(worst(&to_vec(found.slice_dim(0, 2..3)), &to_vec(expected)) < 1e-14);

    // In a stack of both directions each pass has a trace, its steps in the order of time.
    let both = lstm(Bias::One).with_direction(Direction::Bidirectional).with_num_layers(2);
    let both = both.init(Key::new(5), &device());
    let x = tensor(&values(Key::new(1), BATCH * TIME * INPUT), [BATCH, TIME, INPUT]);
    let (output, traces) = probe::record(|| both.forward(x));
    let passes: Vec<(usize, bool)> = traces.iter().map(|trace| (trace.layer, trace.reverse)).collect();
    assert_eq!(passes, [(0, false), (0, true), (1, false), (1, true)]);
    assert_eq!(traces[0].names(), ["i", "f", "g", "c", "o", "h"]);
    let backward = traces[3].values("h").expect("h").swap_dims(0, 1);
    assert_eq!(to_vec(backward), to_vec(output.sequence.clone().slice_dim(2, HIDDEN..2 * HIDDEN)));
    let gradients = output.sequence.slice_dim(1, 0..1).sum().backward();
    let norms = traces[2].gradient_norms("h", &gradients).expect("differentiable");
    assert!(norms[0] > 0.0 && norms[1..] == [0.0; TIME - 1], "the first output sees no later step: {norms:?}");
    let norms = traces[3].gradient_norms("c", &gradients).expect("differentiable");
    assert!(norms.iter().all(|&norm| norm > 0.0), "the backward pass ends there: {norms:?}");
}

#[test]
fn time_may_come_first() {
    let config = lstm(Bias::One).with_num_layers(2);
    let (layer, other) =
        (config.init(Key::new(5), &device()), config.with_time_major(true).init(Key::new(5), &device()));
    let x = tensor(&values(Key::new(1), BATCH * TIME * INPUT), [BATCH, TIME, INPUT]);
    let lengths = [3, 5, 1];
    let args = || ForwardArgs::default().with_lengths(&lengths);
    let (a, b) = (layer.forward_with(x.clone(), args()), other.forward_with(x.clone().swap_dims(0, 1), args()));
    assert_eq!(to_vec(a.sequence.swap_dims(0, 1)), to_vec(b.sequence));
    assert_eq!(state_values(&a.state), state_values(&b.state));
    let first: Tensor<2> = x.slice_dim(1, 0..1).squeeze_dim(1);
    assert_eq!(state_values(&layer.step(first.clone(), None)), state_values(&other.step(first, None)));
}

#[test]
fn a_backward_layer_is_a_forward_one_on_the_reversed_input() {
    let forward = lstm(Bias::One).init(Key::new(5), &device());
    let backward = lstm(Bias::One).with_direction(Direction::Backward).init(Key::new(5), &device());
    let x = tensor(&values(Key::new(1), BATCH * TIME * INPUT), [BATCH, TIME, INPUT]);
    let a = forward.forward(x.clone().flip([1]));
    let b = backward.forward(x);
    assert_eq!(to_vec(a.sequence.flip([1])), to_vec(b.sequence));
    assert_eq!(state_values(&a.state), state_values(&b.state));
}

#[test]
fn a_padded_batch_equals_its_rows_alone() {
    let config = gru(true)(Bias::Two).with_num_layers(2).with_direction(Direction::Bidirectional);
    let layer = config.init(Key::new(5), &device());
    let x = tensor(&values(Key::new(1), BATCH * TIME * INPUT), [BATCH, TIME, INPUT]);
    let x = x.require_grad();
    let lengths = [3, 5, 1];
    let batch = layer.forward_with(x.clone(), ForwardArgs::default().with_lengths(&lengths));
    // The gradients of a row are those of the row alone, and the weights' are the sum of all rows'.
    let weights = tensor(&values(Key::new(7), BATCH * TIME * 2 * HIDDEN), [BATCH, TIME, 2 * HIDDEN]);
    let loss = |sequence: Tensor<3>, states: &States<HiddenState>, row: usize| {
        let [rows, time, _] = sequence.dims();
        let ends = tensors(states).into_iter().map(|t| t.sum()).reduce(|a, b| a + b).expect("states");
        (sequence * weights.clone().slice_dim(0, row..row + rows).slice_dim(1, 0..time)).sum() + ends
    };
    let of_batch = loss(batch.sequence.clone(), &batch.state, 0).backward();
    let of_parameters = |grads: &Gradients| -> Vec<f64> {
        let all = layer.layers.iter().flat_map(|weights| PARAMETERS.map(|name| (weights, name)));
        all.filter_map(|(weights, name)| parameter(weights, name, grads)).flat_map(|(_, grad)| grad).collect()
    };
    let mut sum = vec![0.0; of_parameters(&of_batch).len()];
    for (row, length) in lengths.into_iter().enumerate() {
        let alone_x = tensor(&to_vec(x.clone().slice_dim(0, row..row + 1).slice_dim(1, 0..length)), [1, length, INPUT]);
        let alone_x = alone_x.require_grad();
        let alone = layer.forward(alone_x.clone());
        let grads = loss(alone.sequence.clone(), &alone.state, row).backward();
        sum.iter_mut().zip(of_parameters(&grads)).for_each(|(sum, grad)| *sum += grad);
        let ours = x.grad(&of_batch).expect("gradient").slice_dim(0, row..row + 1);
        let expected = to_vec(alone_x.grad(&grads).expect("gradient"));
        assert!(worst(&to_vec(ours.clone().slice_dim(1, 0..length)), &expected) < 1e-14);
        assert!(to_vec(ours).into_iter().skip(length * INPUT).all(|grad| grad == 0.0));
        let ours = batch.sequence.clone().slice_dim(0, row..row + 1);
        assert!(worst(&to_vec(ours.clone().slice_dim(1, 0..length)), &to_vec(alone.sequence)) < 1e-15);
        assert!(to_vec(ours).into_iter().skip(length * 2 * HIDDEN).all(|v| v == 0.0));
        for (ours, alone) in tensors(&batch.state).into_iter().zip(tensors(&alone.state)) {
            assert!(worst(&to_vec(ours.slice_dim(0, row..row + 1)), &to_vec(alone)) < 1e-15);
        }
    }
    assert!(worst(&of_parameters(&of_batch), &sum) < 1e-14);
    let x = x.detach();
    // The same rows padded in front, with a mask.
    let pad = |row: usize| {
        let real = x.clone().slice_dim(0, row..row + 1).slice_dim(1, 0..lengths[row]);
        let zeros = Tensor::zeros([1, TIME - lengths[row], INPUT], &device());
        Tensor::cat(vec![zeros, real], 1)
    };
    let front = Tensor::cat((0..BATCH).map(pad).collect(), 0);
    let mask: Vec<bool> = lengths.iter().flat_map(|&l| (0..TIME).map(move |t| t >= TIME - l)).collect();
    let masked = layer.forward_with(front.clone(), ForwardArgs::default().with_mask(&mask));
    assert!(worst(&state_values(&masked.state), &state_values(&batch.state)) < 1e-15);
    // Keras' way: at steps that do not count the output before is given again.
    let one = gru(true)(Bias::Two).init(Key::new(5), &device());
    let x = x.slice_dim(0, 0..1);
    let mask = [false, true, false, false, true];
    let args = ForwardArgs::default().with_mask(&mask).with_masked_output(MaskedOutput::Previous);
    let out = to_vec(one.forward_with(x, args).sequence);
    let step = |t: usize| &out[t * HIDDEN..(t + 1) * HIDDEN];
    assert_eq!(step(0), [0.0; HIDDEN]);
    assert_eq!((step(2), step(3)), (step(1), step(1)));
    assert_ne!(step(4), step(1));
}

/// Sequences one after another in a row, in both directions and layers, on the kernels and step by step.
#[test]
fn resets_are_sequences_apart() {
    fn check<C: Cell>(config: RecurrentConfig<C>) {
        let layer = config.with_num_layers(2).with_direction(Direction::Bidirectional).init(Key::new(5), &device());
        let x = tensor(&values(Key::new(1), BATCH * TIME * INPUT), [BATCH, TIME, INPUT]);
        let weights = tensor(&values(Key::new(7), BATCH * TIME * 2 * HIDDEN), [BATCH, TIME, 2 * HIDDEN]);
        let start = states(&layer, &values(Key::new(8), 4 * BATCH * HIDDEN * 2));
        // Where sequences begin, and how many steps each row has; flags in padding do nothing.
        let (begins, lengths) = ([[2, 3], [1, 4], [0, 3]], [TIME, 4, 3]);
        let mut resets = vec![false; BATCH * TIME];
        for (row, begins) in begins.iter().enumerate() {
            begins.iter().for_each(|&t| resets[row * TIME + t] = true);
        }
        let given = x.clone().require_grad();
        let args = || ForwardArgs::default().with_lengths(&lengths).with_resets(&resets).with_state(start.clone());
        let run = || layer.forward_with(given.clone(), args());
        for output in [run(), probe::record(run).0] {
            let grads = (output.sequence.clone() * weights.clone()).sum().backward();
            let d_x = given.grad(&grads).expect("a gradient");
            for row in 0..BATCH {
                let mut borders: Vec<usize> = (0..lengths[row]).filter(|&t| resets[row * TIME + t]).collect();
                borders.retain(|&t| t > 0);
                borders.insert(0, 0);
                borders.push(lengths[row]);
                for part in borders.windows(2) {
                    let cut = |t: Tensor<3>| t.slice_dim(0, row..row + 1).slice_dim(1, part[0]..part[1]);
                    let piece = cut(x.clone()).require_grad();
                    // The first sequence starts from the given state unless it is reset; backward, the last one does.
                    let given = [part[0] == 0 && !resets[row * TIME], part[1] == lengths[row]];
                    let states = start.clone().into_vec().into_iter().enumerate().map(|(i, state)| {
                        let of_row = |t: Tensor<2>| t.slice_dim(0, row..row + 1);
                        state.map(|t| if given[i % 2] { of_row(t) } else { of_row(t).zeros_like() })
                    });
                    let of_piece = States::new(Direction::Bidirectional, states.collect());
                    let apart = layer.forward_with(piece.clone(), ForwardArgs::default().with_state(of_piece));
                    assert!(worst(&to_vec(cut(output.sequence.clone())), &to_vec(apart.sequence.clone())) < 1e-14);
                    let grads = (apart.sequence * cut(weights.clone())).sum().backward();
                    let expected = to_vec(piece.grad(&grads).expect("a gradient"));
                    assert!(worst(&to_vec(cut(d_x.clone())), &expected) < 1e-13);
                }
            }
        }
    }
    check(gru(true)(Bias::Two));
    check(lstm(Bias::One).with_zoneout(0.1, 0.2));
    check(lstm(Bias::One).with_peepholes(true));
    check(rnn(Activation::Tanh)(Bias::None));
}

/// Ids of which some come again in their row, and enough of them that the kernels see to it.
#[test]
fn ids_are_rows_of_the_table() {
    let ids: Vec<u32> = (0..BATCH * TIME).map(|i| (i * i % 7) as u32).collect();
    let lengths = [5, 2, 4];
    let plain = LstmConfig::new(INPUT, HIDDEN).with_direction(Direction::Bidirectional).with_num_layers(2);
    let masks = plain.clone().with_dropout(0.3).with_recurrent_dropout(0.3).with_dropout_masks(DropoutMasks::PerGate);
    let time_major = plain.clone().with_time_major(true);
    for config in [plain.clone(), plain.clone().with_dropout(0.3), masks, time_major, plain.with_layer_norm(true)] {
        let layer = config.init(Key::new(5), &device());
        let table = tensor(&values(Key::new(8), 7 * INPUT), [7, INPUT]).require_grad();
        for lengths in [None, Some(&lengths[..])] {
            let args = || ForwardArgs { lengths, ..ForwardArgs::default() }.with_dropout_key(Some(Key::new(3)));
            let loss = |out: &rnn_core::Output<LstmState>| {
                let shape = out.sequence.dims();
                let factor = tensor(&values(Key::new(7), shape.iter().product()), shape);
                (out.sequence.clone() * factor).sum() + out.state.last_layer()[0].cell.clone().sum()
            };
            let named =
                Tensor::<1, Int>::from_ints(&ids.iter().map(|&id| id as i32).collect::<Vec<_>>()[..], &device());
            let rows = rnn_core::embedding(table.clone(), named.reshape([BATCH, TIME]));
            let rows = if config.time_major { rows.swap_dims(0, 1) } else { rows };
            let dense = layer.forward_with(rows, args());
            let expected = loss(&dense).backward();
            let run = || layer.forward_with(Input::ids(table.clone(), &ids, [BATCH, TIME]), args());
            for found in [run(), probe::record(run).0] {
                assert!(worst(&to_vec(found.sequence.clone()), &to_vec(dense.sequence.clone())) < 1e-14);
                let grads = loss(&found).backward();
                let of = |grads| to_vec(table.grad(grads).expect("a gradient"));
                assert!(worst(&of(&grads), &of(&expected)) < 1e-13, "the table");
                for weights in &layer.layers {
                    for name in ["weight_ih", "weight_hh", "bias_ih"] {
                        let (_, found) = parameter(weights, name, &grads).expect("there");
                        let (_, expected) = parameter(weights, name, &expected).expect("there");
                        assert!(worst(&found, &expected) < 1e-13, "{name}");
                    }
                }
            }
        }
    }
}

#[test]
fn symbols_are_one_hot_rows() {
    let symbols: Vec<u32> = (0..BATCH * TIME).map(|i| (i * 7 % 5) as u32).collect();
    let one_hot: Vec<f64> =
        symbols.iter().flat_map(|&symbol| (0..5).map(move |i| f64::from(u8::from(i == symbol)))).collect();
    let lengths = [5, 2, 4];
    let plain = LstmConfig::new(5, HIDDEN).with_direction(Direction::Bidirectional).with_num_layers(2);
    // Input dropout and normalisation are those of the one-hot rows.
    for config in [plain.clone(), plain.clone().with_dropout(0.3), plain.with_layer_norm(true)] {
        let layer = config.init(Key::new(5), &device());
        let args = || ForwardArgs::default().with_lengths(&lengths).with_dropout_key(Some(Key::new(3)));
        let loss = |out: &rnn_core::Output<LstmState>| {
            let shape = out.sequence.dims();
            (out.sequence.clone() * tensor(&values(Key::new(7), shape.iter().product()), shape)).sum()
        };
        let dense = layer.forward_with(tensor(&one_hot, [BATCH, TIME, 5]), args());
        let expected = loss(&dense).backward();
        let run = || layer.forward_with(Input::symbols(&symbols, [BATCH, TIME]), args());
        for found in [run(), probe::record(run).0] {
            assert!(worst(&to_vec(found.sequence.clone()), &to_vec(dense.sequence.clone())) < 1e-14);
            assert!(worst(&state_values(&found.state), &state_values(&dense.state)) < 1e-14);
            let grads = loss(&found).backward();
            for weights in &layer.layers {
                for name in ["weight_ih", "weight_hh", "bias_ih"] {
                    let (_, found) = parameter(weights, name, &grads).expect("there");
                    let (_, expected) = parameter(weights, name, &expected).expect("there");
                    assert!(worst(&found, &expected) < 1e-13, "{name}");
                }
            }
        }
    }
}
