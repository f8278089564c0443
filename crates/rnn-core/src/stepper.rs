//! One step at a time for one sequence, on slices: generation and online prediction on a CPU.
//!
//! A tensor operation costs a microsecond whatever its size, and a step of a small layer is worth less than that. A
//! [`Stepper`] holds a copy of a layer's weights, packed for the kernels, and its state; a step makes no tensor and
//! allocates nothing.
//!
//! ```
//! use rnn_core::burn::nn::LinearConfig;
//! use rnn_core::burn::tensor::Device;
//! use rnn_core::stepper::{Dense, Stepper};
//! use rnn_core::{GruConfig, Key};
//!
//! let device = Device::default();
//! let gru = GruConfig::new(55, 128).init(Key::new(0), &device);
//! let dense = Dense::new(&LinearConfig::new(128, 55).init(&device));
//!
//! let mut stepper = Stepper::new(&gru)?;
//! let mut scores = vec![0.0; 55];
//! let mut symbol = 7;
//! for _ in 0..10 {
//!     dense.apply(stepper.step_symbol(symbol), &mut scores);
//!     symbol = (0..55).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap_or(0);
//! }
//! # Ok::<(), rnn_core::RnnError>(())
//! ```
//!
//! A stepper goes on where a forward pass ended, is saved as plain numbers, and is cloned for a second stream, which
//! shares the weights:
//!
//! ```
//! use rnn_core::burn::tensor::{Device, Tensor};
//! use rnn_core::stepper::Stepper;
//! use rnn_core::{Key, MinGruConfig};
//!
//! let layer = MinGruConfig::new(3, 8).with_num_layers(2).init(Key::new(0), &Device::default());
//! let mut stepper = Stepper::new(&layer)?;
//! let prompt = Tensor::<3>::ones([1, 20, 3], &Device::default());
//! stepper.set_states(&layer.forward(prompt).state, 0)?; // row 0 of the batch
//!
//! let saved: Vec<f32> = stepper.state();
//! let once = stepper.clone().step(&[0.5, 0.0, 1.0]).to_vec();
//! stepper.step(&[9.0, 9.0, 9.0]);
//! stepper.set_state(&saved)?;
//! assert_eq!(stepper.step(&[0.5, 0.0, 1.0]), once);
//! # Ok::<(), rnn_core::RnnError>(())
//! ```

mod states;

use crate::cell::Cell;
use crate::ops::LEARNED;
use crate::ops::cpu::cell_options;
use crate::{Recurrent, RnnError};
use burn::nn::Linear;
use burn::tensor::{Element, Tensor};
use rnn_kernels::{self as kernels, Isa};

/// The element types of a [`Stepper`]: f32 and f64.
pub trait Real: kernels::Entry + Element {}
impl Real for f32 {}
impl Real for f64 {}

/// A forward layer, or a stack of them, stepped through one sequence on the calling thread. A clone goes on by itself
/// and shares the weights.
#[derive(Debug, Clone)]
pub struct Stepper<T: Real = f32> {
    /// The first layer first; there is at least one.
    first: kernels::Stepper<T>,
    others: Vec<kernels::Stepper<T>>,
    output: Vec<T>,
    /// Whether the state has a c.
    has_c: bool,
}

fn values<T: Real, const D: usize>(tensor: Tensor<D>) -> Vec<T> {
    tensor.into_data().iter::<T>().collect()
}

impl Stepper {
    /// From a zero state, with a copy of the layer's weights, which may lie on any device; in f32
    /// ([`of`](Stepper::of) takes the other type too). Dropout and zoneout act as in evaluation: dropout not at all,
    /// zoneout as the mean of the old and the new value.
    ///
    /// # Errors
    /// A layer that goes backward or both ways, or has options for which there is no fused kernel; weights that do not
    /// fit the configuration.
    pub fn new<C: Cell>(layer: &Recurrent<C>) -> Result<Self, RnnError> {
        Self::of(layer)
    }
}

impl<T: Real> Stepper<T> {
    /// As [`Stepper::new`], in `T`.
    ///
    /// # Errors
    /// As `new`.
    pub fn of<C: Cell>(layer: &Recurrent<C>) -> Result<Self, RnnError> {
        let config = &layer.config;
        let refuse = |what| Err(RnnError::NoStepper(what));
        layer.check_forward("a stepper")?;
        layer.check_weights()?;
        let Some(kernel) = config.cell.kernel() else {
            return refuse("a cell that no kernel knows");
        };
        let names = config.cell.vectors(config.layer_norm);
        let mut steppers = layer.layers.iter().zip(&config.d_hidden).map(|(weights, &d_hidden)| {
            let [d_input, _] = weights.weight_ih.val().dims();
            let w_ih = values::<T, 2>(weights.weight_ih.val());
            let w_hh = weights.weight_hh.as_ref().map(|weight| values::<T, 2>(weight.val())).unwrap_or_default();
            let bias =
                |bias: &Option<burn::module::Param<Tensor<1>>>| bias.as_ref().map(|bias| values::<T, 1>(bias.val()));
            let (b_ih, b_hh) = (bias(&weights.bias_ih), bias(&weights.bias_hh));
            let learned = LEARNED.map(|name| match name {
                "norm_ih" => bias(&weights.norm_ih),
                "norm_hh" => bias(&weights.norm_hh),
                "w_hr" => weights.weight_hr.as_ref().map(|weight| values::<T, 2>(weight.val())),
                own => {
                    let mut own = names.iter().zip(&weights.vectors).filter(|(vector, _)| vector.name == own);
                    own.next().map(|(_, vector)| values(vector.val()))
                }
            });
            let layer = kernels::LayerWeights {
                cell: kernel.into(),
                d_input,
                d_hidden,
                w_ih: &w_ih,
                w_hh: &w_hh,
                b_ih: b_ih.as_deref(),
                b_hh: b_hh.as_deref(),
                options: cell_options(kernel, learned.each_ref().map(Option::as_deref)),
            };
            let mut stepper = kernels::Stepper::new(Isa::best(), &layer);
            stepper.set_zoneout(config.zoneout.hidden, config.zoneout.cell);
            stepper
        });
        let first = steppers.next().ok_or(RnnError::NoLayers)?;
        let others = steppers.collect();
        let has_c = config.cell.state_tensors() > 1;
        Ok(Self { first, others, output: vec![T::ZERO; config.d_output()], has_c })
    }

    fn layers(&self) -> impl Iterator<Item = &kernels::Stepper<T>> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// One step; gives the last layer's new h, `[d_output]`.
    ///
    /// # Panics
    /// If `input` is not `[d_input]`.
    pub fn step(&mut self, input: &[T]) -> &[T] {
        self.output.clear();
        self.output.extend_from_slice(self.first.step(input));
        self.rest()
    }

    /// One step with the one-hot row of `symbol`; gives the last layer's new h, `[d_output]`.
    ///
    /// # Panics
    /// If `symbol` is not below `d_input`.
    pub fn step_symbol(&mut self, symbol: usize) -> &[T] {
        if self.others.is_empty() {
            return self.first.step_index(symbol);
        }
        self.output.clear();
        self.output.extend_from_slice(self.first.step_index(symbol));
        self.rest()
    }

    /// The layers after the first.
    fn rest(&mut self) -> &[T] {
        for stepper in &mut self.others {
            let hidden = stepper.step(&self.output);
            self.output.clear();
            self.output.extend_from_slice(hidden);
        }
        &self.output
    }

    /// Goes on from a zero state.
    pub fn reset(&mut self) {
        self.first.reset();
        self.others.iter_mut().for_each(kernels::Stepper::reset);
    }
}

/// A dense layer on slices, for what comes after a [`Stepper`].
#[derive(Debug)]
pub struct Dense(kernels::Dense<f32>);

impl Dense {
    /// With a copy of the weights, which may lie on any device; in f32.
    pub fn new(linear: &Linear) -> Self {
        let weight = linear.weight.val();
        let bias = linear.bias.as_ref().map(|bias| values::<f32, 1>(bias.val()));
        Self(kernels::Dense::new(Isa::best(), weight.dims(), &values::<f32, 2>(weight), bias.as_deref()))
    }

    /// Writes `input·W + b` into `output`.
    ///
    /// # Panics
    /// If `input` is not `[d_input]` or `output` not `[d_output]`.
    pub fn apply(&self, input: &[f32], output: &mut [f32]) {
        self.0.apply(input, output);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, Direction, GruConfig, Input, Key, LstmConfig, MinGruConfig, MinLstmConfig, RnnConfig};
    use burn::nn::LinearConfig;
    use burn::tensor::Device;

    fn check<C: Cell>(layer: &Recurrent<C>) {
        let symbols = [3u32, 0, 4, 4, 1, 2];
        let whole = layer.forward(Input::symbols(&symbols, [1, symbols.len()])).sequence;
        let expected = values::<f32, 3>(whole);
        let mut stepper = Stepper::new(layer).expect("a kernel");
        for _ in 0..2 {
            for (t, &symbol) in symbols.iter().enumerate() {
                let one_hot: Vec<f32> = (0..5).map(|i| f32::from(u8::from(i == symbol))).collect();
                let n = layer.config.d_output();
                let hidden = if t % 2 == 0 { stepper.step(&one_hot) } else { stepper.step_symbol(symbol as usize) };
                let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-6;
                assert!(
                    hidden.len() == n && hidden.iter().zip(&expected[t * n..][..n]).all(close),
                    "{:?}",
                    layer.config
                );
            }
            stepper.reset();
        }
    }

    #[test]
    fn steps_are_those_of_the_layer() {
        let device = Device::default();
        check(&RnnConfig::new(5, 7).init(Key::new(0), &device));
        check(&MinGruConfig::new(5, 37).with_num_layers(2).with_zoneout(0.3, 0.0).init(Key::new(0), &device));
        check(&MinLstmConfig::new(5, 7).with_hidden_activation(Activation::Positive).init(Key::new(0), &device));
        check(&LstmConfig::new(5, 7).with_zoneout(0.3, 0.2).init(Key::new(0), &device));
        check(&LstmConfig::new(5, 7).with_d_hidden([7, 3, 4]).init(Key::new(0), &device));
        check(&GruConfig::new(5, 33).init(Key::new(0), &device));
        check(&GruConfig::new(5, 7).with_reset_after(false).with_num_layers(2).init(Key::new(0), &device));
        check(&LstmConfig::new(5, 19).with_peepholes(true).with_clip(Some(0.3)).init(Key::new(0), &device));
        check(&LstmConfig::new(5, 19).with_layer_norm(true).with_num_layers(2).init(Key::new(0), &device));
        check(&GruConfig::new(5, 7).with_layer_norm(true).with_reset_after(false).init(Key::new(0), &device));
        let projected = LstmConfig::new(5, 19).with_proj_size(Some(4)).with_zoneout(0.3, 0.2);
        check(&projected.clone().with_num_layers(2).init(Key::new(0), &device));
        check(&projected.with_layer_norm(true).with_peepholes(true).init(Key::new(0), &device));
        check(&LstmConfig::new(5, 7).with_coupled_gates(true).with_num_layers(2).init(Key::new(0), &device));
        let softsign = GruConfig::new(5, 7).with_hidden_activation(Activation::Softsign);
        check(&softsign.with_gate_activation(Activation::HardSigmoid { slope: 0.2 }).init(Key::new(0), &device));
        let linear = LinearConfig::new(3, 20).init(&device);
        let mut output = [f32::NAN; 20];
        Dense::new(&linear).apply(&[1.0, -2.0, 0.5], &mut output);
        let expected = values::<f32, 2>(linear.forward(Tensor::<2>::from_floats([[1.0, -2.0, 0.5]], &device)));
        assert!(output.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6));
    }

    #[test]
    fn what_has_no_stepper_is_told() {
        let told = |config: LstmConfig| {
            Stepper::new(&config.init(Key::new(0), &Device::default())).expect_err("none").to_string()
        };
        let config = || LstmConfig::new(2, 3);
        for (direction, way) in [(Direction::Backward, "backward"), (Direction::Bidirectional, "both ways")] {
            let expected = format!(
                "a stepper is for layers that go forward; this one goes {way}, and its first output depends on the last \
                 input: give `forward` the whole sequence"
            );
            assert_eq!(told(config().with_direction(direction)), expected);
        }
        let mut layer = config().init(Key::new(0), &Device::default());
        let wrong = Tensor::zeros([4, 12], &Device::default());
        layer.layers[0].weight_hh = Some(burn::module::Param::from_tensor(wrong));
        let error = Stepper::new(&layer).expect_err("other weights").to_string();
        assert_eq!(error, "weight_hh of layer 0 is [4, 12], but its configuration says [3, 12]");
    }
}
