//! Rows of a table, and the table's gradient in one buffer.

use super::backend::{Cpu, Value};
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, DispatchKindConversion, DispatchTensor};
use burn::tensor::{DType, Int, Tensor};
use rnn_kernels::Exec;
use std::marker::PhantomData;
use std::sync::Arc;

/// `None` where the table lies elsewhere or is of another dtype than f32 and f64.
pub(crate) fn embedding(weight: &Tensor<2>, ids: &Tensor<2, Int>) -> Option<Tensor<3>> {
    let call = Call { weight, ids };
    match weight.dtype() {
        DType::F32 => on_any!(call, f32),
        DType::F64 => on_any!(call, f64),
        _ => None,
    }
}

/// Whether a tensor of f32 without autodiff lies in this process' memory.
#[cfg(feature = "optim")]
pub(crate) fn is_here(tensor: &Tensor<2>) -> bool {
    struct Here<'a>(&'a Tensor<2>);
    impl Here<'_> {
        fn on<B: Cpu, T: Value<B>>(&self) -> Option<()>
        where
            DispatchTensor: DispatchKindConversion<B>,
        {
            self.0.clone().try_into_primitive::<B>().ok().map(drop)
        }
    }
    let call = Here(tensor);
    let here: Option<()> = on_any!(call, f32);
    here.is_some()
}

struct Call<'a> {
    weight: &'a Tensor<2>,
    ids: &'a Tensor<2, Int>,
}

impl Call<'_> {
    fn on<B: Cpu, T: Value<B>>(&self) -> Option<Tensor<3>>
    where
        DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B, NoCheckpointing>>,
    {
        type Ad<B> = Autodiff<B, NoCheckpointing>;
        if !self.weight.is_autodiff() {
            let weight = B::contiguous(self.weight.clone().try_into_primitive::<B>().ok()?);
            return Some(Tensor::from_primitive::<B>(self.ids().rows::<B, T>(&weight)));
        }
        let weight = self.weight.clone().try_into_primitive::<Ad<B>>().ok()?;
        let ids = self.ids();
        let rows = ids.rows::<B, T>(&B::contiguous(weight.primitive().clone()));
        let prep = Node::<T>(PhantomData).prepare::<NoCheckpointing>([weight.node()]).compute_bound().stateful();
        Some(Tensor::from_primitive::<Ad<B>>(match prep {
            OpsKind::Tracked(prep) => prep.finish(ids, rows),
            OpsKind::UnTracked(prep) => prep.finish(rows),
        }))
    }

    fn ids(&self) -> Ids {
        let [[n, d], [batch, time]] = [self.weight.dims(), self.ids.dims()];
        let row = |(at, id): (usize, i64)| {
            let row = usize::try_from(id).ok().filter(|&id| id < n);
            row.unwrap_or_else(|| panic!("id {id} at [{}, {}]: the table has {n} rows", at / time, at % time))
        };
        let rows = self.ids.to_data().iter::<i64>().enumerate().map(row).collect();
        Ids { rows, shape: [batch, time, d], n }
    }
}

/// Which rows of a table of `n` make up `[batch, time, d]`.
#[derive(Debug, Clone)]
struct Ids {
    rows: Arc<[usize]>,
    shape: [usize; 3],
    n: usize,
}

impl Ids {
    fn rows<B: Cpu, T: Value<B>>(&self, weight: &FloatTensor<B>) -> FloatTensor<B> {
        let rows = rnn_kernels::embed(Exec::default(), T::slice(weight), self.shape[2], &self.rows);
        T::tensor(rows, self.shape)
    }
}

#[derive(Debug)]
struct Node<T>(PhantomData<T>);

impl<B: Cpu, T: Value<B>> Backward<B, 1> for Node<T> {
    type State = Ids;

    fn backward(self, ops: Ops<Ids, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = B::contiguous(grads.consume::<B>(&ops.node));
        let Ids { rows, shape: [.., d], n } = ops.state;
        let [Some(parent)] = ops.parents else { return };
        let table = rnn_kernels::embed_backward(Exec::default(), T::slice(&grad), [n, d], &rows);
        grads.register::<B>(parent.id, T::tensor(table, [n, d]));
    }
}
