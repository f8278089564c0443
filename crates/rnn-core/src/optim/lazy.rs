//! A table of embeddings whose rows are updated when they are next needed.

use super::Rule;
use crate::Exec;
use crate::ops::cpu::is_here;
use burn::module::ParamId;
use burn::tensor::{DType, Device, Gradients, Int, Tensor, TensorData};
use rnn_kernels::optim::{LazyRows, Step};
use std::cell::RefCell;

/// A table of embeddings, `[n, d]`, with its optimizer, for training in which a step names few of the rows.
///
/// An optimizer that remembers gradients moves every row at every step. PyTorch's `Adam` and Keras' go over the whole
/// table for that; PyTorch's `SparseAdam` leaves out what the other rows should have done. Here it waits until the
/// row is next named, or the whole table is asked for, and is made up step by step: the numbers are to the bit those
/// that the optimizer makes of the whole table on `flex`. (On `ndarray` it makes them by tensor operations, which
/// round otherwise.)
///
/// The table lives here while it trains; what [`weights`](Self::weights) gives is to be put into the model before
/// that is saved or tested.
///
/// ```
/// use rnn_core::burn::tensor::{Device, Tensor};
/// use rnn_core::optim::{Adam, LazyTable};
///
/// let device = Device::default().autodiff();
/// let embedding = Tensor::<2>::ones([1000, 4], &device);
/// let mut table = LazyTable::new(Adam::PYTORCH, &embedding).expect("f32 on the CPU");
/// for ids in [[7, 3, 7], [3, 5, 1]] {
///     let rows = table.rows(&ids);
///     let words = rows.embedding([1, 3]); // [batch, time, d]
///     let grads = words.sum().backward();
///     let grad = rows.values.grad(&grads).expect("the loss depends on the rows");
///     table.step(1e-3, &rows, grad);
/// }
/// let embedding = table.weights(); // [1000, 4]
/// # let column: Vec<f32> = embedding.slice([0..8, 0..1]).into_data().to_vec().expect("f32");
/// # assert!(column[0] == 1.0 && column[1] < 1.0 && column[7] < 1.0, "{column:?}");
/// ```
pub struct LazyTable {
    rows: LazyRows<f32>,
    shape: [usize; 2],
    device: Device,
    at: Box<dyn Fn(f64, usize) -> Step + Send + Sync>,
    /// Steps made.
    time: usize,
    /// Where each row is among those of the last call, if it is one of them.
    places: Vec<u32>,
    exec: Exec,
}

impl std::fmt::Debug for LazyTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LazyTable").field("shape", &self.shape).field("time", &self.time).finish_non_exhaustive()
    }
}

/// The optimizer's state of a [`LazyTable`]; saved in a checkpoint.
#[derive(Debug, Clone)]
pub struct Moments {
    /// Steps made.
    pub time: usize,
    /// The optimizer's tensors, `[n, d]` each: none before the first step, at most two.
    pub tensors: Vec<Tensor<2>>,
}

/// The rows of a [`LazyTable`] that one step is about.
#[derive(Debug, Clone)]
pub struct Rows {
    /// Each row once, `[rows, d]`, up to date; it requires its gradient.
    pub values: Tensor<2>,
    /// For each id, which row of `values` it is.
    pub places: Vec<u32>,
    ids: Vec<usize>,
}

impl Rows {
    /// The rows for all ids, `[batch, time, d]`, as [`embedding`](crate::embedding) gives them.
    ///
    /// # Panics
    /// If there were not `batch·time` ids.
    pub fn embedding(&self, [batch, time]: [usize; 2]) -> Tensor<3> {
        let places: Vec<i32> = self.places.iter().map(|&place| place as i32).collect();
        let places = Tensor::<2, Int>::from_data(TensorData::new(places, [batch, time]), &self.values.device());
        crate::embedding(self.values.clone(), places)
    }
}

thread_local! {
    static STEP: RefCell<Option<TrainingStep>> = const { RefCell::new(None) };
}

/// A training step that runs on this thread.
struct TrainingStep {
    id: ParamId,
    table: LazyTable,
    rows: Option<Rows>,
}

/// The rows of the table `id` for `ids`, and which of them each id is, if a training step runs whose table waits for
/// updates.
///
/// # Panics
/// On the second look-up of a step.
pub(crate) fn named_rows(id: ParamId, ids: &[u32]) -> Option<(Tensor<2>, Vec<u32>)> {
    STEP.with_borrow_mut(|step| {
        let step = step.as_mut().filter(|step| step.id == id)?;
        assert!(
            step.rows.is_none(),
            "a training step looks a table of embeddings up twice; give `Input::ids` its values (`embedding.weight.val()`), \
             which updates all of it at each step"
        );
        let mut rows = step.table.rows(ids);
        let places = std::mem::take(&mut rows.places);
        let values = rows.values.clone();
        step.rows = Some(rows);
        Some((values, places))
    })
}

/// The gradient of the rows that the training step on this thread looked up, with the id of their table; it is taken
/// out of `grads`.
pub fn rows_gradient(grads: &mut Gradients) -> Option<(ParamId, Tensor<2>)> {
    STEP.with_borrow(|step| {
        let step = step.as_ref()?;
        Some((step.id, step.rows.as_ref()?.values.grad_remove(grads)?))
    })
}

impl LazyTable {
    /// Runs a training step of a model whose table of embeddings, Burn's `Embedding` with the parameter `id`, is this
    /// one: for [`Input::ids`](crate::Input::ids) of it the step reads rows that are up to date. Gives back the
    /// table, and the rows that the step looked up. Their gradient is [`rows_gradient`]; the model's own table stays
    /// as it is.
    ///
    /// # Panics
    /// If the step looks the table up twice.
    pub fn during<R>(self, id: ParamId, step: impl FnOnce() -> R) -> (Self, Option<Rows>, R) {
        struct End;
        impl Drop for End {
            fn drop(&mut self) {
                STEP.take();
            }
        }
        STEP.set(Some(TrainingStep { id, table: self, rows: None }));
        let end = End;
        let result = step();
        let Some(TrainingStep { table, rows, .. }) = STEP.take() else {
            panic!("a training step began another one");
        };
        drop(end);
        (table, rows, result)
    }
}

/// No place.
const NONE: u32 = u32::MAX;

impl LazyTable {
    /// The table that `weights` is, with an optimizer of this module. `None` if they are not f32, `[n, d]`, on `flex`
    /// or `ndarray`.
    ///
    /// # Panics
    /// On an optimizer's settings that make no sense.
    #[expect(private_bounds, reason = "the optimizers of this module")]
    pub fn new<const S: usize, R: Rule<S>>(optimizer: R, weights: &Tensor<2>) -> Option<Self> {
        optimizer.check();
        let shape @ [n, d] = weights.dims();
        let device = weights.device().autodiff();
        let weights = if weights.is_autodiff() { weights.clone().inner() } else { weights.clone() };
        if d == 0 || weights.dtype() != DType::F32 || !is_here(&weights) {
            return None;
        }
        let rows = LazyRows::new(weights.into_data().try_into_vec::<f32>().ok()?, d, R::START);
        let at = Box::new(move |rate, time| optimizer.at(rate, time));
        Some(LazyTable { rows, shape, device, at, time: 0, places: vec![NONE; n], exec: Exec::default() })
    }

    /// Steps made.
    pub fn steps(&self) -> usize {
        self.time
    }

    /// The same with the instruction set and the number of threads of the CPU kernels, on which no result depends.
    pub fn with_exec(mut self, exec: Exec) -> Self {
        self.exec = exec;
        self
    }

    /// What the optimizer remembers after all steps; with [`weights`](Self::weights) it is the whole table.
    pub fn moments(&mut self) -> Moments {
        let device = self.device.clone().inner();
        let (time, shape) = (self.time, self.shape);
        let moments = self.rows.moments(self.exec).into_iter().filter(|tensor| !tensor.is_empty());
        let tensors =
            moments.map(|tensor| Tensor::from_data(TensorData::new(tensor.to_vec(), shape), &device)).collect();
        Moments { time, tensors }
    }

    /// The table that goes on from `weights` and `moments` as another one gave them, to the same bits. `None` as for
    /// [`new`](Self::new), and where the moments are not f32 tensors of the table's shape or more than two.
    ///
    /// # Panics
    /// On an optimizer's settings that make no sense.
    #[expect(private_bounds, reason = "the optimizers of this module")]
    pub fn restore<const S: usize, R: Rule<S>>(optimizer: R, weights: &Tensor<2>, moments: Moments) -> Option<Self> {
        let mut table = Self::new(optimizer, weights)?;
        let Moments { time, tensors } = moments;
        let fits = |tensor: &Tensor<2>| tensor.dims() == table.shape && tensor.dtype() == DType::F32;
        if tensors.len() > 2 || !tensors.iter().all(fits) {
            return None;
        }
        let mut own = [Vec::new(), Vec::new()];
        for (own, tensor) in own.iter_mut().zip(tensors) {
            *own = tensor.into_data().try_into_vec::<f32>().ok()?;
        }
        let weights = table.rows.table(table.exec).to_vec();
        table.rows = LazyRows::restore(weights, table.shape[1], R::START, own);
        table.time = time;
        Some(table)
    }

    /// The rows `ids`, in which some may stand several times, after all steps.
    ///
    /// # Panics
    /// On an id that is not below n.
    pub fn rows(&mut self, ids: &[u32]) -> Rows {
        let n = self.shape[0];
        if let Some(id) = ids.iter().find(|id| **id as usize >= n) {
            panic!("id {id}: the table has {n} rows");
        }
        let mut distinct = Vec::new();
        let place = |&id: &u32| {
            let place = &mut self.places[id as usize];
            if *place == NONE {
                *place = distinct.len() as u32;
                distinct.push(id as usize);
            }
            *place
        };
        let places = ids.iter().map(place).collect();
        distinct.iter().for_each(|&id| self.places[id] = NONE);
        let values = self.rows.rows(self.exec, &distinct);
        let values = Tensor::from_data(TensorData::new(values, [distinct.len(), self.shape[1]]), &self.device);
        Rows { values: values.require_grad(), places, ids: distinct }
    }

    /// A step with the learning rate `rate` and the gradient of [`Rows::values`]; that of all other rows is zero.
    ///
    /// # Panics
    /// On a gradient of another shape or dtype.
    pub fn step(&mut self, rate: f64, rows: &Rows, grad: Tensor<2>) {
        let shape = rows.values.dims();
        assert!(grad.dims() == shape, "the gradient is {:?}, but the rows are {shape:?}", grad.dims());
        let grad = grad.into_data();
        let grad = grad.as_slice::<f32>().unwrap_or_else(|_| panic!("the gradient is {:?}, not f32", grad.dtype()));
        self.time += 1;
        self.rows.step(self.exec, (self.at)(rate, self.time), &rows.ids, grad);
    }

    /// The whole table after all steps, `[n, d]`, on an autodiff device.
    pub fn weights(&mut self) -> Tensor<2> {
        let weights = self.rows.table(self.exec).to_vec();
        Tensor::from_data(TensorData::new(weights, self.shape), &self.device)
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::optim::{Adagrad, Adam, RmsProp, Sgd};
    use burn::optim::Optimizer;

    /// The rows that a step works on, and the table at the end, are those of the optimizer over the whole table.
    fn check<const S: usize, R: Rule<S> + Optimizer>(rule: R) {
        let device = Device::default().autodiff();
        let (n, d, batch, time) = (40, 6, 2, 5);
        let numbers = |key, count| crate::Key::new(key).normals(count).map(|x| x as f32).collect::<Vec<f32>>();
        let mut whole = Tensor::<2>::from_data(TensorData::new(numbers(1, n * d), [n, d]), &device);
        let mut table = LazyTable::new(rule.clone(), &whole).expect("f32 on flex");
        let mut state = None;
        for time_step in 0..30 {
            let ids: Vec<u32> =
                crate::Key::new(2 + time_step).uniforms(batch * time).map(|u| (u * u * 40.0) as u32).collect();
            let factor = Tensor::from_data(
                TensorData::new(numbers(50 + time_step, batch * time * d), [batch, time, d]),
                &device,
            );
            let rows = table.rows(&ids);
            let words = rows.embedding([batch, time]);
            let leaf = whole.clone().require_grad();
            let int: Vec<i32> = ids.iter().map(|&id| id as i32).collect();
            let expected =
                crate::embedding(leaf.clone(), Tensor::from_data(TensorData::new(int, [batch, time]), &device));
            assert_eq!(words.to_data(), expected.to_data(), "step {time_step}");
            let grads = (words * factor.clone()).sum().backward();
            table.step(0.01, &rows, rows.values.grad(&grads).expect("a gradient"));
            let grads = (expected * factor).sum().backward();
            let inner;
            (inner, state) = rule.step(0.01, whole.inner(), leaf.grad(&grads).expect("a gradient"), state);
            whole = Tensor::from_inner(inner);
            // Saved and restored now and then, while rows wait for updates.
            if time_step % 7 == 3 {
                let moments = table.moments();
                table = LazyTable::restore(rule.clone(), &table.weights(), moments).expect("its own state");
            }
        }
        assert_eq!(table.weights().into_data(), whole.into_data());
    }

    #[test]
    fn a_lazy_table_trains_as_the_whole_one() {
        check(Adam::KERAS);
        check(Adam { weight_decay: 0.01, ..Adam::PYTORCH });
        check(RmsProp { momentum: 0.9, ..RmsProp::KERAS });
        check(Sgd { momentum: 0.9, nesterov: true });
        check(Adagrad);
    }

    #[test]
    fn a_table_of_another_dtype_is_not_lazy() {
        let table = Tensor::<2>::ones([3, 2], &Device::default());
        assert!(LazyTable::new(Adagrad, &table.clone().cast(burn::tensor::FloatDType::F64)).is_none());
        assert!(LazyTable::new(Adagrad, &table).is_some());
    }

    #[test]
    #[should_panic(expected = "id 3: the table has 3 rows")]
    fn an_id_beyond_the_table_is_refused() {
        let table = Tensor::<2>::ones([3, 2], &Device::default());
        LazyTable::new(Adagrad, &table).expect("f32 on flex").rows(&[0, 3]);
    }
}
