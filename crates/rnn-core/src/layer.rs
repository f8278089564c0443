//! The one driver: a cell over a batch of sequences, layer upon layer, in one direction or both.

use crate::args::{ForwardArgs, Input, Output};
use crate::cell::{Cell, Recurrence};
use crate::checks::{check_counted, check_place, check_resets, check_state};
use crate::config::RecurrentConfig;
use crate::dropout::Dropout;
use crate::ops::{self, InputWeights, LayerInput, Pass, reference};
use crate::probe;
use crate::state::{CellState, States};
use crate::table;
use crate::{Exec, RnnError};
use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor, TensorData};

/// The weights of one layer and direction, packed over the gates in PyTorch's order.
///
/// PyTorch's `weight_ih_l0` is the transpose of `weight_ih`.
#[derive(Module, Debug)]
pub struct Layer {
    /// `W_ih`, `[d_input, gates·d_hidden]`.
    pub weight_ih: Param<Tensor<2>>,
    /// `W_hh`, `[d_hidden, gates·d_hidden]`, or `[proj_size, gates·d_hidden]`; none where the cell does not multiply h.
    pub weight_hh: Option<Param<Tensor<2>>>,
    /// `b_ih`, `[gates·d_hidden]`.
    pub bias_ih: Option<Param<Tensor<1>>>,
    /// `b_hh`, `[gates·d_hidden]`.
    pub bias_hh: Option<Param<Tensor<1>>>,
    /// `W_hr`, `[d_hidden, proj_size]`, where the cell projects h.
    pub weight_hr: Option<Param<Tensor<2>>>,
    /// `γ_ih`, `[gates·d_hidden]`, with layer normalisation.
    pub norm_ih: Option<Param<Tensor<1>>>,
    /// `γ_hh`, `[gates·d_hidden]`, with layer normalisation of a cell with `W_hh`.
    pub norm_hh: Option<Param<Tensor<1>>>,
    /// The cell's own vectors, `[d_hidden]` each, in the order of [`Cell::vectors`].
    pub vectors: Vec<Param<Tensor<1>>>,
}

/// A recurrent layer, or a stack of them, over the cell `C`: [`Rnn`](crate::Rnn), [`Lstm`](crate::Lstm),
/// [`Gru`](crate::Gru).
///
/// Made by [`RecurrentConfig::init`]; a Burn [`Module`], so it goes into other modules, optimizers and records.
#[derive(Module, Debug)]
pub struct Recurrent<C: Cell> {
    /// The weights per layer and direction: index `layer · directions + direction`.
    pub layers: Vec<Layer>,
    /// What the layer was made with.
    #[module(skip)]
    pub config: RecurrentConfig<C>,
}

impl<C: Cell> Recurrent<C> {
    /// Runs over `input` from a zero state: a tensor `[batch, time, d_input]`, [`Input::symbols`] or [`Input::ids`].
    ///
    /// **Without dropout, whatever the configuration says**: dropout needs a key. To train with dropout take
    /// [`forward_with`](Self::forward_with) and [`ForwardArgs::with_dropout_key`].
    ///
    /// To evaluate a layer that was made on an autodiff device, take Burn's `layer.valid()`: with the graph on, Burn
    /// keeps what a backward pass would need until there is one.
    ///
    /// # Panics
    /// Where [`try_forward`](Self::try_forward) gives an error.
    pub fn forward<'a>(&self, input: impl Into<Input<'a>>) -> Output<C::State> {
        self.forward_with(input, ForwardArgs::default())
    }

    /// Runs over `input` with a state, lengths or dropout.
    ///
    /// # Panics
    /// Where [`try_forward`](Self::try_forward) gives an error.
    pub fn forward_with<'a>(&self, input: impl Into<Input<'a>>, args: ForwardArgs<C::State>) -> Output<C::State> {
        match self.try_forward(input, args) {
            Ok(output) => output,
            Err(error) => panic!("{error}"),
        }
    }

    /// Runs over `input` with a state, lengths or a mask, and dropout. The output is in the order that the
    /// configuration asks for, whatever the input is.
    ///
    /// Input dropout and recurrent dropout draw their masks once per sequence, the same at every step, and scale by
    /// 1/(1−p); see [`DropoutMasks`](crate::DropoutMasks). The recurrent mask applies to h in the recurrent product
    /// only, not to the GRU's `z∘h`. Zoneout draws a mask for each step; without a key it takes the mean of old and new
    /// value.
    ///
    /// What stands in steps that do not count, NaN too, reaches neither outputs nor states nor gradients.
    ///
    /// # Errors
    /// An input without rows or steps or with other than `d_input` features; a symbol that is not below `d_input`, an
    /// id that is not below the table's rows, another number of them than `batch·time`; lengths that are not one a
    /// row or longer than the input; a mask or resets that have not one value a row and step; states of another number, shape,
    /// direction or cell; tensors on different devices or of different dtypes; an instruction set that the machine does
    /// not have; weights, or a changed configuration, that do not fit.
    pub fn try_forward<'a>(
        &self,
        input: impl Into<Input<'a>>,
        args: ForwardArgs<C::State>,
    ) -> Result<Output<C::State>, RnnError> {
        #[cfg(feature = "kernels")]
        if let Some(exec) = args.exec.filter(|exec| !exec.isa.is_available()) {
            return Err(RnnError::NoIsa(format!("{:?}", exec.isa)));
        }
        let input = input.into();
        if let Input::Ids { table, ids, shape } = &input
            && let Some(folded) = table::folded(self, table, ids, *shape, &args)
        {
            return folded.try_forward(Input::symbols(ids, *shape), args);
        }
        let (input, shape) = self.layer_input(input, args.exec.unwrap_or_default())?;
        self.run(input, shape, args)
    }

    /// What the first layer reads, with its rows and steps.
    fn layer_input(&self, input: Input, exec: Exec) -> Result<(LayerInput, [usize; 2]), RnnError> {
        let first = self.layers.first();
        let check_table =
            |what, tensor: &Tensor<2>| first.map_or(Ok(()), |l| check_place(what, tensor, &l.weight_ih.val()));
        let d_input = self.config.d_input;
        let check_count = |[batch, time]: [usize; 2], found: usize| match Some(found) == batch.checked_mul(time) {
            true => Ok(()),
            false => Err(RnnError::SymbolCount { batch, time, found }),
        };
        let shape = match &input {
            Input::Dense(rows) => self.sizes(rows),
            Input::Symbols { shape, .. } | Input::Ids { shape, .. } => *shape,
        };
        let [batch, time] = shape;
        if batch == 0 || time == 0 {
            return Err(RnnError::EmptyInput { batch, time });
        }
        let input = match input {
            Input::Dense(rows) => {
                let [_, _, found] = rows.dims();
                if found != d_input {
                    return Err(RnnError::InputSize { expected: d_input, found });
                }
                if let Some(first) = first {
                    check_place("input", &rows, &first.weight_ih.val())?;
                }
                LayerInput::Dense(self.swap_unless_time_major(rows))
            }
            Input::Symbols { symbols, .. } => {
                check_count(shape, symbols.len())?;
                if let Some(at) = symbols.iter().position(|&symbol| symbol as usize >= d_input) {
                    return Err(RnnError::Symbol { symbol: symbols[at], row: at / time, step: at % time, d_input });
                }
                LayerInput::Symbols { symbols: symbols.into(), batch }
            }
            Input::Ids { table, ids, .. } => {
                check_count(shape, ids.len())?;
                let (table, ids) = table.named(ids);
                let [rows, width] = table.dims();
                if width != d_input {
                    return Err(RnnError::TableWidth { expected: d_input, found: width });
                }
                if let Some(at) = ids.iter().position(|&id| id as usize >= rows) {
                    return Err(RnnError::Id { id: ids[at], row: at / time, step: at % time, rows });
                }
                check_table("the table", &table)?;
                #[cfg(feature = "gpu")]
                if let Some(rows) = crate::ops::gpu::embedding(&table, &ids, shape) {
                    return Ok((LayerInput::Rows { rows, ids: ids.into() }, shape));
                }
                let named = TensorData::new(ids.iter().map(|&id| i64::from(id)).collect::<Vec<_>>(), shape);
                let named = Tensor::<2, Int>::from_data(named, &table.device());
                let rows = crate::embedding_with(exec, table, named).swap_dims(0, 1);
                LayerInput::Rows { rows, ids: ids.into() }
            }
        };
        Ok((input, shape))
    }

    /// Runs all layers over `input`.
    fn run(
        &self,
        mut input: LayerInput,
        [batch, time]: [usize; 2],
        args: ForwardArgs<C::State>,
    ) -> Result<Output<C::State>, RnnError> {
        self.check_weights()?;
        let counted = check_counted([batch, time], &args)?;
        let resets = check_resets([batch, time], &args)?;
        let from_zero = args.state.is_none();
        let states = self.initial_states(args.state, batch)?;
        let exec = args.exec.unwrap_or_default();
        let draws = (args.dropout_key, exec);

        let mut last = Vec::with_capacity(states.len());
        let mut states = states.into_iter();
        let directions = self.config.direction.count();
        let names = self.config.cell.vectors(self.config.layer_norm);
        for (number, weights) in self.layers.chunks_exact(directions).enumerate() {
            let mut outputs = Vec::with_capacity(directions);
            for (direction, (weights, state)) in weights.iter().zip(states.by_ref()).enumerate() {
                let dropout = Dropout::new(&self.config, draws, number, direction, weights);
                let reverse = self.config.direction.reverse(direction);
                let (d_hidden, d_output) = (self.config.d_hidden[number], self.config.width(number));
                let pass = Pass {
                    on_step_by_step: args.on_step_by_step,
                    reverse,
                    counted: counted.clone(),
                    resets: resets.and_then(|resets| counted.resets(resets, batch, reverse)),
                    masked_output: args.masked_output,
                    zoneout: dropout.zoneout(self.config.cell.state_tensors(), [time, batch], [d_output, d_hidden]),
                    from_zero,
                    half_storage: self.config.half_storage,
                    exec,
                };
                let input_masks = dropout.input(batch, self.config.layer_input(number));
                if !input_masks.is_empty() && matches!(input, LayerInput::Symbols { .. }) {
                    // What is dropped of a one-hot row is seen in the row alone.
                    input = LayerInput::Dense(self.dense(input));
                }
                let recurrence = Recurrence {
                    weight: weights.weight_hh.as_ref().map(|weight| dropout.weight(weight.val())),
                    bias: weights.bias_hh.as_ref().map(Param::val),
                    masks: dropout.recurrent(batch, d_output),
                    gain: weights.norm_hh.as_ref().map(Param::val),
                    projection: weights.weight_hr.as_ref().map(Param::val),
                    vectors: names.iter().map(|v| v.name).zip(weights.vectors.iter().map(Param::val)).collect(),
                    d_hidden,
                };
                probe::begin(number, reverse);
                let weights = InputWeights::new(weights, input_masks);
                let (output, state) = self.sequence(&input, &weights, &recurrence, state, &pass);
                probe::end();
                outputs.push(output);
                last.push(state);
            }
            let mut sequence = if directions == 1 { outputs.remove(0) } else { Tensor::cat(outputs, 2) };
            if number + 1 < self.config.d_hidden.len() {
                sequence = Dropout::new(&self.config, draws, number, 0, &weights[0]).between(sequence);
            }
            input = LayerInput::Dense(sequence);
        }
        Ok(Output {
            sequence: self.swap_unless_time_major(self.dense(input)),
            state: States::new(self.config.direction, last),
        })
    }

    /// One layer and direction over `input`: on a fused kernel where there is one for the
    /// options and the device, else step by step.
    fn sequence(
        &self,
        input: &LayerInput,
        weights: &InputWeights,
        recurrence: &Recurrence,
        state: C::State,
        pass: &Pass,
    ) -> (Tensor<3>, C::State) {
        let cell = &self.config.cell;
        if let Some(output) = ops::sequence(cell, input, weights, recurrence, &state, pass) {
            return output;
        }
        let inputs = weights.products(input, &pass.counted);
        reference::sequence(cell, inputs, recurrence, state, pass)
    }

    /// `input` as `[time, batch, d_input]`.
    fn dense(&self, input: LayerInput) -> Tensor<3> {
        match input {
            LayerInput::Dense(rows) | LayerInput::Rows { rows, .. } => rows,
            LayerInput::Symbols { symbols, batch } => {
                let weight = self.layers[0].weight_ih.val();
                let mut rows = vec![0f32; symbols.len() * self.config.d_input];
                let ones = rows.chunks_exact_mut(self.config.d_input).zip(symbols.iter());
                ones.for_each(|(row, &symbol)| row[symbol as usize] = 1.0);
                let shape = [batch, symbols.len() / batch, self.config.d_input];
                let options = (&weight.device().inner(), weight.dtype());
                Tensor::<3>::from_data(TensorData::new(rows, shape), options).swap_dims(0, 1)
            }
        }
    }

    /// The dimension of an input that is time.
    pub(crate) fn time_dim(&self) -> usize {
        if self.config.time_major { 0 } else { 1 }
    }

    /// Rows and steps of an input.
    pub(crate) fn sizes(&self, input: &Tensor<3>) -> [usize; 2] {
        let [a, b, _] = input.dims();
        if self.config.time_major { [b, a] } else { [a, b] }
    }

    fn swap_unless_time_major(&self, sequence: Tensor<3>) -> Tensor<3> {
        if self.config.time_major { sequence } else { sequence.swap_dims(0, 1) }
    }

    fn initial_states(&self, given: Option<States<C::State>>, batch: usize) -> Result<Vec<C::State>, RnnError> {
        let config = &self.config;
        let directions = config.direction.count();
        let weights = || {
            let sizes = |index: usize| [config.width(index / directions), config.d_hidden[index / directions]];
            self.layers.iter().enumerate().map(move |(index, layer)| (layer.weight_ih.val(), sizes(index)))
        };
        let Some(given) = given else {
            let zeros = weights().map(|(weight, [d_output, d_hidden])| {
                let zeros = config.cell.zero_state(batch, d_hidden, d_output, &weight.device());
                zeros.map(|t| t.cast(weight.dtype()))
            });
            return Ok(zeros.collect());
        };
        config.direction.check_states(given.direction())?;
        let states = given.into_vec();
        if states.len() != self.layers.len() {
            return Err(RnnError::StateCount { expected: self.layers.len(), found: states.len() });
        }
        let check = |index: usize, state: C::State, weight: Tensor<2>, [d_output, d_hidden]: [usize; 2]| {
            let mut result = Ok(());
            // h comes first.
            let (mut width, mut name) = (d_output, "h");
            let mut tensors = 0;
            let state = state.map(|tensor| {
                tensors += 1;
                if result.is_ok() {
                    result = check_state((index, name), &tensor, [batch, width], &weight);
                }
                (width, name) = (d_hidden, "c");
                tensor
            });
            if tensors != config.cell.state_tensors() {
                return Err(RnnError::StateKind);
            }
            result.map(|()| state)
        };
        let layers = states.into_iter().zip(weights()).enumerate();
        layers.map(|(index, (state, (weight, widths)))| check(index, state, weight, widths)).collect()
    }
}
