//! What happens inside the recurrent layers of a model: gates, states, and the gradients that reach them, step by step.
//!
//! [`record`] runs any code, such as a model's forward pass, and keeps what every recurrent layer in it computed. The
//! model need not be changed:
//!
//! ```
//! use rnn_core::burn::tensor::{Device, Tensor};
//! use rnn_core::{Key, LstmConfig, probe};
//!
//! let device = Device::default().autodiff();
//! let lstm = LstmConfig::new(3, 4).init(Key::new(0), &device);
//! let (output, traces) = probe::record(|| lstm.forward(Tensor::ones([2, 5, 3], &device)));
//! let forget = traces[0].values("f").expect("an LSTM has a gate f");
//! assert_eq!(forget.dims(), [5, 2, 4]); // [time, batch, d_hidden]
//!
//! let gradients = output.last_hidden().sum().backward();
//! let norms = traces[0].gradient_norms("h", &gradients).expect("every cell has h");
//! assert_eq!(norms.len(), 5); // ‖∂L/∂h_t‖ for each t
//! ```

use burn::tensor::{Device, Gradients, Tensor};
use std::cell::RefCell;

thread_local! {
    /// What is being recorded on this thread, if anything.
    static RECORDING: RefCell<Option<Vec<Trace>>> = const { RefCell::new(None) };
}

/// What one layer and direction computed in one forward pass.
///
/// The names are those of the equations: `h` for every cell; `i f g o c` for an LSTM, `r z n` for a GRU, and what a
/// cell of one's own gives to [`observe`].
#[derive(Debug, Clone)]
pub struct Trace {
    /// The layer's number in its stack, from 0.
    pub layer: usize,
    /// Whether it went from the last step to the first.
    pub reverse: bool,
    series: Vec<(&'static str, Vec<Observed>)>,
}

#[derive(Debug, Clone)]
struct Observed {
    value: Tensor<2>,
    /// Zero, added to the value: its gradient is the gradient of the loss with respect to the value.
    shadow: Option<Tensor<2>>,
}

impl Trace {
    /// The names of what was observed.
    pub fn names(&self) -> Vec<&'static str> {
        self.series.iter().map(|(name, _)| *name).collect()
    }

    /// The values of `name` at every step, `[time, batch, d_hidden]`, without history; `None` if there is no such name.
    pub fn values(&self, name: &str) -> Option<Tensor<3>> {
        Some(Tensor::stack(self.series(name)?.iter().map(|at| at.value.clone()).collect(), 0))
    }

    /// ∂L/∂`name` at every step, `[time, batch, d_hidden]`, along all ways from that value to the loss. `None` if
    /// there is no such name or the pass was not differentiable. Zero where the loss does not depend on the value.
    pub fn gradients(&self, name: &str, gradients: &Gradients) -> Option<Tensor<3>> {
        let step = |at: &Observed| {
            let shadow = at.shadow.as_ref()?;
            let zeros = || Tensor::zeros(shadow.dims(), (&shadow.device().inner(), shadow.dtype()));
            Some(shadow.grad(gradients).unwrap_or_else(zeros))
        };
        let steps: Option<Vec<Tensor<2>>> = self.series(name)?.iter().map(step).collect();
        Some(Tensor::stack(steps?, 0))
    }

    /// ‖∂L/∂`name`‖ at every step, over all rows and units; otherwise as [`gradients`](Self::gradients).
    pub fn gradient_norms(&self, name: &str, gradients: &Gradients) -> Option<Vec<f64>> {
        let gradients = self.gradients(name, gradients)?;
        let [time, batch, width] = gradients.dims();
        let values: Vec<f64> = gradients.into_data().iter::<f64>().collect();
        debug_assert_eq!(values.len(), time * batch * width);
        let norm = |step: &[f64]| step.iter().map(|g| g * g).sum::<f64>().sqrt();
        Some(values.chunks_exact(batch * width).map(norm).collect())
    }

    fn series(&self, name: &str) -> Option<&[Observed]> {
        self.series.iter().find(|(known, _)| *known == name).map(|(_, series)| series.as_slice())
    }
}

/// Runs `f` and returns what it returned, with a trace of each layer and direction of every forward pass that it made
/// on this thread, in the order they were made. Recording keeps every step's tensors and is slower.
pub fn record<R>(f: impl FnOnce() -> R) -> (R, Vec<Trace>) {
    /// Puts back what was being recorded outside, also when `f` panics.
    struct Outer(Option<Vec<Trace>>);
    impl Drop for Outer {
        fn drop(&mut self) {
            RECORDING.set(self.0.take());
        }
    }
    let outer = Outer(RECORDING.replace(Some(Vec::new())));
    let result = f();
    let traces = RECORDING.take().unwrap_or_default();
    drop(outer);
    (result, traces)
}

/// Gives `value` back; where something is being recorded, notes it under `name` first. For cells of one's own: call
/// it on what should be seen and go on with what it returns.
pub fn observe(name: &'static str, value: Tensor<2>) -> Tensor<2> {
    RECORDING.with_borrow_mut(|recording| {
        let Some(trace) = recording.as_mut().and_then(|traces| traces.last_mut()) else {
            return value;
        };
        let shadow = value.is_autodiff().then(|| {
            let device: Device = value.device();
            Tensor::zeros(value.dims(), (&device, value.dtype())).require_grad()
        });
        let index = trace.series.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
            trace.series.push((name, Vec::new()));
            trace.series.len() - 1
        });
        let observed = Observed { value: value.clone().detach(), shadow: shadow.clone() };
        trace.series[index].1.push(observed);
        match shadow {
            Some(shadow) => value + shadow,
            None => value,
        }
    })
}

/// Whether anything is being recorded on this thread.
pub(crate) fn is_recording() -> bool {
    RECORDING.with_borrow(Option::is_some)
}

/// A new pass of a layer begins.
pub(crate) fn begin(layer: usize, reverse: bool) {
    RECORDING.with_borrow_mut(|recording| {
        if let Some(traces) = recording {
            traces.push(Trace { layer, reverse, series: Vec::new() });
        }
    });
}

/// It has ended: a reverse pass made its steps from the last to the first.
pub(crate) fn end() {
    RECORDING.with_borrow_mut(|recording| {
        let Some(trace) = recording.as_mut().and_then(|traces| traces.last_mut()) else { return };
        if trace.reverse {
            trace.series.iter_mut().for_each(|(_, series)| series.reverse());
        }
    });
}
