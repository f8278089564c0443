//! What forward and backward of a layer share: how the work is laid out in panels and chunks, and the words for it.

pub(crate) mod pack;
pub(crate) mod padding;
pub(crate) mod plan;
pub(crate) mod products;
pub(crate) mod repeats;
pub(crate) mod rows;
pub(crate) mod saved;
pub(crate) mod step;
