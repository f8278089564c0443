//! The roof: every kernel that is generic over the element type, compiled here for `f32` and `f64` and so not once more
//! in each crate that calls it. Only public functions and methods call through it; no kernel knows it.

mod methods;

use crate::args::{Gradients, LayerWeights, Output, OutputGradients, Sequence};
use crate::exec::Exec;
use crate::float::Float;
use crate::optim::{LazyRows, Step};
use crate::sequence::Saved;
use crate::simd::Isa;
use crate::stepper::{Dense, Stepper};
use crate::{backward, cross_entropy, embedding, forward, linear};

/// Declares the trait and implements it for both element types. A line is a function of the trait and the kernel it
/// calls.
macro_rules! entry_points {
    ($(fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $result:ty)? = $kernel:path;)*) => {
        /// The element types that the kernels are compiled for: `f32` and `f64`.
        pub trait Entry: Float {
            $(#[doc(hidden)] fn $name($($arg: $type),*) $(-> $result)?;)*
        }

        impl Entry for f32 {
            $(fn $name($($arg: $type),*) $(-> $result)? { $kernel($($arg),*) })*
        }

        impl Entry for f64 {
            $(fn $name($($arg: $type),*) $(-> $result)? { $kernel($($arg),*) })*
        }
    };
}

entry_points! {
    fn forward(
        exec: Exec, layer: &LayerWeights<Self>, sequence: &Sequence<Self>, output: Output<Self>, save: bool,
    ) -> Saved<Self> = forward::forward;
    fn backward(
        layer: &LayerWeights<Self>, sequence: &Sequence<Self>, saved: &Saved<Self>, d_output: OutputGradients<Self>,
        wanted: Gradients<Self>,
    ) = backward::backward;

    fn embed(exec: Exec, table: &[Self], d: usize, ids: &[usize]) -> Vec<Self> = embedding::embed;
    fn embed_backward(exec: Exec, grads: &[Self], shape: [usize; 2], ids: &[usize]) -> Vec<Self>
        = embedding::embed_backward;
    fn linear(exec: Exec, shape: [usize; 3], x: &[Self], w: &[Self], b: &[Self]) -> Vec<Self> = linear::linear;
    fn linear_backward(
        exec: Exec, shape: [usize; 3], x: Option<&[Self]>, w: Option<&[Self]>, d_y: &[Self], wanted: bool,
    ) -> [Option<Vec<Self>>; 3] = linear::linear_backward;
    fn cross_entropy(exec: Exec, logits: &[Self], targets: &[usize], wanted: bool) -> (Self, Option<Vec<Self>>)
        = cross_entropy::cross_entropy;

    fn stepper(isa: Isa, layer: &LayerWeights<Self>) -> Stepper<Self> = Stepper::pack;
    fn step_dense(stepper: &mut Stepper<Self>, x: &[Self]) = Stepper::step_dense;
    fn step_symbol(stepper: &mut Stepper<Self>, symbol: usize) = Stepper::step_symbol;
    fn dense(isa: Isa, shape: [usize; 2], w: &[Self], b: Option<&[Self]>) -> Dense<Self> = Dense::pack;
    fn dense_multiply(dense: &Dense<Self>, x: &[Self], y: &mut [Self]) = Dense::multiply;

    fn update(exec: Exec, scale: f64, step: Step, w: &mut [Self], g: &[Self], own: [&mut [Self]; 2])
        = crate::optim::update;
    fn lazy_rows(rows: &mut LazyRows<Self>, exec: Exec, ids: &[usize]) -> Vec<Self> = LazyRows::read_rows;
    fn lazy_step(rows: &mut LazyRows<Self>, exec: Exec, step: Step, ids: &[usize], grads: &[Self])
        = LazyRows::make_step;
    fn lazy_table(rows: &mut LazyRows<Self>, exec: Exec) -> &[Self] = LazyRows::whole_table;
    fn lazy_moments(rows: &mut LazyRows<Self>, exec: Exec) -> [&[Self]; 2] = LazyRows::whole_moments;
}
