//! A layer over a sequence, on the kernels of whichever device the tensors are on.

use super::call::{INPUTS, LEARNED, SequenceBackend, SequenceCall, SequenceInput, SequenceOptions, SequenceOutput};
use super::graph::{self, Dispatched, Operand, Operation, OutputGrads, Outputs};
use super::input::InputWeights;
use super::projection::{folds, projected};
use super::{LayerInput, Pass};
use crate::cell::{Cell, Recurrence};
use crate::probe;
use crate::state::CellState;
use burn::backend::TensorMetadata;
use burn::backend::tensor::FloatTensor;
use burn::tensor::Tensor;

/// One layer and direction over `input`: h of all steps, `[time, batch, d_output]`, and the state after each row's last
/// step. `None` where there is no kernel for it.
pub(crate) fn sequence<C: Cell>(
    cell: &C,
    input: &LayerInput,
    weights: &InputWeights,
    recurrence: &Recurrence,
    state: &C::State,
    pass: &Pass,
) -> Option<(Tensor<3>, C::State)> {
    let mut states = Vec::new();
    let _ = state.clone().map(|tensor| {
        states.push(tensor.clone());
        tensor
    });
    let request = Request {
        options: options(cell, input, weights, recurrence, pass),
        input,
        w_ih: weights.weight.clone(),
        b_ih: weights.bias.clone().map(|bias| bias.unsqueeze()),
        w_hh: recurrence.weight.clone(),
        b_hh: recurrence.bias.clone().map(|bias| bias.unsqueeze()),
        learned: LEARNED.map(|name| match name {
            "norm_ih" => weights.gain.clone().map(|gain| gain.unsqueeze()),
            "norm_hh" => recurrence.gain.clone().map(|gain| gain.unsqueeze()),
            "w_hr" => recurrence.projection.clone(),
            own => recurrence.vector(own),
        }),
        states,
        input_masks: &weights.masks,
        recurrent_masks: &recurrence.masks,
        pass,
    };
    #[cfg(test)]
    ASKED.with_borrow_mut(|asked| asked.push(request.options.clone()));
    let outcome: Option<(Tensor<3>, Vec<Tensor<2>>)> = on_any!(request);
    #[cfg(feature = "gpu")]
    let outcome = outcome.or_else(|| request.on::<burn::backend::Cube>());
    let Some((output, last)) = outcome else {
        if request.options.folds {
            return projected(cell, input, weights, recurrence, state, pass);
        }
        if let Some(told) = pass.on_step_by_step {
            let reason: Option<&'static str> = on_any!(Reason(&request));
            #[cfg(feature = "gpu")]
            let reason = reason.or_else(|| Reason(&request).on::<burn::backend::Cube>());
            told(reason.unwrap_or("its device has no kernels for layers"));
        }
        return None;
    };
    let mut last = last.into_iter();
    Some((output, state.clone().map(|old| last.next().unwrap_or(old))))
}

/// What such a call asks for.
fn options<C: Cell>(
    cell: &C,
    input: &LayerInput,
    weights: &InputWeights,
    recurrence: &Recurrence,
    pass: &Pass,
) -> SequenceOptions {
    let Recurrence { weight, projection, vectors, masks, d_hidden, .. } = recurrence;
    let w_ih = &weights.weight;
    let (symbols, [time, batch]) = match input {
        LayerInput::Dense(rows) | LayerInput::Rows { rows, .. } => (false, [rows.dims()[0], rows.dims()[1]]),
        LayerInput::Symbols { symbols, batch } => (true, [symbols.len() / batch, *batch]),
    };
    let strategy = [Some(w_ih), weight.as_ref()].into_iter().flatten().map(Tensor::gradient_checkpointing_strategy);
    SequenceOptions {
        kernel: cell.kernel(),
        dtype: w_ih.dtype(),
        layer_norm: weights.gain.is_some(),
        projection: projection.is_some(),
        folds: projection.is_some() && folds(input, weights, recurrence, pass),
        vectors: !vectors.is_empty(),
        probed: probe::is_recording(),
        checkpointing: strategy.flatten().any(|strategy| strategy != Default::default()),
        symbols,
        input_masks: weights.masks.len(),
        recurrent_masks: masks.len(),
        zoneout: !pass.zoneout.is_empty(),
        time,
        batch,
        d_input: w_ih.dims()[0],
        d_hidden: *d_hidden,
        d_output: projection.as_ref().map_or(*d_hidden, |w_hr| w_hr.dims()[1]),
        reverse: pass.reverse,
        counted: pass.counted.clone(),
        resets: pass.resets.clone(),
        masked_output: pass.masked_output,
        half_storage: pass.half_storage,
        exec: pass.exec,
    }
}

/// A call before it is known on which kind of device its tensors are.
struct Request<'a> {
    options: SequenceOptions,
    input: &'a LayerInput,
    w_ih: Tensor<2>,
    b_ih: Option<Tensor<2>>,
    w_hh: Option<Tensor<2>>,
    b_hh: Option<Tensor<2>>,
    learned: [Option<Tensor<2>>; LEARNED.len()],
    states: Vec<Tensor<2>>,
    input_masks: &'a [Tensor<2>],
    recurrent_masks: &'a [Tensor<2>],
    pass: &'a Pass,
}

impl Request<'_> {
    /// On the backend `B`, if it has a kernel for the call and the tensors are there.
    fn on<B: SequenceBackend + Dispatched>(&self) -> Option<(Tensor<3>, Vec<Tensor<2>>)> {
        B::supports(&self.options).ok().filter(|()| B::PROJECTS || !self.options.projection)?;
        let x = match self.input {
            LayerInput::Dense(rows) | LayerInput::Rows { rows, .. } => Some(B::operand(rows)?),
            LayerInput::Symbols { .. } => None,
        };
        let (w_ih, w_hh) = (B::operand(&self.w_ih)?, optional::<B>(&self.w_hh)?);
        let device = w_ih.primitive().device();
        B::fits(&self.options, &device).ok()?;
        let (b_ih, b_hh) = (optional::<B>(&self.b_ih)?, optional::<B>(&self.b_hh)?);
        let learned: Vec<Option<Operand<B>>> = self.learned.iter().map(optional::<B>).collect::<Option<_>>()?;
        let states: Vec<Operand<B>> = self.states.iter().map(B::operand).collect::<Option<_>>()?;
        let constants = |masks: &[Tensor<2>]| masks.iter().map(B::constant).collect::<Option<Vec<_>>>();
        let zoneout = self.pass.zoneout.iter().map(|zoneout| zoneout.try_map(B::constant));
        let mut options = self.options.clone();
        if options.half_storage
            && let Err(lack) = B::stores_half(&device)
        {
            self.pass.on_step_by_step.iter().for_each(|told| told(lack));
            options.half_storage = false;
        }
        let call = SequenceCall {
            options,
            input: match (&x, self.input) {
                (None, LayerInput::Symbols { symbols, .. }) => SequenceInput::Symbols(symbols.clone()),
                (x, LayerInput::Rows { ids, .. }) => SequenceInput::Rows(x.as_ref()?.primitive(), ids.clone()),
                (x, _) => SequenceInput::Dense(x.as_ref()?.primitive()),
            },
            w_ih: w_ih.primitive(),
            b_ih: b_ih.as_ref().map(Operand::primitive),
            w_hh: w_hh.as_ref().map(Operand::primitive),
            b_hh: b_hh.as_ref().map(Operand::primitive),
            learned: std::array::from_fn(|i| learned[i].as_ref().map(Operand::primitive)),
            states: states.iter().map(Operand::primitive).collect(),
            input_masks: constants(self.input_masks)?,
            recurrent_masks: constants(self.recurrent_masks)?,
            zoneout: zoneout.collect::<Option<_>>()?,
        };
        let weights = [x.as_ref(), Some(&w_ih), b_ih.as_ref(), w_hh.as_ref(), b_hh.as_ref()];
        let others = [states.first(), states.get(1)].into_iter().chain(learned.iter().map(Option::as_ref));
        let mut inputs = weights.into_iter().chain(others);
        let inputs: [_; INPUTS] = std::array::from_fn(|_| inputs.next().flatten());
        let Outputs { main, others } = graph::run(CallOperation::<B>(call), inputs);
        Some((B::tensor(main), others.into_iter().map(B::tensor).collect()))
    }
}

/// Why a call has no kernel on the kind of device on which its tensors are.
struct Reason<'a>(&'a Request<'a>);

impl Reason<'_> {
    fn on<B: SequenceBackend + Dispatched>(&self) -> Option<&'static str> {
        let w_ih = B::constant(&self.0.w_ih)?;
        B::supports(&self.0.options).and_then(|()| B::fits(&self.0.options, &w_ih.device())).err()
    }
}

/// `Some(None)` where there is no tensor, `None` if the conversion failed.
fn optional<B: Dispatched>(tensor: &Option<Tensor<2>>) -> Option<Option<Operand<B>>> {
    match tensor {
        Some(tensor) => B::operand(tensor).map(Some),
        None => Some(None),
    }
}

/// A call as an operation of the graph.
struct CallOperation<B: SequenceBackend>(SequenceCall<FloatTensor<B>>);

impl<B: SequenceBackend> Operation<B, INPUTS> for CallOperation<B> {
    type Saved = B::Saved;

    fn forward(self, wanted: [bool; INPUTS]) -> (Outputs<FloatTensor<B>>, Option<B::Saved>) {
        let (SequenceOutput { sequence, states }, saved) = B::forward(self.0, wanted.contains(&true));
        (Outputs { main: sequence, others: states }, saved)
    }

    fn backward(
        saved: B::Saved,
        grads: OutputGrads<FloatTensor<B>>,
        wanted: [bool; INPUTS],
    ) -> [Option<FloatTensor<B>>; INPUTS] {
        let OutputGrads { main, others } = grads;
        B::backward(saved, SequenceOutput { sequence: main, states: others }, wanted)
    }
}

#[cfg(test)]
thread_local! {
    /// The options of all calls on this thread.
    static ASKED: std::cell::RefCell<Vec<SequenceOptions>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// The options of the calls that `run` asks for.
#[cfg(test)]
pub(super) fn asked(run: impl FnOnce()) -> Vec<SequenceOptions> {
    ASKED.take();
    run();
    ASKED.take()
}
