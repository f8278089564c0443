//! Through the normalisation of the input's products.

use super::{Call, sum};
use crate::args::Norm;
use crate::buffer::ALIGNMENT;
use crate::launch::{CUBE, rows};
use crate::layer::{Normalized, Saved, optional_u32};
use crate::{Buffer, norm};
use cubecl::prelude::*;

/// A sum over all steps is made in at most this many parts, which are then added up.
const STRETCHES: usize = 64;

impl Call<'_> {
    /// The gradients of γ_ih and b_ih; and puts the gradients of the input's products in place of those of the sums.
    pub(super) fn through_norm<N: Float>(&self, normalized: &Normalized) -> [Buffer; 2] {
        let Call { client, layer, sequence, saved, deltas, .. } = self;
        let shape = self.shape.of_sums();
        let Some(Norm { ih, .. }) = &layer.norm else { unreachable!("forward normalised") };
        let Saved { plan, .. } = saved;
        let width = layer.cell.gates() * layer.d_hidden;
        let stride = width.next_multiple_of(ALIGNMENT);
        let stretch = plan.steps.div_ceil(STRETCHES).max(1);
        let stretches = plan.steps.div_ceil(stretch).max(1);
        let of_stretches = Buffer::empty(client, stretches * 2 * stride);
        let (symbols, table) = (normalized.symbols.as_ref(), plan.table.as_ref());
        let order_at = plan.order_at(sequence.batch, sequence.time) as u32;
        // SAFETY: as in `forward`, here and below.
        unsafe {
            norm::sums::launch_unchecked::<N>(
                client,
                CubeCount::Static(stretches as u32, (width as u32).div_ceil(CUBE), 1),
                CubeDim::new_1d(CUBE),
                deltas.arg(),
                normalized.products.arg(),
                optional_u32(symbols),
                optional_u32(table),
                of_stretches.arg(),
                plan.steps as u32,
                stretch as u32,
                stride as u32,
                order_at,
                sequence.batch as u32,
                sequence.time as u32,
                shape,
            )
        }
        let sums = sum(client, &of_stretches, stretches, 2 * stride);
        let of_input = [sums.part(0, width), sums.part(stride, width)];
        if plan.steps == 0 {
            return of_input;
        }
        unsafe {
            norm::gradient::launch_unchecked::<N>(
                client,
                rows(plan.steps),
                CubeDim::new_1d(shape.units as u32),
                shape.line(),
                deltas.arg(),
                normalized.products.arg(),
                normalized.scales.arg(),
                ih.arg(),
                optional_u32(symbols),
                optional_u32(table),
                plan.steps as u32,
                order_at,
                sequence.batch as u32,
                sequence.time as u32,
                shape,
            )
        }
        of_input
    }
}
