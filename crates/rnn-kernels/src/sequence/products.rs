//! Which products fill which vectors of a panel.

use crate::args::{Cell, LayerWeights, Sequence};
use crate::tile::WIDTH;

/// One product that fills vectors of a panel: the gates `gates` from vector `offset` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GateProduct {
    /// The first vector that it fills.
    pub(crate) offset: usize,
    /// The gates, in the panel's order; each is `blocks` vectors wide.
    pub(crate) gates: &'static [usize],
    /// Whether it is done after the others, on r∘h in place of h.
    pub(crate) reset: bool,
    /// The mask of its left factor.
    pub(crate) mask: Option<usize>,
}

/// How the products of a cell fill its panels.
#[derive(Debug, Clone)]
pub(crate) struct Products {
    /// Vectors of a slot.
    pub(crate) blocks: usize,
    /// Vectors of a panel's row.
    pub(crate) vectors: usize,
    /// `x·W_ih`.
    pub(crate) x: Vec<GateProduct>,
    /// `h·W_hh`.
    pub(crate) h: Vec<GateProduct>,
}

impl Products {
    /// Those of a layer on a sequence, whose units fill `units` vectors.
    pub(crate) fn for_layer<T>(layer: &LayerWeights<T>, sequence: &Sequence<T>, units: usize) -> Self {
        Products::new(layer.cell, units, sequence.input_masks.len(), sequence.recurrent_masks.len())
    }

    /// For units that fill `units` vectors, with so many masks of x and of h: none, one, or one a gate.
    pub(crate) fn new(cell: Cell, units: usize, x_masks: usize, h_masks: usize) -> Self {
        let product = |offset, gates, reset| GateProduct { offset, gates, reset, mask: None };
        let (slots, x, h) = match cell {
            Cell::Rnn(_) => (1, product(0, &[0], false), vec![product(0, &[0], false)]),
            Cell::Lstm => (4, product(0, &[0, 1, 2, 3], false), vec![product(0, &[0, 1, 2, 3], false)]),
            Cell::LstmCoupled => (3, product(0, &[0, 1, 2], false), vec![product(0, &[0, 1, 2], false)]),
            Cell::Gru { reset_after: true } => (4, product(0, &[2, 0, 1], false), vec![product(1, &[0, 1, 2], false)]),
            Cell::Gru { reset_after: false } => {
                (4, product(0, &[2, 0, 1], false), vec![product(1, &[0, 1], false), product(0, &[2], true)])
            }
            Cell::MinGru(_) => (2, product(0, &[0, 1], false), Vec::new()),
            Cell::MinLstm(_) => (3, product(0, &[0, 1, 2], false), Vec::new()),
        };
        let per_gate = slots == 1 || x_masks > 1 || h_masks > 1;
        // As wide as a tile, and as even as possible.
        let most = if per_gate { WIDTH } else { WIDTH / slots };
        let blocks = units.div_ceil(units.div_ceil(most));
        let products = |products: Vec<GateProduct>, masks: usize| -> Vec<GateProduct> {
            let products = products.into_iter();
            let products = products.flat_map(|product| if per_gate { product.per_gate(blocks) } else { vec![product] });
            let mask = |product: &GateProduct| (masks > 0).then(|| if masks > 1 { product.gates[0] } else { 0 });
            products.map(|product| GateProduct { mask: mask(&product), ..product }).collect()
        };
        Products { blocks, vectors: slots * blocks, x: products(vec![x], x_masks), h: products(h, h_masks) }
    }
}

impl GateProduct {
    /// One product for each gate, whose slots are `blocks` vectors wide.
    fn per_gate(self, blocks: usize) -> Vec<GateProduct> {
        let one =
            |(i, gate)| GateProduct { offset: (self.offset + i) * blocks, gates: std::slice::from_ref(gate), ..self };
        self.gates.iter().enumerate().map(one).collect()
    }

    /// The vectors that it fills: each one's place in the panel, its gate, and which of the gate's vectors it is.
    pub(crate) fn vectors(self, blocks: usize) -> impl Iterator<Item = (usize, usize, usize)> {
        let vectors = self.gates.iter().flat_map(move |&gate| (0..blocks).map(move |block| (gate, block)));
        vectors.enumerate().map(move |(i, (gate, block))| (self.offset + i, gate, block))
    }

    /// How many vectors it fills.
    #[inline(always)]
    pub(crate) fn width(self, blocks: usize) -> usize {
        self.gates.len() * blocks
    }
}
