//! What a forward pass is given besides its input, and what it gives.

use crate::state::{CellState, States};
use crate::table::Table;
use crate::{Exec, Key};
use burn::tensor::Tensor;

/// What a forward pass may be given besides its input.
#[derive(Debug, Clone)]
pub struct ForwardArgs<'a, S> {
    /// The state before the first step; zero without it.
    pub state: Option<States<S>>,
    /// Each row's own number of steps, at most the input's; all of them without it. Rows are padded at the end.
    pub lengths: Option<&'a [usize]>,
    /// Which steps count, `[batch, time]` row by row; all of them without it. A step that does not count leaves the
    /// state as it is. This is the form for input that is padded in front (Keras' `mask_zero`); give it or `lengths`,
    /// not both.
    pub mask: Option<&'a [bool]>,
    /// Where a new sequence begins within a row, `[batch, time]` row by row: at the steps with `true`. No direction
    /// carries a state from one sequence of a row to the other; see [`with_resets`](Self::with_resets).
    pub resets: Option<&'a [bool]>,
    /// The output at steps that do not count; `Previous` where all count is an error.
    pub masked_output: MaskedOutput,
    /// Draws the masks of dropout and zoneout. **They act when a key is given and only then**: give one in training,
    /// another at every step, and none in evaluation. The probabilities are the configuration's; a layer without any
    /// draws nothing.
    pub dropout_key: Option<Key>,
    /// The instruction set and the number of threads of the CPU kernels, in the backward pass too; [`Exec::default`]
    /// without it. A GPU, and what runs step by step in tensor operations, ignore it.
    pub exec: Option<Exec>,
    /// Is told why, for each layer and direction that has no kernel and runs step by step in tensor operations, many
    /// times slower on a CPU, and where a GPU has no 16-bit floats for a layer with `half_storage`; see
    /// [`with_step_by_step_warning`](Self::with_step_by_step_warning).
    pub on_step_by_step: Option<fn(&str)>,
}

/// The output at steps that do not count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MaskedOutput {
    /// Zero, as PyTorch pads.
    #[default]
    Zero,
    /// The output of the step before, zero if there is none, as Keras.
    Previous,
}

impl<S> Default for ForwardArgs<'_, S> {
    fn default() -> Self {
        Self {
            state: None,
            lengths: None,
            mask: None,
            resets: None,
            masked_output: MaskedOutput::Zero,
            dropout_key: None,
            exec: None,
            on_step_by_step: None,
        }
    }
}

impl<'a, S> ForwardArgs<'a, S> {
    /// Starts from `state`.
    pub fn with_state(mut self, state: impl Into<States<S>>) -> Self {
        self.state = Some(state.into());
        self
    }

    /// Gives each row's own number of steps.
    pub fn with_lengths(mut self, lengths: &'a [usize]) -> Self {
        self.lengths = Some(lengths);
        self
    }

    /// Says which steps count, `[batch, time]` row by row.
    pub fn with_mask(mut self, mask: &'a [bool]) -> Self {
        self.mask = Some(mask);
        self
    }

    /// Says at which steps a new sequence begins within a row, `[batch, time]` row by row: episodes of reinforcement
    /// learning, or documents one after another. Before such a step the state is zero, in all layers. In the other
    /// direction the state is zero before the step in front of it, where the sequence before is entered at its end. So
    /// the results are those of the sequences run apart, the first one of a row from the state that
    /// [`with_state`](Self::with_state) gives unless step 0 is flagged too, and gradients end at the border.
    ///
    /// With lengths or a mask the border is crossed on the way from one step that counts to the next; a flag behind a
    /// row's last step that counts does nothing.
    ///
    /// ```
    /// use rnn_core::burn::tensor::{Device, Tensor};
    /// use rnn_core::{ForwardArgs, GruConfig, Key};
    ///
    /// let device = Device::default();
    /// let gru = GruConfig::new(3, 4).init(Key::new(0), &device);
    /// // One row of five steps, in which a new episode begins at step 2.
    /// let args = ForwardArgs::default().with_resets(&[false, false, true, false, false]);
    /// let x: Tensor<3> = Tensor::ones([1, 5, 3], &device);
    /// let both = gru.forward_with(x.clone(), args).sequence;
    /// let second = gru.forward(x.slice_dim(1, 2..5)).sequence;
    /// let difference: f32 = (both.slice_dim(1, 2..5) - second).abs().max().into_scalar();
    /// assert!(difference < 1e-6);
    /// ```
    pub fn with_resets(mut self, resets: &'a [bool]) -> Self {
        self.resets = Some(resets);
        self
    }

    /// Chooses the output at steps that do not count.
    pub fn with_masked_output(mut self, output: MaskedOutput) -> Self {
        self.masked_output = output;
        self
    }

    /// Chooses the instruction set and the number of threads of the CPU kernels. An instruction set that the machine
    /// does not have is an error. Here two threads:
    ///
    /// ```
    /// # #[cfg(feature = "kernels")] {
    /// use rnn_core::burn::tensor::{Device, Tensor};
    /// use rnn_core::{Exec, ForwardArgs, Key, LstmConfig};
    ///
    /// let device = Device::default();
    /// let lstm = LstmConfig::new(4, 8).init(Key::new(0), &device);
    /// let two_threads = Exec { threads: 2, ..Exec::default() };
    /// lstm.forward_with(Tensor::ones([16, 5, 4], &device), ForwardArgs::default().with_exec(two_threads));
    /// # }
    /// ```
    pub fn with_exec(mut self, exec: Exec) -> Self {
        self.exec = Some(exec);
        self
    }

    /// Asks for a warning where a layer runs step by step, or a GPU cannot store in 16 bits what
    /// [`half_storage`](crate::RecurrentConfig::half_storage) says: `told` is called with the reason, here to print it.
    ///
    /// ```
    /// use rnn_core::burn::tensor::{Device, Tensor};
    /// use rnn_core::{ForwardArgs, GruConfig, Key};
    ///
    /// let gru = GruConfig::new(3, 4).init(Key::new(0), &Device::default());
    /// let args = ForwardArgs::default().with_step_by_step_warning(|why| eprintln!("a layer is slow here: {why}"));
    /// gru.forward_with(Tensor::<3>::ones([1, 5, 3], &Device::default()), args);
    /// ```
    pub fn with_step_by_step_warning(mut self, told: fn(&str)) -> Self {
        self.on_step_by_step = Some(told);
        self
    }

    /// Turns dropout and zoneout on (`Some`), with the probabilities of the configuration, or off (`None`).
    pub fn with_dropout_key(mut self, key: Option<Key>) -> Self {
        self.dropout_key = key;
        self
    }
}

/// What a layer reads: features, symbols, or ids with their table. A tensor is features; see [`Input::symbols`] and
/// [`Input::ids`] for the other two.
#[derive(Debug, Clone)]
pub enum Input<'a> {
    /// `[batch, time, d_input]`, or `[time, batch, d_input]` for a time-major layer.
    Dense(Tensor<3>),
    /// Symbols below `d_input`, each for its one-hot row.
    Symbols {
        /// `[batch, time]` row by row.
        symbols: &'a [u32],
        /// `[batch, time]`.
        shape: [usize; 2],
    },
    /// Rows of a table.
    Ids {
        /// `[n, d_input]`.
        table: Table,
        /// Below n, `[batch, time]` row by row.
        ids: &'a [u32],
        /// `[batch, time]`.
        shape: [usize; 2],
    },
}

impl<'a> Input<'a> {
    /// Symbols below `d_input`, `[batch, time]` row by row: as their one-hot rows of `d_input` features. A one-hot
    /// row's product with `W_ih` is a row of it, which is looked up.
    pub fn symbols(symbols: &'a [u32], shape: [usize; 2]) -> Self {
        Self::Symbols { symbols, shape }
    }

    /// The rows of `table`, `[n, d_input]`, that `ids`, `[batch, time]` row by row, name: as what
    /// [`embedding`](crate::embedding) gives for them, which trains the table too. The table is a tensor or Burn's
    /// `Embedding`, which a [`LazyTable`](crate::optim::LazyTable) and an [`evaluation`](crate::evaluation) know how
    /// to speed up.
    ///
    /// ```
    /// use rnn_core::burn::{nn::EmbeddingConfig, tensor::Device};
    /// use rnn_core::{Input, Key, LstmConfig};
    ///
    /// let device = Device::default();
    /// let lstm = LstmConfig::new(4, 8).init(Key::new(0), &device);
    /// let words = EmbeddingConfig::new(10, 4).init(&device);  // ten words, four numbers each
    /// let text = [1, 7, 7, 0, 3, 9]; // two texts of three words
    /// let output = lstm.forward(Input::ids(&words, &text, [2, 3]));
    /// assert_eq!(output.sequence.dims(), [2, 3, 8]);
    /// ```
    pub fn ids(table: impl Into<Table>, ids: &'a [u32], shape: [usize; 2]) -> Self {
        Self::Ids { table: table.into(), ids, shape }
    }
}

impl From<Tensor<3>> for Input<'_> {
    fn from(input: Tensor<3>) -> Self {
        Self::Dense(input)
    }
}

/// What a forward pass gives.
#[derive(Debug, Clone)]
pub struct Output<S> {
    /// The last layer's hidden state at every step, `[batch, time, d_output]`: the directions side by
    /// side, forward before backward, each d_hidden wide, or `proj_size` where h is projected.
    pub sequence: Tensor<3>,
    /// Each row's state after its own last step (for the backward direction, after its first), per layer and direction.
    pub state: States<S>,
}

impl<S: CellState> Output<S> {
    /// The last layer's h after each row's own last step, `[batch, d_output]`; with both directions, beside it the
    /// backward one's after the row's first step. What a classifier of whole sequences reads.
    pub fn last_hidden(&self) -> Tensor<2> {
        self.state.hidden()
    }
}
