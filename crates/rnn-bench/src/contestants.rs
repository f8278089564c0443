//! Who is measured, and how each is run.
//!
//! Layers are timed in processes that stay warm and wait on their stdin ([`protocol`]): `rnn-bench worker` for [`ours`]
//! and for [`burn_nn`], a script of [`python`] for PyTorch, Keras and NumPy. [`worker`] is the bench's side of the
//! pipe, [`serve`] the other one. The lessons' epochs of ours are timed in the real [`programs`].

pub mod burn_nn;
pub mod ours;
pub mod programs;
pub mod protocol;
pub mod python;
pub mod serve;
pub mod worker;

/// The name of ours in tables and records.
pub const OURS: &str = "rnn-core";

/// Who measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Engine {
    /// Our layers.
    RnnCore,
    /// Burn's own layers.
    BurnNn,
    /// With oneDNN and without it; the faster one counts.
    PyTorch,
    /// On TensorFlow.
    Keras,
    /// The equations, written out.
    NumPy,
}

impl Engine {
    /// The name in tables and records.
    pub fn name(self) -> &'static str {
        match self {
            Engine::RnnCore => OURS,
            Engine::BurnNn => "burn-nn",
            Engine::PyTorch => "PyTorch",
            Engine::Keras => "Keras",
            Engine::NumPy => "NumPy",
        }
    }

    /// What runs it in Python; `None` for those in Rust.
    pub fn peer(self) -> Option<python::Peer> {
        match self {
            Engine::RnnCore | Engine::BurnNn => None,
            Engine::PyTorch => Some(python::Peer::PyTorch),
            Engine::Keras => Some(python::Peer::Keras),
            Engine::NumPy => Some(python::Peer::NumPy),
        }
    }
}
