//! Rows of a table, and the table's gradient in one buffer.

use super::CpuBackend;
use super::memory::Value;
use crate::Exec;
use crate::ops::graph::{self, Operand, Operation, OutputGrads, Outputs};
use burn::backend::tensor::FloatTensor;
use burn::tensor::{DType, Int, Tensor};
use rnn_kernels as kernels;
use std::marker::PhantomData;
use std::sync::Arc;

/// `None` where the table lies elsewhere or is of another dtype than f32 and f64.
pub(crate) fn embedding(exec: Exec, table: &Tensor<2>, ids: &Tensor<2, Int>) -> Option<Tensor<3>> {
    on_any!(Request { exec, table, ids })
}

struct Request<'a> {
    exec: Exec,
    table: &'a Tensor<2>,
    ids: &'a Tensor<2, Int>,
}

impl Request<'_> {
    fn on<B: CpuBackend>(&self) -> Option<Tensor<3>>
    where
        f32: Value<B>,
        f64: Value<B>,
    {
        let table = B::operand(self.table)?;
        match self.table.dtype() {
            DType::F32 => Some(self.run::<B, f32>(table)),
            DType::F64 => Some(self.run::<B, f64>(table)),
            _ => None,
        }
    }

    fn run<B: CpuBackend, T: Value<B>>(&self, table: Operand<B>) -> Tensor<3> {
        let [[n, d], [batch, time]] = [self.table.dims(), self.ids.dims()];
        let row = |(at, id): (usize, i64)| {
            let row = usize::try_from(id).ok().filter(|&id| id < n);
            row.unwrap_or_else(|| panic!("id {id} at [{}, {}]: the table has {n} rows", at / time, at % time))
        };
        let ids = self.ids.to_data().iter::<i64>().enumerate().map(row).collect();
        let named = Named { exec: self.exec, ids, shape: [batch, time, d], n };
        let operation = Embedding { named, table: B::contiguous(table.primitive()), value: PhantomData::<T> };
        B::tensor(graph::run(operation, [Some(&table)]).main)
    }
}

/// Which rows of a table of `n` make up `[batch, time, d]`.
#[derive(Debug, Clone)]
struct Named {
    exec: Exec,
    ids: Arc<[usize]>,
    shape: [usize; 3],
    n: usize,
}

struct Embedding<B: CpuBackend, T> {
    named: Named,
    table: FloatTensor<B>,
    value: PhantomData<T>,
}

impl<B: CpuBackend, T: Value<B>> Operation<B, 1> for Embedding<B, T> {
    type Saved = Named;

    fn forward(self, [wanted]: [bool; 1]) -> (Outputs<FloatTensor<B>>, Option<Named>) {
        let Named { exec, shape, ref ids, .. } = self.named;
        let rows = kernels::embed(exec, T::slice(&self.table), shape[2], ids);
        (Outputs { main: T::tensor(rows, shape), others: Vec::new() }, wanted.then_some(self.named))
    }

    fn backward(
        Named { exec, ids, shape: [.., d], n }: Named,
        grads: OutputGrads<FloatTensor<B>>,
        _: [bool; 1],
    ) -> [Option<FloatTensor<B>>; 1] {
        let d_rows = B::contiguous(grads.main);
        let table = kernels::embed_backward(exec, T::slice(&d_rows), [n, d], &ids);
        [Some(T::tensor(table, [n, d]))]
    }
}
