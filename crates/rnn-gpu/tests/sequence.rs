//! The kernels against plain loops over the equations, differentiated by a tape.
#![cfg(any(feature = "wgpu", feature = "cuda"))]

mod common;

use common::cpu::case::{CELLS, Case};
use common::{check, client};
use fastrand::Rng;

#[test]
fn plain_layers() {
    let client = client();
    eprintln!("{:?}", client.properties().hardware);
    let mut random = Rng::with_seed(1);
    for cell in CELLS {
        for shape in [[2, 3, 4, 5], [1, 1, 1, 1], [5, 4, 20, 17], [19, 7, 3, 33]] {
            let start = std::time::Instant::now();
            check(&client, &Case::plain(&mut random, cell, shape));
            eprintln!("{cell:?} {shape:?} {:?}", start.elapsed());
        }
    }
}
