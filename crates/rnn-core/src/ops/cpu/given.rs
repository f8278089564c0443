//! What a call gives the kernels, as tensors that are kept for the way back and as the slices that the kernels take.

use super::backend::{Cpu, Value};
use burn::backend::tensor::FloatTensor;
use rnn_kernels::{self as kernels, Exec, Strides};
use std::marker::PhantomData;
use std::sync::Arc;

/// What the kernels are given, kept for the way back; cloning shares the tensors.
#[derive(Debug, Clone)]
pub(super) struct Given<B: Cpu, T> {
    pub(super) kernel: kernels::Cell,
    pub(super) time: usize,
    pub(super) batch: usize,
    pub(super) d_input: usize,
    pub(super) d_hidden: usize,
    /// `[time, batch, d_input]`, the features of a step side by side.
    pub(super) input: Option<FloatTensor<B>>,
    /// What its rows are of a table, or symbols if there is none; `[batch, time]`.
    pub(super) ids: Option<Arc<[u32]>>,
    pub(super) w_ih: FloatTensor<B>,
    pub(super) b_ih: Option<FloatTensor<B>>,
    pub(super) w_hh: FloatTensor<B>,
    pub(super) b_hh: Option<FloatTensor<B>>,
    /// h, and c for an LSTM.
    pub(super) states: Vec<FloatTensor<B>>,
    pub(super) input_masks: Vec<FloatTensor<B>>,
    pub(super) recurrent_masks: Vec<FloatTensor<B>>,
    pub(super) zoneout: Vec<Kept<B>>,
    pub(super) reverse: bool,
    pub(super) counted: Counts,
    pub(super) masked_output: kernels::MaskedOutput,
    pub(super) value: PhantomData<T>,
}

#[derive(Debug, Clone)]
pub(super) enum Kept<B: Cpu> {
    Mean(f64),
    Drawn(FloatTensor<B>),
}

#[derive(Debug, Clone)]
pub(super) enum Counts {
    All,
    Lengths(Arc<[usize]>),
    Mask(Arc<[bool]>),
}

impl<B: Cpu, T: Value<B>> Given<B, T> {
    /// Calls `f` with the kernels' view of it.
    pub(super) fn with<R>(&self, f: impl FnOnce(&kernels::LayerWeights<T>, &kernels::Sequence<T>) -> R) -> R {
        let layer = kernels::LayerWeights {
            cell: self.kernel,
            d_input: self.d_input,
            d_hidden: self.d_hidden,
            w_ih: T::slice(&self.w_ih),
            w_hh: T::slice(&self.w_hh),
            b_ih: self.b_ih.as_ref().map(T::slice),
            b_hh: self.b_hh.as_ref().map(T::slice),
        };
        let ids = self.ids.as_deref();
        let (input, ids) = match &self.input {
            Some(input) => {
                let (values, strides) = T::strided(input);
                (kernels::Input::Dense { values, strides }, ids)
            }
            None => {
                let strides = Strides { batch: self.time, time: 1 };
                (kernels::Input::Indices { values: ids.unwrap_or_default(), strides }, None)
            }
        };
        let input_masks: Vec<&[T]> = self.input_masks.iter().map(T::slice).collect();
        let recurrent_masks: Vec<&[T]> = self.recurrent_masks.iter().map(T::slice).collect();
        let zoneout = |tensor: usize| match self.zoneout.get(tensor) {
            None => kernels::Zoneout::Off,
            Some(Kept::Mean(p)) => kernels::Zoneout::Mean(*p),
            Some(Kept::Drawn(keep)) => kernels::Zoneout::Drawn(T::slice(keep)),
        };
        let sequence = kernels::Sequence {
            batch: self.batch,
            time: self.time,
            input,
            ids,
            h0: self.states.first().map(T::slice),
            c0: self.states.get(1).map(T::slice),
            reverse: self.reverse,
            counted: match &self.counted {
                Counts::All => kernels::Counted::All,
                Counts::Lengths(lengths) => kernels::Counted::Lengths(lengths),
                Counts::Mask(mask) => kernels::Counted::Mask(mask),
            },
            masked_output: self.masked_output,
            input_masks: &input_masks,
            recurrent_masks: &recurrent_masks,
            zoneout_h: zoneout(0),
            zoneout_c: zoneout(1),
        };
        f(&layer, &sequence)
    }

    /// Results lie as the input does.
    pub(super) fn order(&self) -> Order {
        self.input.as_ref().map_or(Order::Batch, |input| Order::of(T::strided(input).1))
    }

    /// The hidden states of all steps, the last states, and what the way back needs if it is to be `saved`.
    pub(super) fn forward(&self, saved: bool) -> (FloatTensor<B>, Vec<FloatTensor<B>>, Option<kernels::Saved<T>>) {
        let order = self.order();
        let mut sequence = vec![T::ZERO; self.time * self.batch * self.d_hidden];
        let mut last = vec![vec![T::ZERO; self.batch * self.d_hidden]; self.states.len()];
        let mut last_of = last.iter_mut().map(Vec::as_mut_slice);
        let output = kernels::Output {
            sequence: &mut sequence,
            strides: order.strides(self.time, self.batch, self.d_hidden),
            h: last_of.next(),
            c: last_of.next(),
        };
        let saved = self.with(|layer, given| match saved {
            true => Some(kernels::forward_saving(Exec::default(), layer, given, output)),
            false => {
                kernels::forward(Exec::default(), layer, given, output);
                None
            }
        });
        let sequence = order.tensor::<B, T>(sequence, self.time, self.batch, self.d_hidden);
        let last = last.into_iter().map(|values| T::tensor(values, [self.batch, self.d_hidden]));
        (sequence, last.collect(), saved)
    }
}

/// Which of time and batch is outermost in memory; the tensor is `[time, batch, width]` either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Time,
    Batch,
}

impl Order {
    pub(super) fn of(strides: Strides) -> Self {
        if strides.batch > strides.time { Order::Batch } else { Order::Time }
    }

    pub(super) fn strides(self, time: usize, batch: usize, width: usize) -> Strides {
        match self {
            Order::Time => Strides::time_major(batch, width),
            Order::Batch => Strides::batch_major(time, width),
        }
    }

    pub(super) fn tensor<B: Cpu, T: Value<B>>(
        self,
        values: Vec<T>,
        time: usize,
        batch: usize,
        width: usize,
    ) -> FloatTensor<B> {
        match self {
            Order::Time => T::tensor(values, [time, batch, width]),
            Order::Batch => B::float_swap_dims(T::tensor(values, [batch, time, width]), 0, 1),
        }
    }
}
