//! Against burn-nn: the same weights in both give the same outputs, final states and gradients, and come back
//! unchanged.

mod compare;
mod refused;

use burn::module::Module;
use burn::nn::activation::ActivationConfig;
use burn::nn::{self, GateController};
use burn::tensor::Tensor;
use compare::{BATCH, D_HIDDEN, D_INPUT, Given, TIME, compare, device, filled, ours, same, start, wave, weights};
use rnn_core::{Activation, Bias, Direction, Gru, GruConfig, Lstm, LstmConfig, Rnn, RnnConfig};

fn gates_of_lstm(lstm: &nn::Lstm) -> Vec<&GateController> {
    let gates = [Some(&lstm.input_gate), lstm.forget_gate.as_ref(), Some(&lstm.cell_gate), Some(&lstm.output_gate)];
    gates.into_iter().flatten().collect()
}

fn gates_of_gru(gru: &nn::Gru) -> Vec<&GateController> {
    vec![&gru.reset_gate, &gru.update_gate, &gru.new_gate]
}

#[test]
fn rnns_are_the_same_both_ways() {
    for (activation, bias, reverse, batch_first, clip) in [
        (ActivationConfig::Tanh, true, false, true, None),
        (ActivationConfig::Relu, true, true, true, None),
        (ActivationConfig::Tanh, false, true, false, Some(0.4)),
    ] {
        let config = nn::RnnConfig::new(D_INPUT, D_HIDDEN, bias).with_hidden_activation(activation).with_clip(clip);
        let theirs = filled(config.with_reverse(reverse).with_batch_first(batch_first).init(&device()));
        let layer = Rnn::from_burn(&theirs).expect("the same layer");
        let check = |theirs: &nn::Rnn| {
            compare("rnn", &layer, &[vec![&theirs.gate]], |x| {
                let state = nn::RnnState::new(start::<rnn_core::HiddenState>(Direction::Forward).hidden());
                let (sequence, state) = theirs.forward(x, Some(state));
                Given { sequence, states: vec![state.hidden.unsqueeze()] }
            });
        };
        check(&theirs);
        let there = layer.to_burn().expect("the same layer");
        check(&there);
        let back = Rnn::from_burn(&there).expect("the same layer");
        assert_eq!(back.config, layer.config);
        assert_eq!(weights(&back), weights(&layer));
    }
}

#[test]
fn lstms_are_the_same_both_ways() {
    for (bias, reverse, batch_first, coupled, clip) in [
        (true, false, true, false, None),
        (true, true, false, false, None),
        (false, true, true, false, Some(0.4)),
        (true, false, true, true, None),
    ] {
        let config = nn::LstmConfig::new(D_INPUT, D_HIDDEN, bias).with_reverse(reverse).with_batch_first(batch_first);
        let config = config.with_input_forget(coupled).with_clip(clip);
        let theirs = filled(config.init(&device()));
        let layer = Lstm::from_burn(&theirs).expect("the same layer");
        let check = |theirs: &nn::Lstm| {
            compare("lstm", &layer, &[gates_of_lstm(theirs)], |x| {
                let start = start::<rnn_core::LstmState>(Direction::Forward).last_layer()[0].clone();
                let (sequence, state) = theirs.forward(x, Some(nn::LstmState::new(start.cell, start.hidden)));
                Given { sequence, states: vec![state.hidden.unsqueeze(), state.cell.unsqueeze()] }
            });
        };
        check(&theirs);
        let there = layer.to_burn().expect("the same layer");
        check(&there);
        let back = Lstm::from_burn(&there).expect("the same layer");
        assert_eq!(back.config, layer.config);
        assert_eq!(weights(&back), weights(&layer));
    }
}

#[test]
fn grus_are_the_same_both_ways() {
    for (bias, reset_after, clip) in [(true, true, None), (true, false, None), (false, true, Some(0.4))] {
        let config = nn::GruConfig::new(D_INPUT, D_HIDDEN, bias).with_reset_after(reset_after).with_clip(clip);
        let theirs = filled(config.init(&device()));
        let layer = Gru::from_burn(&theirs).expect("the same layer");
        let check = |theirs: &nn::Gru| {
            compare("gru", &layer, &[gates_of_gru(theirs)], |x| {
                let state = start::<rnn_core::HiddenState>(Direction::Forward).hidden();
                let sequence = theirs.forward(x, Some(state));
                let last = sequence.clone().slice_dim(1, TIME - 1..TIME).swap_dims(0, 1);
                Given { sequence, states: vec![last] }
            });
        };
        check(&theirs);
        let there = layer.to_burn().expect("the same layer");
        check(&there);
        let back = Gru::from_burn(&there).expect("the same layer");
        assert_eq!(back.config, layer.config);
        assert_eq!(weights(&back), weights(&layer));
    }
}

#[test]
fn both_directions_are_the_same_both_ways() {
    for (bias, batch_first) in [(true, true), (false, false)] {
        let config = nn::BiRnnConfig::new(D_INPUT, D_HIDDEN, bias).with_batch_first(batch_first);
        let theirs = filled(config.init(&device()));
        let layer = Rnn::from_burn_bidirectional(&theirs).expect("the same layer");
        for theirs in [theirs, layer.to_burn_bidirectional().expect("the same layer")] {
            compare("birnn", &layer, &[vec![&theirs.forward.gate], vec![&theirs.reverse.gate]], |x| {
                let states = start::<rnn_core::HiddenState>(Direction::Bidirectional)
                    .into_vec()
                    .into_iter()
                    .map(|state| state.hidden)
                    .collect();
                let (sequence, state) = theirs.forward(x, Some(nn::RnnState::new(Tensor::stack(states, 0))));
                Given { sequence, states: vec![state.hidden] }
            });
        }
        let config = nn::BiLstmConfig::new(D_INPUT, D_HIDDEN, bias).with_batch_first(batch_first);
        let theirs = filled(config.init(&device()));
        let layer = Lstm::from_burn_bidirectional(&theirs).expect("the same layer");
        for theirs in [theirs, layer.to_burn_bidirectional().expect("the same layer")] {
            compare("bilstm", &layer, &[gates_of_lstm(&theirs.forward), gates_of_lstm(&theirs.reverse)], |x| {
                let states = start::<rnn_core::LstmState>(Direction::Bidirectional).into_vec();
                let stack = |of: fn(&rnn_core::LstmState) -> &Tensor<2>| -> Tensor<3> {
                    Tensor::stack(states.iter().map(|state| of(state).clone()).collect(), 0)
                };
                let state = nn::LstmState::new(stack(|state| &state.cell), stack(|state| &state.hidden));
                let (sequence, state) = theirs.forward(x, Some(state));
                Given { sequence, states: vec![state.hidden, state.cell] }
            });
        }
        let config = nn::BiGruConfig::new(D_INPUT, D_HIDDEN, bias).with_batch_first(batch_first);
        let theirs = filled(config.init(&device()));
        let layer = Gru::from_burn_bidirectional(&theirs).expect("the same layer");
        for theirs in [theirs, layer.to_burn_bidirectional().expect("the same layer")] {
            compare("bigru", &layer, &[gates_of_gru(&theirs.forward), gates_of_gru(&theirs.reverse)], |x| {
                let states = start::<rnn_core::HiddenState>(Direction::Bidirectional)
                    .into_vec()
                    .into_iter()
                    .map(|state| state.hidden)
                    .collect();
                let (sequence, state) = theirs.forward(x, Some(Tensor::stack(states, 0)));
                Given { sequence, states: vec![state] }
            });
        }
    }
}

#[test]
fn a_record_goes_through_its_module() {
    let trained = ours(LstmConfig::new(D_INPUT, D_HIDDEN));
    let record = trained.to_burn().expect("the same layer").into_record();
    // What a program on burn-nn does with a record, and what one on this crate does with a record of burn-nn.
    let theirs = nn::LstmConfig::new(D_INPUT, D_HIDDEN, true).init(&device()).load_record(record);
    let back = Lstm::from_burn(&theirs).expect("the same layer");
    assert_eq!(weights(&back), weights(&trained));

    // One bias becomes two, or the record would not fit; the sums are the same.
    let one = ours(GruConfig::new(D_INPUT, D_HIDDEN)).layers;
    let one = Gru {
        layers: one.into_iter().map(|layer| rnn_core::Layer { bias_hh: None, ..layer }).collect(),
        config: GruConfig::new(D_INPUT, D_HIDDEN).with_bias(Bias::One),
    };
    let record = one.to_burn().expect("the same layer").into_record();
    let theirs = nn::GruConfig::new(D_INPUT, D_HIDDEN, true).init(&device()).load_record(record);
    let x = wave([BATCH, TIME, D_INPUT], 1.0);
    same("one bias", one.forward(x.clone()).sequence, theirs.forward(x, None));
}

/// Each activation as it stands in an RNN gives the same in both libraries.
#[test]
fn activations_are_the_same_both_ways() {
    let all = [
        Activation::Linear,
        Activation::Sigmoid,
        Activation::HardSigmoid { slope: 0.2 },
        Activation::Tanh,
        Activation::Relu,
        Activation::LeakyRelu { slope: 0.3 },
        Activation::Elu,
        Activation::Softsign,
        Activation::Softplus,
        Activation::Gelu,
    ];
    for activation in all {
        let layer = ours(RnnConfig::new(D_INPUT, D_HIDDEN).with_hidden_activation(activation));
        let theirs = layer.to_burn().expect("the same layer");
        let x = wave([BATCH, TIME, D_INPUT], 1.0) * 3.0;
        same(&format!("{activation:?}"), layer.forward(x.clone()).sequence, theirs.forward(x, None).0);
        assert_eq!(Rnn::from_burn(&theirs).expect("the same layer").config.cell, layer.config.cell);
    }
}
