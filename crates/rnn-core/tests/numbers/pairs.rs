//! Every pair of options, and many of them together, on the kernels and step by step: outputs, states and gradients.

use super::gradients::{PARAMETERS, parameter};
use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The arguments of a forward pass that are on.
#[derive(Debug, Clone, Copy, Default)]
struct Given {
    lengths: bool,
    mask: bool,
    resets: bool,
    state: bool,
    symbols: bool,
}

type Change<T> = fn(T) -> T;

const GIVEN: [(&str, Change<Given>); 5] = [
    ("lengths", |given| Given { lengths: true, ..given }),
    ("a mask", |given| Given { mask: true, lengths: false, ..given }),
    ("resets", |given| Given { resets: true, ..given }),
    ("a state", |given| Given { state: true, ..given }),
    ("symbols", |given| Given { symbols: true, ..given }),
];

/// The options of every cell.
fn common<C: Cell>() -> Vec<(&'static str, Change<RecurrentConfig<C>>)> {
    vec![
        ("dropout", |config| config.with_dropout(0.3)),
        ("dropout per gate", |config| config.with_dropout(0.2).with_dropout_masks(DropoutMasks::PerGate)),
        ("zoneout", |config| {
            let both = if C::State::TENSORS > 1 { 0.2 } else { 0.0 };
            config.with_zoneout(0.3, both)
        }),
        ("layer normalisation", |config| config.with_layer_norm(true)),
        ("no bias", |config| config.with_bias(Bias::None)),
        ("backward", |config| config.with_direction(Direction::Backward)),
        ("both directions", |config| config.with_direction(Direction::Bidirectional)),
        ("two layers", |config| config.with_num_layers(2)),
    ]
}

/// Those of a cell with `W_hh`.
fn recurrent<C: Cell>() -> Vec<(&'static str, Change<RecurrentConfig<C>>)> {
    vec![
        ("recurrent dropout", |config| config.with_recurrent_dropout(0.3)),
        ("recurrent dropout per gate", |config| {
            config.with_recurrent_dropout(0.2).with_dropout_masks(DropoutMasks::PerGate)
        }),
        ("weight dropout", |config| config.with_weight_dropout(0.3)),
    ]
}

static STEP_BY_STEP: AtomicUsize = AtomicUsize::new(0);

/// All outputs, final states and gradients of a pass.
fn pass<C: Cell>(layer: &Recurrent<C>, given: Given) -> Vec<(String, Vec<f64>)> {
    let x = tensor(&values(Key::new(1), BATCH * TIME * INPUT), [BATCH, TIME, INPUT]).require_grad();
    let symbols = [0, 1, 1, 0, 1, 1, 0, 0, 1, 0, 0, 1, 0, 1, 1];
    let mask = [[false, true, false, true, true], [true; 5], [true, true, false, true, false]].concat();
    let resets: Vec<bool> = (0..BATCH * TIME).map(|i| i % 4 == 2).collect();
    let start = given.state.then(|| {
        let numbers = tensors(&layer.forward(Tensor::zeros([BATCH, 1, INPUT], &device())).state);
        let n = numbers.iter().map(|t| t.shape().num_elements()).sum();
        states(layer, &values(Key::new(2), n))
    });
    let args = ForwardArgs {
        lengths: given.lengths.then_some(&[4, 5, 0]),
        mask: given.mask.then_some(&mask),
        resets: given.resets.then_some(&resets),
        state: start.clone(),
        dropout_key: Some(Key::new(3)),
        masked_output: if given.mask { MaskedOutput::Previous } else { MaskedOutput::Zero },
        ..Default::default()
    }
    .with_step_by_step_warning(|_| {
        STEP_BY_STEP.fetch_add(1, Ordering::Relaxed);
    });
    let out = match given.symbols {
        true => layer.forward_with(Input::symbols(&symbols, [BATCH, TIME]), args),
        false => layer.forward_with(x.clone(), args),
    };
    let mut all = vec![("output".to_string(), to_vec(out.sequence.clone()))];
    let weigh = |number: u64, n: usize| values(Key::new(21 + number), n);
    let shape = out.sequence.dims();
    let mut sum = (out.sequence * tensor(&weigh(0, shape.iter().product()), shape)).sum();
    for (number, t) in tensors(&out.state).into_iter().enumerate() {
        all.push((format!("state {number}"), to_vec(t.clone())));
        let shape = t.dims();
        sum = sum + (t * tensor(&weigh(number as u64 + 1, shape.iter().product()), shape)).sum();
    }
    let grads = sum.backward();
    all.extend(x.grad(&grads).map(|grad| ("gradient of x".to_string(), to_vec(grad))));
    for (number, t) in start.iter().flat_map(tensors).enumerate() {
        all.extend(t.grad(&grads).map(|grad| (format!("gradient of initial state {number}"), to_vec(grad))));
    }
    for (number, weights) in layer.layers.iter().enumerate() {
        for name in PARAMETERS {
            let grad = parameter(weights, name, &grads);
            all.extend(grad.map(|(_, grad)| (format!("gradient of {name} of layer {number}"), grad)));
        }
    }
    all
}

/// Every pair of the options that a layer of `make` can have, `own` those of its cell, and some of them drawn at random.
fn check<C: Cell>(make: fn() -> RecurrentConfig<C>, own: Vec<(&'static str, Change<RecurrentConfig<C>>)>) {
    let options: Vec<_> = common().into_iter().chain(own).collect();
    let count = options.len() + GIVEN.len();
    for (i, j) in (0..count).flat_map(|i| (i + 1..count).map(move |j| (i, j))) {
        agree(make(), &options, &[i, j]);
    }
    for draw in 0..count {
        let drawn = values(Key::new(100 + draw as u64), count);
        let some: Vec<usize> = (0..count).filter(|&i| drawn[i] > 0.2).collect();
        agree(make(), &options, &some);
    }
}

/// A layer with the options at these places, those of [`GIVEN`] behind `options`, is fused and does what it does step by
/// step.
fn agree<C: Cell>(
    mut config: RecurrentConfig<C>,
    options: &[(&'static str, Change<RecurrentConfig<C>>)],
    which: &[usize],
) {
    let mut given = Given::default();
    let mut names = Vec::new();
    for &i in which {
        names.push(match options.get(i) {
            Some((name, change)) => {
                config = change(config);
                *name
            }
            None => {
                let (name, change) = GIVEN[i - options.len()];
                given = change(given);
                name
            }
        });
    }
    let mut layer = None;
    each_config(vec![config], |made| layer = Some(made));
    let layer = layer.expect("one");
    let before = STEP_BY_STEP.load(Ordering::Relaxed);
    let found = pass(&layer, given);
    assert_eq!(STEP_BY_STEP.load(Ordering::Relaxed), before, "{names:?}");
    let expected = probe::record(|| pass(&layer, given)).0;
    assert_eq!(found.len(), expected.len());
    for ((what, a), (other, b)) in found.iter().zip(&expected) {
        assert_eq!(what, other);
        assert!(worst(a, b) < 1e-12, "{what} of {names:?}: {:e}", worst(a, b));
    }
}

#[test]
fn options_together_agree_step_by_step() {
    let own: Vec<(_, Change<RecurrentConfig<LstmCell>>)> = vec![
        ("projection", |config| config.with_proj_size(Some(2))),
        ("peepholes", |config| config.with_peepholes(true)),
        ("coupled gates", |config| config.with_coupled_gates(true)),
        ("a clip", |config| config.with_clip(Some(0.4))),
        ("a hard sigmoid", |config| config.with_gate_activation(Activation::HardSigmoid { slope: 0.2 })),
        ("softsign", |config| config.with_cell_activation(Activation::Softsign)),
        ("gelu", |config| config.with_hidden_activation(Activation::Gelu)),
    ];
    check(|| lstm(Bias::Two), own.into_iter().chain(recurrent()).collect());
    for make in [|| gru(true)(Bias::Two), || gru(false)(Bias::Two)] {
        let own: Vec<(_, Change<RecurrentConfig<GruCell>>)> = vec![
            ("a clip", |config| config.with_clip(Some(0.4))),
            ("a hard sigmoid", |config| config.with_gate_activation(Activation::HardSigmoid { slope: 0.2 })),
            ("elu", |config| config.with_hidden_activation(Activation::Elu)),
        ];
        check(make, own.into_iter().chain(recurrent()).collect());
    }
    let own: Vec<(_, Change<RecurrentConfig<RnnCell>>)> = vec![
        ("a clip", |config| config.with_clip(Some(0.4))),
        ("silu", |config| config.with_hidden_activation(Activation::Silu)),
    ];
    check(|| rnn(Activation::Tanh)(Bias::Two), own.into_iter().chain(recurrent()).collect());
    check(|| MinGruConfig::new(INPUT, HIDDEN), Vec::new());
    check(|| MinLstmConfig::new(INPUT, HIDDEN).with_hidden_activation(Activation::Positive), Vec::new());
}
