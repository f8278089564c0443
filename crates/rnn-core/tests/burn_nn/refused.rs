//! What one of the two libraries does not have.

use crate::compare::{D_HIDDEN, D_INPUT, device, ours};
use burn::nn;
use burn::nn::activation::ActivationConfig;
use rnn_core::weights::WeightError;
use rnn_core::{Activation, Direction, Gru, GruConfig, Lstm, LstmConfig};

#[test]
fn what_cannot_be_converted_is_told() {
    let message = |result: Result<(), WeightError>| result.expect_err("wrong on purpose").to_string();
    let lstm = |config: nn::LstmConfig| message(Lstm::from_burn(&config.init(&device())).map(drop));
    let config = || nn::LstmConfig::new(D_INPUT, D_HIDDEN, true);
    let no = "rnn-core has no layer with";
    let gelu = || ActivationConfig::GeluApproximate;
    assert_eq!(
        lstm(config().with_clip(Some(f64::INFINITY))),
        format!("{no} a clip that is not a finite number above zero")
    );
    for config in [
        config().with_gate_activation(gelu()),
        config().with_cell_activation(gelu()),
        config().with_hidden_activation(gelu()),
    ] {
        assert_eq!(lstm(config), format!("{no} such an activation"));
    }

    let mut some = config().init(&device());
    some.cell_gate.hidden_transform.bias = None;
    assert_eq!(message(Lstm::from_burn(&some).map(drop)), format!("{no} biases in some gates only"));
    some.cell_gate = nn::LstmConfig::new(D_INPUT, 5, true).init(&device()).cell_gate;
    assert_eq!(message(Lstm::from_burn(&some).map(drop)), format!("{no} gates of different shapes"));
    some.forget_gate = None;
    assert_eq!(message(Lstm::from_burn(&some).map(drop)), format!("{no} no forget gate"));
    let mut both = nn::BiGruConfig::new(D_INPUT, D_HIDDEN, true).init(&device());
    both.reverse.reset_after = false;
    let told = message(Gru::from_burn_bidirectional(&both).map(drop));
    assert_eq!(told, format!("{no} directions of different options"));
    let mut both = nn::BiLstmConfig::new(D_INPUT, D_HIDDEN, true).init(&device());
    both.forward.reverse = true;
    let told = message(Lstm::from_burn_bidirectional(&both).map(drop));
    assert_eq!(told, format!("{no} halves of a bidirectional module that turn their input themselves"));

    let lstm = |config: LstmConfig| message(ours(config).to_burn().map(drop));
    let config = || LstmConfig::new(D_INPUT, D_HIDDEN);
    assert_eq!(lstm(config().with_peepholes(true)), "burn-nn has no layer with peepholes");
    assert_eq!(lstm(config().with_proj_size(Some(2))), "burn-nn has no layer with a projection");
    let norm = "burn-nn has no layer with layer normalisation inside the cell";
    assert_eq!(lstm(config().with_layer_norm(true)), norm);
    let silu = config().with_gate_activation(Activation::Silu);
    assert_eq!(lstm(silu), "burn-nn has no layer with such an activation");

    let gru = |config: GruConfig| message(ours(config).to_burn().map(drop));
    let config = || GruConfig::new(D_INPUT, D_HIDDEN);
    let no = "burn-nn has no layer with";
    assert_eq!(gru(config().with_num_layers(2)), format!("{no} a stack; convert layer by layer"));
    assert_eq!(gru(config().with_direction(Direction::Backward)), format!("{no} a backward GRU"));
    assert_eq!(gru(config().with_time_major(true)), format!("{no} a GRU whose time comes first"));
    let both = format!("{no} both directions in one module; use to_burn_bidirectional");
    assert_eq!(gru(config().with_direction(Direction::Bidirectional)), both);
    let one = message(ours(config()).to_burn_bidirectional().map(drop));
    assert_eq!(one, format!("{no} one direction in a bidirectional module; use to_burn"));
}
