//! What stands in padding, NaN too, reaches nothing: all numbers are those of the same batch with zeros there, to the
//! bit.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use rnn_core::cell::Cell;
use rnn_core::{
    Activation, CellState, Direction, DropoutMasks, ForwardArgs, GruConfig, Input, Key, LstmConfig, MaskedOutput,
    MinGruConfig, MinLstmConfig, Output, Recurrent, RecurrentConfig, RnnConfig, States, probe,
};

const BATCH: usize = 3;
const TIME: usize = 4;
const INPUT: usize = 3;
/// More than the lanes of a vector, and no multiple of them.
const HIDDEN: usize = 9;

/// Which steps count: as lengths (one of them 0), padded in front, and with holes.
const LENGTHS: [usize; BATCH] = [4, 0, 2];
const FRONT: [bool; BATCH * TIME] = [false, true, true, true, true, true, true, true, false, false, false, true];
const HOLES: [bool; BATCH * TIME] = [true, false, true, false, false, true, true, false, true, true, true, true];

#[derive(Clone, Copy, PartialEq, Debug)]
enum Way {
    /// On the fused kernels, where there are any.
    Plain,
    /// Step by step, as on a GPU.
    Recorded,
    /// Step by step, with values computed again on the way back.
    Checkpointing,
}

impl Way {
    fn device(self) -> Device {
        let device = Device::default().autodiff();
        if self == Way::Checkpointing { device.gradient_checkpointing() } else { device }
    }

    fn run<R>(self, f: impl FnOnce() -> R) -> R {
        if self == Way::Recorded { probe::record(f).0 } else { f() }
    }
}

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn values(key: u64, n: usize) -> Vec<f32> {
    Key::new(key).normals(n).map(|x| x as f32).collect()
}

fn to_vec<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().expect("f32")
}

/// The gradients of all parameters, in their order.
struct Collect<'a>(&'a Gradients, Vec<Vec<f32>>);

impl ModuleVisitor for Collect<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.1.push(to_vec(param.val().grad(self.0).expect("a gradient")));
    }
}

/// Initial states that ask for gradients.
fn states<C: Cell>(layer: &Recurrent<C>, device: &Device) -> States<C::State> {
    let mut key = 40;
    let state = |weights: &rnn_core::Layer| {
        let d_hidden = weights.weight_ih.dims()[1] / layer.config.cell.gates();
        let width = layer.config.cell.proj_size().unwrap_or(d_hidden);
        C::State::zeros(BATCH, d_hidden, width, device).map(|zeros| {
            key += 1;
            let shape = zeros.dims();
            tensor(values(key, shape[0] * shape[1]), shape, device).require_grad()
        })
    };
    States::new(layer.config.direction, layer.layers.iter().map(state).collect())
}

fn tensors<S: CellState>(states: &States<S>) -> Vec<Tensor<2>> {
    let mut all = Vec::new();
    for state in states.each() {
        let _ = state.clone().map(|t| {
            all.push(t.clone());
            t
        });
    }
    all
}

/// A scalar that depends on all outputs and final states.
fn loss<S: CellState>(output: &Output<S>) -> Tensor<1> {
    let shape = output.sequence.dims();
    let factor = tensor(values(7, shape.iter().product()), shape, &output.sequence.device());
    let ends = tensors(&output.state).into_iter().map(|t| t.sum()).reduce(|a, b| a + b).expect("states");
    (output.sequence.clone() * factor).sum() + ends
}

/// Outputs, final states, and the gradients of the input, the initial states and all weights.
fn numbers<C: Cell>(layer: &Recurrent<C>, way: Way, padding: f32, counted: &[bool], args: Args) -> Vec<Vec<f32>> {
    let device = way.device();
    let mut input = values(1, BATCH * TIME * INPUT);
    input.chunks_exact_mut(INPUT).zip(counted).filter(|(_, counts)| !**counts).for_each(|(row, _)| row.fill(padding));
    let leaf = tensor(input, [BATCH, TIME, INPUT], &device).require_grad();
    let x = if layer.config.time_major { leaf.clone().swap_dims(0, 1) } else { leaf.clone() };
    let start = states(layer, &device);
    let args = ForwardArgs { lengths: args.lengths, mask: args.mask, ..ForwardArgs::default() }
        .with_state(start.clone())
        .with_masked_output(args.output)
        .with_dropout_key(args.key);
    let output = way.run(|| layer.forward_with(x, args));
    let grads = loss(&output).backward();
    let mut all = vec![to_vec(leaf.grad(&grads).expect("the input's"))];
    all.push(to_vec(output.sequence.clone()));
    all.extend(tensors(&output.state).into_iter().map(to_vec));
    all.extend(tensors(&start).into_iter().map(|t| to_vec(t.grad(&grads).expect("a state's"))));
    let mut of_weights = Collect(&grads, Vec::new());
    layer.visit(&mut of_weights);
    all.extend(of_weights.1);
    all
}

#[derive(Clone, Copy)]
struct Args<'a> {
    lengths: Option<&'a [usize]>,
    mask: Option<&'a [bool]>,
    output: MaskedOutput,
    key: Option<Key>,
}

fn check<C: Cell>(config: RecurrentConfig<C>) {
    let counted: Vec<bool> = LENGTHS.iter().flat_map(|&length| (0..TIME).map(move |t| t < length)).collect();
    for way in [Way::Plain, Way::Recorded, Way::Checkpointing] {
        for (number, mask) in [&counted[..], &FRONT, &HOLES].into_iter().enumerate() {
            for (output, key) in [(MaskedOutput::Zero, Some(Key::new(3))), (MaskedOutput::Previous, None)] {
                let layer = config.clone().with_time_major(number == 1).init(Key::new(5), &way.device());
                let lengths = (number == 0).then_some(&LENGTHS[..]);
                let args = Args { lengths, mask: lengths.is_none().then_some(mask), output, key };
                let expected = numbers(&layer, way, 0.0, mask, args);
                let what = format!("{way:?}, mask {number}, {output:?}, {key:?}, {config:?}");
                assert!(expected.iter().flatten().all(|x| x.is_finite()), "{what}");
                let of_padding = expected[0].chunks_exact(INPUT).zip(mask).filter(|(_, counts)| !**counts);
                assert!(of_padding.flat_map(|(row, _)| row).all(|&x| x == 0.0), "{what}");
                for padding in [f32::NAN, f32::INFINITY, -3e38] {
                    let found = numbers(&layer, way, padding, mask, args);
                    assert!(found == expected, "{padding} in padding: {what}");
                }
            }
        }
    }
}

/// Each kind of layer with its options, alone and as a stack of both directions.
fn each<C: Cell>(configs: impl IntoIterator<Item = RecurrentConfig<C>>) {
    for config in configs {
        check(config.clone());
        check(config.clone().with_direction(Direction::Backward));
        check(config.with_direction(Direction::Bidirectional).with_d_hidden([HIDDEN, 5]));
    }
}

#[test]
fn padding_of_an_lstm_reaches_nothing() {
    let plain = || LstmConfig::new(INPUT, HIDDEN);
    each([
        plain(),
        plain().with_dropout(0.3).with_recurrent_dropout(0.3).with_dropout_masks(DropoutMasks::PerGate),
        plain().with_zoneout(0.2, 0.3).with_weight_dropout(0.2),
        plain().with_layer_norm(true),
        plain().with_proj_size(Some(3)).with_dropout(0.2),
        plain().with_peepholes(true).with_clip(Some(0.7)),
        plain().with_coupled_gates(true).with_zoneout(0.2, 0.3),
        plain().with_gate_activation(Activation::HardSigmoid { slope: 0.2 }),
        plain().with_cell_activation(Activation::Softsign).with_hidden_activation(Activation::Linear),
        plain().with_proj_size(Some(4)).with_peepholes(true).with_layer_norm(true).with_recurrent_dropout(0.2),
    ]);
    check(plain().with_num_layers(2).with_layer_dropout(0.3));
}

#[test]
fn padding_of_a_gru_reaches_nothing() {
    let plain = || GruConfig::new(INPUT, HIDDEN);
    each([
        plain(),
        plain().with_reset_after(false).with_dropout(0.3),
        plain().with_recurrent_dropout(0.3).with_dropout_masks(DropoutMasks::PerGate).with_zoneout(0.2, 0.0),
        plain().with_layer_norm(true),
        plain().with_reset_after(false).with_layer_norm(true).with_clip(Some(0.5)),
        plain().with_hidden_activation(Activation::Elu),
    ]);
}

#[test]
fn padding_of_an_rnn_reaches_nothing() {
    let plain = || RnnConfig::new(INPUT, HIDDEN);
    let activations = [
        Activation::Relu,
        Activation::Linear,
        Activation::Sigmoid,
        Activation::HardTanh,
        Activation::LeakyRelu { slope: 0.1 },
        Activation::Softplus,
        Activation::Silu,
        Activation::Gelu,
    ];
    each([plain(), plain().with_dropout(0.3).with_layer_norm(true), plain().with_clip(Some(0.5))]);
    activations.into_iter().for_each(|activation| check(plain().with_hidden_activation(activation)));
}

#[test]
fn padding_of_cells_without_a_recurrent_product_reaches_nothing() {
    let min_gru = || MinGruConfig::new(INPUT, HIDDEN);
    each([min_gru(), min_gru().with_dropout(0.3).with_zoneout(0.2, 0.0), min_gru().with_layer_norm(true)]);
    let min_lstm = || MinLstmConfig::new(INPUT, HIDDEN);
    each([min_lstm(), min_lstm().with_hidden_activation(Activation::Positive).with_dropout(0.3)]);
}

/// A loss that divides by the number of words makes NaN at an output of padding, and the others' gradients stay.
#[test]
fn a_gradient_in_padding_reaches_nothing() {
    fn check<C: Cell>(config: RecurrentConfig<C>) {
        for way in [Way::Plain, Way::Recorded, Way::Checkpointing] {
            let device = way.device();
            let layer = config.init(Key::new(5), &device);
            let gradients = |in_padding: f32| {
                let x = tensor(values(1, BATCH * TIME * INPUT), [BATCH, TIME, INPUT], &device).require_grad();
                let output = way.run(|| layer.forward_with(x.clone(), ForwardArgs::default().with_lengths(&LENGTHS)));
                let width = layer.config.d_output();
                let factor = (0..BATCH * TIME * width).map(|i| {
                    let (row, step) = (i / (TIME * width), i / width % TIME);
                    if step < LENGTHS[row] { 0.5 } else { in_padding }
                });
                let factor = tensor(factor.collect(), [BATCH, TIME, width], &device);
                let grads = (output.sequence * factor).sum().backward();
                let mut of_weights = Collect(&grads, Vec::new());
                layer.visit(&mut of_weights);
                of_weights.1.push(to_vec(x.grad(&grads).expect("the input's")));
                of_weights.1
            };
            let expected = gradients(0.0);
            assert!(expected.iter().flatten().all(|x| x.is_finite()));
            assert!(gradients(f32::NAN) == expected, "{way:?}, {config:?}");
        }
    }
    let both = Direction::Bidirectional;
    check(LstmConfig::new(INPUT, HIDDEN).with_direction(both).with_num_layers(2));
    check(GruConfig::new(INPUT, HIDDEN).with_layer_norm(true).with_direction(both));
    check(RnnConfig::new(INPUT, HIDDEN));
}

/// A row without steps gives back the state that it was given, whatever that is, and is in no gradient.
#[test]
fn the_state_of_a_row_without_steps_reaches_nothing_else() {
    fn check<C: Cell>(config: RecurrentConfig<C>) {
        for way in [Way::Plain, Way::Recorded, Way::Checkpointing] {
            let device = way.device();
            let layer = config.init(Key::new(5), &device);
            let run = |value: f32| {
                let x = tensor(values(1, BATCH * TIME * INPUT), [BATCH, TIME, INPUT], &device).require_grad();
                let set = |t: Tensor<2>| {
                    let width = t.dims()[1];
                    let mut numbers = to_vec(t);
                    numbers[width..2 * width].fill(value);
                    tensor(numbers, [BATCH, width], &device)
                };
                let each = states(&layer, &device).into_vec().into_iter().map(|state| state.map(set)).collect();
                let args = ForwardArgs::default().with_state(States::new(layer.config.direction, each));
                let output = way.run(|| layer.forward_with(x.clone(), args.with_lengths(&LENGTHS)));
                let ends: Vec<Vec<f32>> = tensors(&output.state).into_iter().map(to_vec).collect();
                for end in &ends {
                    let width = end.len() / BATCH;
                    let same = |x: &f32| x.to_bits() == value.to_bits();
                    assert!(end[width..2 * width].iter().all(same), "{way:?}, {config:?}");
                }
                let grads = output.sequence.clone().sum().backward();
                let mut of_weights = Collect(&grads, Vec::new());
                layer.visit(&mut of_weights);
                of_weights.1.push(to_vec(output.sequence));
                of_weights.1.push(to_vec(x.grad(&grads).expect("the input's")));
                of_weights.1
            };
            let expected = run(0.25);
            for value in [f32::NAN, f32::INFINITY] {
                assert!(run(value) == expected, "{value} in {way:?}, {config:?}");
            }
        }
    }
    let both = Direction::Bidirectional;
    check(LstmConfig::new(INPUT, HIDDEN).with_direction(both).with_num_layers(2));
    check(LstmConfig::new(INPUT, HIDDEN).with_peepholes(true).with_layer_norm(true));
    check(GruConfig::new(INPUT, HIDDEN));
    check(GruConfig::new(INPUT, HIDDEN).with_reset_after(false));
    check(RnnConfig::new(INPUT, HIDDEN).with_zoneout(0.3, 0.0));
}

/// The row of padding in a table of words, and of `W_ih` where a symbol stands for padding.
#[test]
fn the_row_of_padding_in_a_table_reaches_nothing() {
    fn check<C: Cell>(config: RecurrentConfig<C>) {
        // Padding is word 0; words come again, so that the kernels may share products.
        let ids = [1u32, 2, 1, 1, 0, 0, 0, 0, 2, 2, 0, 0];
        for way in [Way::Plain, Way::Recorded, Way::Checkpointing] {
            let device = way.device();
            let layer = config.init(Key::new(5), &device);
            let args = || ForwardArgs::default().with_lengths(&LENGTHS);
            let by_rows = |padding: f32| {
                let mut table = values(1, 3 * INPUT);
                table[..INPUT].fill(padding);
                let table = tensor(table, [3, INPUT], &device).require_grad();
                let output = way.run(|| layer.forward_with(Input::ids(table.clone(), &ids, [BATCH, TIME]), args()));
                let grads = loss(&output).backward();
                let mut all = Collect(&grads, vec![to_vec(table.grad(&grads).expect("the table's"))]);
                layer.visit(&mut all);
                all.1.push(to_vec(output.sequence));
                all.1
            };
            let expected = by_rows(0.0);
            assert_eq!(expected[0][..INPUT], [0.0; INPUT]);
            assert!(by_rows(f32::NAN) == expected, "{way:?}, {config:?}");
            let by_symbols = |padding: f32| {
                let mut layer = layer.clone();
                let [rows, columns] = layer.layers[0].weight_ih.dims();
                let mut weight = values(2, rows * columns);
                weight[..columns].fill(padding);
                layer.layers[0].weight_ih = Param::from_tensor(tensor(weight, [rows, columns], &device));
                let output = way.run(|| layer.forward_with(Input::symbols(&ids, [BATCH, TIME]), args()));
                let grads = loss(&output).backward();
                let mut all = Collect(&grads, vec![to_vec(output.sequence)]);
                layer.visit(&mut all);
                all.1
            };
            let expected = by_symbols(0.0);
            assert!(by_symbols(f32::NAN) == expected, "symbols, {way:?}, {config:?}");
        }
    }
    check(LstmConfig::new(INPUT, HIDDEN));
    check(LstmConfig::new(INPUT, HIDDEN).with_peepholes(true));
    check(GruConfig::new(INPUT, HIDDEN));
    check(RnnConfig::new(INPUT, HIDDEN).with_layer_norm(true));
}

/// Nor does a probe see it.
#[test]
fn a_probe_sees_no_nan_of_padding() {
    let device = Device::default().autodiff();
    let layer = LstmConfig::new(INPUT, HIDDEN).with_direction(Direction::Bidirectional).init(Key::new(5), &device);
    let mut input = values(1, BATCH * TIME * INPUT);
    input[2 * INPUT..].fill(f32::NAN);
    let input = tensor(input, [BATCH, TIME, INPUT], &device);
    let args = ForwardArgs::default().with_lengths(&[2, 0, 0]);
    let (output, traces) = probe::record(|| layer.forward_with(input, args));
    let grads = loss(&output).backward();
    for trace in &traces {
        for name in trace.names() {
            let seen = to_vec(trace.values(name).expect("seen"));
            assert!(seen.iter().all(|x| x.is_finite()), "{name}");
            let norms = trace.gradient_norms(name, &grads).expect("differentiable");
            // The first step's forget gate meets a c of zero.
            assert!(norms[..2].iter().any(|&norm| norm > 0.0) && norms[2..] == [0.0; 2], "{name}: {norms:?}");
        }
    }
}
