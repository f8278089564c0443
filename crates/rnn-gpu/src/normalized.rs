//! The recurrence of a layer whose sums are normalised: as [`crate::forward`] and [`crate::backward`], with the
//! normalisation of h's products, and of an LSTM's c on its way to h, between the parts of a step. The input's products
//! come normalised.

pub(crate) mod backward;
pub(crate) mod forward;

/// What is saved for each place beside the normalised numbers: of `h·W_hh` and of `(r∘h)·W_hh` what they were multiplied
/// by; of c' the mean and the factor.
pub(crate) const STATS: usize = 4;

/// Where what a unit learns is, in the order of [`Shape::learned_at`](crate::shape::Shape::learned_at).
pub(crate) const GAMMA_C: usize = crate::cell::lstm::PEEPHOLES;
pub(crate) const BETA_C: usize = GAMMA_C + 1;
pub(crate) const OF_GATES: usize = BETA_C + 1;
