//! What is fused where: docs/options.md prints the table that `supports` makes for real layers.

use super::call::{SequenceBackend, SequenceOptions};
use super::sequence::asked;
use crate::cell::{Cell, Recurrence};
use crate::*;
use burn::backend::Flex;
use burn::tensor::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

const PAGE: &str = include_str!("../../../../docs/options.md");
const BEGIN: &str = "<!-- supports: begin -->\n";
const END: &str = "<!-- supports: end -->";

type Supports = fn(&SequenceOptions) -> Result<(), &'static str>;

/// The kinds of devices that have kernels, a column each.
const KINDS: [(&str, Supports); 2] =
    [("`flex`, `ndarray`", <Flex as SequenceBackend>::supports), ("`wgpu`, `cuda`", super::gpu::supports)];

/// A cell that no kernel knows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct OwnCell;

impl Cell for OwnCell {
    type State = HiddenState;

    fn gates(&self) -> usize {
        1
    }

    fn step(&self, input: Tensor<2>, state: HiddenState, recurrence: &Recurrence) -> HiddenState {
        HiddenState { hidden: input + recurrence.product(state.hidden) }
    }
}

/// What the seam is asked for by a forward pass.
fn calls<C: Cell>(config: RecurrentConfig<C>, device: &Device, args: ForwardArgs<C::State>) -> Vec<SequenceOptions> {
    let layer = config.init(Key::new(0), device);
    let [batch, time, d_input] = [2, 3, config.d_input];
    asked(|| drop(layer.forward_with(Tensor::ones([batch, time, d_input], device), args)))
}

fn plain<C: Cell>(config: RecurrentConfig<C>) -> Vec<SequenceOptions> {
    calls(config, &Device::default(), ForwardArgs::default())
}

fn lstm() -> LstmConfig {
    LstmConfig::new(4, 3)
}

fn gru() -> GruConfig {
    GruConfig::new(4, 3)
}

/// Of a cell with two products, and of one with a single one.
fn norms() -> Vec<SequenceOptions> {
    let [lstm, min_gru] = [plain(lstm().with_layer_norm(true)), plain(MinGruConfig::new(4, 3).with_layer_norm(true))];
    assert!(min_gru.iter().all(|call| call.layer_norm));
    [lstm, min_gru].concat()
}

fn min_lstm(activation: Activation) -> MinLstmConfig {
    MinLstmConfig::new(4, 3).with_hidden_activation(activation)
}

fn rnn(activation: Activation) -> Vec<SequenceOptions> {
    plain(RnnConfig::new(4, 3).with_hidden_activation(activation))
}

/// The rows: what a layer has, and the calls that it makes.
fn rows() -> Vec<(&'static str, Vec<SequenceOptions>)> {
    let device = Device::default();
    let key = || ForwardArgs::default().with_dropout_key(Some(Key::new(1)));
    let drawn = |config: LstmConfig| calls(config, &Device::default(), key());
    let of_dtype = |dtype| vec![SequenceOptions { dtype, ..plain(lstm()).remove(0) }];
    let symbols = asked(|| drop(lstm().init(Key::new(0), &device).forward(crate::Input::symbols(&[3, 1], [1, 2]))));
    let probed =
        asked(|| drop(probe::record(|| lstm().init(Key::new(0), &device).forward(Tensor::ones([1, 2, 4], &device)))));
    vec![
        ("an RNN with tanh", rnn(Activation::Tanh)),
        ("an RNN with relu", rnn(Activation::Relu)),
        ("an LSTM", plain(lstm())),
        ("a GRU that resets after the product", plain(gru().with_reset_after(true))),
        ("a GRU that resets before the product", plain(gru().with_reset_after(false))),
        ("a minGRU", plain(MinGruConfig::new(4, 3))),
        ("a minLSTM, its candidate above 0", plain(min_lstm(Activation::Positive))),
        ("a stack, in both directions", plain(lstm().with_num_layers(2).with_direction(Direction::Bidirectional))),
        ("no bias", plain(lstm().with_bias(Bias::None))),
        ("lengths", calls(lstm(), &device, ForwardArgs::default().with_lengths(&[3, 1]))),
        (
            "a mask, the previous output where it is false",
            calls(
                lstm(),
                &device,
                ForwardArgs::default()
                    .with_mask(&[true, true, false, true, false, true])
                    .with_masked_output(MaskedOutput::Previous),
            ),
        ),
        (
            "resets",
            calls(lstm(), &device, ForwardArgs::default().with_resets(&[false, true, true, false, false, true])),
        ),
        ("symbols", symbols),
        ("dropout, also between layers", drawn(lstm().with_num_layers(2).with_dropout(0.2).with_layer_dropout(0.2))),
        ("recurrent dropout", drawn(lstm().with_recurrent_dropout(0.2))),
        (
            "masks per gate",
            drawn(lstm().with_dropout(0.2).with_recurrent_dropout(0.2).with_dropout_masks(DropoutMasks::PerGate)),
        ),
        ("weight dropout", drawn(lstm().with_weight_dropout(0.2))),
        ("zoneout", drawn(lstm().with_zoneout(0.1, 0.2))),
        ("f64", of_dtype(DType::F64)),
        ("f16 or bf16", of_dtype(DType::F16)),
        ("half storage, which is a GPU's", plain(lstm().with_half_storage(true))),
        ("layer normalisation", norms()),
        ("a projection", plain(lstm().with_proj_size(Some(2)))),
        ("a projection and recurrent dropout", drawn(lstm().with_proj_size(Some(2)).with_recurrent_dropout(0.2))),
        ("peepholes", plain(lstm().with_peepholes(true))),
        ("coupled gates", plain(lstm().with_coupled_gates(true))),
        ("a clip", plain(gru().with_clip(Some(1.0)))),
        ("another activation", plain(gru().with_hidden_activation(Activation::HardTanh))),
        ("a cell of one's own", plain(RecurrentConfig::<OwnCell>::new(4, 3))),
        (
            "gradient checkpointing",
            calls(lstm(), &Device::default().autodiff().gradient_checkpointing(), Default::default()),
        ),
        ("a probe that records", probed),
    ]
}

fn table() -> String {
    let kinds: Vec<&str> = KINDS.iter().map(|(name, _)| *name).collect();
    let mut table = format!("| A layer with | {} |\n|---|{}\n", kinds.join(" | "), "---|".repeat(kinds.len()));
    for (what, calls) in rows() {
        assert!(!calls.is_empty(), "{what} asked for nothing");
        let cells = KINDS.iter().map(|(_, supports)| match calls.iter().find_map(|call| supports(call).err()) {
            None => "fused".to_string(),
            Some(reason) => format!("step by step: {reason}"),
        });
        table += &format!("| {what} | {} |\n", cells.collect::<Vec<_>>().join(" | "));
    }
    table
}

#[test]
fn the_docs_say_what_is_fused() {
    let (expected, page) = (table(), PAGE.replace("\r\n", "\n"));
    let found = page.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END)).map(|(found, _)| found);
    assert!(
        found == Some(&*expected),
        "docs/options.md does not say what is fused; put this between its two `supports` markers:\n\n{expected}"
    );
}
