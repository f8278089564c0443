//! A long sequence in parts that carry the state on: single steps, and windows for truncated backpropagation through
//! time.

use crate::cell::Cell;
use crate::state::States;
use crate::{Direction, ForwardArgs, Recurrent, RnnError};
use burn::tensor::Tensor;

impl<C: Cell> Recurrent<C> {
    /// One step, for generation and loops of one's own: `input` is `[batch, d_input]`; the output is the new state's
    /// [`hidden`](crate::CellState::hidden). Without a state it starts from zero. No dropout.
    ///
    /// # Errors
    /// A layer that goes backward or both ways: it begins at the last step. Otherwise as
    /// [`try_forward`](Self::try_forward) for an input of one step.
    pub fn try_step(&self, input: Tensor<2>, state: Option<States<C::State>>) -> Result<States<C::State>, RnnError> {
        self.check_forward("`step`")?;
        let args = ForwardArgs { state, ..Default::default() };
        Ok(self.try_forward(input.unsqueeze_dim(self.time_dim()), args)?.state)
    }

    /// [`try_step`](Self::try_step) for arguments known to be right.
    ///
    /// # Panics
    /// Where `try_step` gives an error.
    pub fn step(&self, input: Tensor<2>, state: Option<States<C::State>>) -> States<C::State> {
        match self.try_step(input, state) {
            Ok(state) => state,
            Err(error) => panic!("{error}"),
        }
    }

    /// Cuts a long sequence, `[batch, time, features]` (`[time, batch, features]` for a time-major layer), into
    /// windows of at most `bptt` steps. The last one is shorter where it does not come out even. Carry the state from
    /// each window to the next without its history ([`States::detach`](crate::States::detach)), so that gradients
    /// reach back one window at most:
    ///
    /// ```
    /// use rnn_core::burn::tensor::{Device, Tensor};
    /// use rnn_core::{ForwardArgs, GruConfig, Key};
    ///
    /// let device = Device::default();
    /// let gru = GruConfig::new(3, 4).init(Key::new(0), &device);
    /// let mut args = ForwardArgs::default();
    /// for window in gru.windows(Tensor::ones([2, 100, 3], &device), 35) {
    ///     let output = gru.forward_with(window, args);
    ///     // … loss, backward, optimizer step …
    ///     args = ForwardArgs::default().with_state(output.state.detach());
    /// }
    /// ```
    ///
    /// The features are not looked at, so targets may be cut along with the input.
    ///
    /// # Errors
    /// A layer that goes backward or both ways, whose first window needs what comes after it; a `bptt` of 0; a sequence
    /// without rows or steps.
    pub fn try_windows(&self, sequence: Tensor<3>, bptt: usize) -> Result<Windows, RnnError> {
        self.check_forward("`windows`")?;
        if bptt == 0 {
            return Err(RnnError::ZeroSize { name: "bptt" });
        }
        let [batch, time] = self.sizes(&sequence);
        if batch == 0 || time == 0 {
            return Err(RnnError::EmptyInput { batch, time });
        }
        Ok(Windows { sequence, dim: self.time_dim(), time, bptt, start: 0 })
    }

    /// [`try_windows`](Self::try_windows) for a layer and a sequence known to be right.
    ///
    /// # Panics
    /// Where `try_windows` gives an error.
    pub fn windows(&self, sequence: Tensor<3>, bptt: usize) -> Windows {
        match self.try_windows(sequence, bptt) {
            Ok(windows) => windows,
            Err(error) => panic!("{error}"),
        }
    }

    /// Refuses `what` for a layer that does not go forward alone.
    pub(crate) fn check_forward(&self, what: &'static str) -> Result<(), RnnError> {
        match self.config.direction {
            Direction::Forward => Ok(()),
            direction => Err(RnnError::NotForward { what, direction }),
        }
    }
}

/// The windows of a long sequence, one after another: see [`Recurrent::try_windows`].
#[derive(Debug, Clone)]
pub struct Windows {
    sequence: Tensor<3>,
    dim: usize,
    time: usize,
    bptt: usize,
    start: usize,
}

impl Iterator for Windows {
    type Item = Tensor<3>;

    fn next(&mut self) -> Option<Tensor<3>> {
        let (start, end) = (self.start, self.time.min(self.start.saturating_add(self.bptt)));
        self.start = end;
        (start < end).then(|| self.sequence.clone().slice_dim(self.dim, start..end))
    }
}
