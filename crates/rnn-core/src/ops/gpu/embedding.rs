//! Rows of a table, and the table's gradient: a launch each.

use super::tensors::{buffer, direct, reachable, tensor};
use crate::ops::graph::{self, Dispatched, Operation, OutputGrads, Outputs};
use burn::backend::Cube;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{DType, Tensor};
use burn_cubecl::tensor::CubeTensor;
use rnn_gpu::embedding::Named;

/// The rows `ids`, `[batch, time]` row by row, of `table`, as `[time, batch, d]`. `None` where the table lies elsewhere
/// or is not f32. The ids must be below its number of rows.
pub(crate) fn embedding(table: &Tensor<2>, ids: &[u32], [batch, time]: [usize; 2]) -> Option<Tensor<3>> {
    if table.dtype() != DType::F32 || reachable().is_err() {
        return None;
    }
    let operand = Cube::operand(table)?;
    let [n, d] = table.dims();
    let table = direct(operand.primitive());
    let by_time: Vec<u32> = (0..time).flat_map(|t| (0..batch).map(move |row| ids[row * time + t])).collect();
    let named = Named::new(&table.client, n, &by_time);
    let operation = Embedding { named, table, shape: [time, batch, d], n };
    Some(Cube::tensor(graph::run(operation, [Some(&operand)]).main))
}

struct Embedding {
    named: Named,
    table: CubeTensor,
    shape: [usize; 3],
    n: usize,
}

impl Operation<Cube, 1> for Embedding {
    /// Which rows, and the table's shape.
    type Saved = (Named, [usize; 2]);

    fn forward(self, [wanted]: [bool; 1]) -> (Outputs<FloatTensor<Cube>>, Option<Self::Saved>) {
        let Self { named, table, shape, n } = self;
        let rows = named.rows(&table.client, &buffer(&table), shape[2]);
        let main = tensor(&table, &rows, shape);
        (Outputs { main, others: Vec::new() }, wanted.then_some((named, [n, shape[2]])))
    }

    fn backward(
        (named, [n, d]): Self::Saved,
        grads: OutputGrads<FloatTensor<Cube>>,
        _: [bool; 1],
    ) -> [Option<FloatTensor<Cube>>; 1] {
        let rows = direct(grads.main);
        let table = named.gradient(&rows.client, &buffer(&rows), d);
        [Some(tensor(&rows, &table, [n, d]))]
    }
}
