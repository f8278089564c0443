//! The loss of a choice among classes, with its gradient, in two launches; that of a yes or no in one.

use crate::Buffer;
use crate::launch::rows;
use cubecl::client::Client;
use cubecl::prelude::*;

/// Units of a cube that work on one row together.
const ROW: u32 = 64;
/// Units of the one cube that adds the rows up.
const SUM: u32 = 256;

/// The mean over the rows of `logits`, `[rows, classes]`, of `−ln softmax(row)[target]`, and if `wanted` its gradient,
/// `[rows, classes]`. A target that is no class gives a loss of +∞.
///
/// # Panics
/// On buffers of other lengths, and without rows or classes.
pub fn cross_entropy(
    client: &Client,
    [n, classes]: [usize; 2],
    logits: &Buffer,
    targets: &Buffer,
    wanted: bool,
) -> (Buffer, Option<Buffer>) {
    assert!(n > 0 && classes > 0 && logits.len() == n * classes && targets.len() == n, "{n} rows of {classes} classes");
    let losses = Buffer::empty(client, n);
    let gradient = Buffer::empty(client, if wanted { n * classes } else { 1 });
    cross_entropy_rows::launch(
        client,
        rows(n),
        CubeDim::new_1d(ROW),
        logits.arg(),
        targets.arg(),
        losses.arg(),
        gradient.arg(),
        classes as u32,
        1.0 / n as f32,
        wanted,
    );
    let loss = Buffer::empty(client, 1);
    mean::launch(client, rows(1), CubeDim::new_1d(SUM), losses.arg(), loss.arg(), 1.0 / n as f32);
    (loss, wanted.then_some(gradient))
}

/// The mean over the rows of `−ln σ(logit)` where the target is 1 and `−ln(1 − σ(logit))` where it is 0, and if `wanted`
/// its gradient.
///
/// # Panics
/// On buffers of other lengths, and without rows.
pub fn binary_cross_entropy(
    client: &Client,
    logits: &Buffer,
    targets: &Buffer,
    wanted: bool,
) -> (Buffer, Option<Buffer>) {
    let n = logits.len();
    assert!(n > 0 && targets.len() == n, "{n} logits, {} targets", targets.len());
    let (loss, gradient) = (Buffer::empty(client, 1), Buffer::empty(client, if wanted { n } else { 1 }));
    binary::launch(
        client,
        rows(1),
        CubeDim::new_1d(SUM),
        logits.arg(),
        targets.arg(),
        loss.arg(),
        gradient.arg(),
        1.0 / n as f32,
        wanted,
    );
    (loss, wanted.then_some(gradient))
}

/// A cube for each row: its largest logit m, Σ = Σⱼ exp(xⱼ − m), the loss ln Σ + m − x_target, and softmax − one-hot.
#[cube(launch)]
fn cross_entropy_rows(
    x: &[f32],
    targets: &[i32],
    losses: &mut [f32],
    gradient: &mut [f32],
    classes: u32,
    share: f32,
    #[comptime] wanted: bool,
) {
    let row = CUBE_POS;
    let unit = UNIT_POS_X as usize;
    let classes = classes as usize;
    let mut shared = Shared::new_slice(ROW as usize);
    if row < losses.len() {
        let from = row * classes;
        // The first class stands in where a unit has none.
        let mut most = x[from];
        let mut j = unit;
        while j < classes {
            most = most.max(x[from + j]);
            j += ROW as usize;
        }
        shared[unit] = most;
        sync_cube();
        let mut most = shared[0];
        for other in 1..ROW as usize {
            most = most.max(shared[other]);
        }
        sync_cube();
        let mut sum = 0.0f32;
        let mut j = unit;
        while j < classes {
            sum += (x[from + j] - most).exp();
            j += ROW as usize;
        }
        shared[unit] = sum;
        sync_cube();
        let mut sum = 0.0f32;
        for other in 0..ROW as usize {
            sum += shared[other];
        }
        let target = targets[row];
        if wanted {
            let mut j = unit;
            while j < classes {
                let mut slope = (x[from + j] - most).exp() / sum;
                if i32::cast_from(j) == target {
                    slope -= 1.0f32;
                }
                gradient[from + j] = slope * share;
                j += ROW as usize;
            }
        }
        if unit == 0 {
            if target >= 0 && (target as usize) < classes {
                losses[row] = sum.ln() + most - x[from + target as usize];
            } else {
                // WGSL has no literal for infinity.
                losses[row] = (sum * 1000.0f32).exp();
            }
        }
    }
}

/// One cube: `share` times the sum, always in the same order.
#[cube(launch)]
fn mean(values: &[f32], sum: &mut [f32], share: f32) {
    let unit = UNIT_POS_X as usize;
    let mut shared = Shared::new_slice(SUM as usize);
    let mut own = 0.0f32;
    let mut i = unit;
    while i < values.len() {
        own += values[i];
        i += SUM as usize;
    }
    shared[unit] = own;
    sync_cube();
    if unit == 0 {
        let mut all = 0.0f32;
        for other in 0..SUM as usize {
            all += shared[other];
        }
        sum[0] = all * share;
    }
}

/// One cube. `−ln σ(x) = ln(1 + exp(−|x|)) + max(−x, 0)`; the slope is σ(x) − target.
#[cube(launch)]
fn binary(x: &[f32], targets: &[i32], loss: &mut [f32], gradient: &mut [f32], share: f32, #[comptime] wanted: bool) {
    let unit = UNIT_POS_X as usize;
    let mut shared = Shared::new_slice(SUM as usize);
    let mut own = 0.0f32;
    let mut i = unit;
    while i < x.len() {
        let target = f32::cast_from(targets[i]);
        let small = (-x[i].abs()).exp();
        own += (1.0f32 + small).ln() + x[i].max(0.0f32) - target * x[i];
        if wanted {
            let mut sigma = 1.0f32 / (1.0f32 + small);
            if x[i] < 0.0f32 {
                sigma = small / (1.0f32 + small);
            }
            gradient[i] = (sigma - target) * share;
        }
        i += SUM as usize;
    }
    shared[unit] = own;
    sync_cube();
    if unit == 0 {
        let mut all = 0.0f32;
        for other in 0..SUM as usize {
            all += shared[other];
        }
        loss[0] = all * share;
    }
}
