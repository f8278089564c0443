//! The recurrence over a whole sequence, given the input products.
//!
//! [`mod@reference`] is the definition: tensor operations on any device, differentiated by Burn. A device that has a
//! fused kernel will take that instead; each kernel is tested against the reference.

pub mod reference;
