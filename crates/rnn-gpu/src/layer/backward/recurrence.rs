//! The recurrence, of whichever kind the layer has.

use super::{Call, sum};
use crate::args::Norm;
use crate::layer::{Saved, optional, optional_u32};
use crate::product::{Matrix, WIDE};
use crate::{Buffer, backward as plain, normalized, scan};
use cubecl::prelude::*;

impl Call<'_> {
    /// The recurrence of a cell without `W_hh`.
    pub(super) fn scan<N: Float>(&self) {
        let Call { client, sequence, saved, d_output, shape, .. } = self;
        let Saved { states, plan, .. } = saved;
        let d_sequence = d_output.sequence.as_ref();
        let [stride_t, stride_b, stride_j] = d_sequence.map_or([0; 3], |grad| grad.strides.map(|stride| stride as u32));
        // SAFETY: as in `forward`, here and below.
        unsafe {
            scan::backward::launch_unchecked::<N>(
                client,
                CubeCount::Static(plan.cubes as u32, shape.chunks() as u32, 1),
                CubeDim::new_1d(shape.units as u32),
                optional(d_sequence.map(|grad| &grad.buffer)),
                optional(d_output.h.as_ref()),
                states.arg(),
                optional(sequence.zoneout_h.drawn()),
                optional_u32(plan.table.as_ref()),
                self.deltas.arg(),
                self.d_first.arg(),
                stride_t,
                stride_b,
                stride_j,
                sequence.time as u32,
                sequence.batch as u32,
                plan.index_at() as u32,
                sequence.zoneout_h.mean(),
                *shape,
            )
        }
    }

    /// That of any other. The gradients of what the layer learns beside its weights, as [`Shape::learned_at`] says.
    pub(super) fn recurrence<N: Float>(&self, w_hh: &Buffer) -> Option<Buffer> {
        let Call { client, layer, sequence, saved, d_output, shape, first_c_at, .. } = self;
        let Saved { states, storage, plan, masks, .. } = saved;
        let (gates, d_hidden) = (layer.cell.gates(), layer.d_hidden);
        let packed = Matrix {
            groups: gates,
            terms: d_hidden,
            columns: d_hidden,
            term_stride: 1,
            column_stride: gates * d_hidden,
        };
        let (w_hh_t, _) = packed.pack::<N>(client, *storage, w_hh, &[]);
        let of_cubes = Buffer::empty(client, plan.cubes * shape.learned());
        let count = CubeCount::Static(plan.cubes as u32, 1, 1);
        let dim = CubeDim::new_1d(shape.units as u32);
        let d_sequence = d_output.sequence.as_ref();
        let [stride_t, stride_b, stride_j] = d_sequence.map_or([0; 3], |grad| grad.strides.map(|stride| stride as u32));
        let [p_i, p_f, p_o] = layer.peepholes.each_ref().map(|vector| optional(vector.as_ref()));
        match (&layer.norm, &saved.normalized) {
            (Some(Norm { hh: Some(hh), c, .. }), Some(normalized)) => {
                let [gamma_c, beta_c] = [0, 1].map(|which| optional(c.as_ref().map(|c| &c[which])));
                unsafe {
                    normalized::backward::recurrence::launch_unchecked::<N>(
                        client,
                        count,
                        dim,
                        shape.line(),
                        optional(d_sequence.map(|grad| &grad.buffer)),
                        optional(d_output.h.as_ref()),
                        optional(d_output.c.as_ref()),
                        states.arg(),
                        normalized.stats.arg(),
                        w_hh_t.arg_of(WIDE),
                        hh.arg(),
                        gamma_c,
                        beta_c,
                        p_i,
                        p_f,
                        p_o,
                        optional(masks.as_ref()),
                        optional(sequence.zoneout_h.drawn()),
                        optional(sequence.zoneout_c.drawn()),
                        optional_u32(plan.table.as_ref()),
                        self.deltas.arg(),
                        self.d_first.arg(),
                        of_cubes.arg(),
                        stride_t,
                        stride_b,
                        stride_j,
                        sequence.time as u32,
                        sequence.batch as u32,
                        plan.index_at() as u32,
                        *first_c_at as u32,
                        sequence.zoneout_h.mean(),
                        sequence.zoneout_c.mean(),
                        *shape,
                    )
                }
            }
            _ => unsafe {
                plain::recurrence::launch_unchecked::<N>(
                    client,
                    count,
                    dim,
                    shape.line(),
                    optional(d_sequence.map(|grad| &grad.buffer)),
                    optional(d_output.h.as_ref()),
                    optional(d_output.c.as_ref()),
                    states.arg(),
                    w_hh_t.arg_of(WIDE),
                    p_i,
                    p_f,
                    p_o,
                    optional(masks.as_ref()),
                    optional(sequence.zoneout_h.drawn()),
                    optional(sequence.zoneout_c.drawn()),
                    optional_u32(plan.table.as_ref()),
                    self.deltas.arg(),
                    self.d_first.arg(),
                    of_cubes.arg(),
                    stride_t,
                    stride_b,
                    stride_j,
                    sequence.time as u32,
                    sequence.batch as u32,
                    plan.index_at() as u32,
                    *first_c_at as u32,
                    sequence.zoneout_h.mean(),
                    sequence.zoneout_c.mean(),
                    *shape,
                )
            },
        }
        (shape.learned() > 0).then(|| sum(client, &of_cubes, plan.cubes, shape.learned()))
    }
}
