//! Logistic regression with L2 by coordinate descent on its dual (Yu, Huang and Lin, 2011): one example at a time, a
//! pass over the data is a pass over its non-zero values.

use rnn_core::Key;

/// Passes over the data at most.
const PASSES: u64 = 30;
/// Passes end when no dual variable's gradient was larger.
const ENOUGH: f64 = 0.01;

/// What the features of a text with `count` of them are scaled by, so that a long text is no more than a short one.
pub fn scale(count: usize) -> f64 {
    1.0 / (count.max(1) as f64).sqrt()
}

/// Minimises ½|w|² + c·Σ log(1 + exp(−y·(w·x + b))) with y = ±1 as `is_it` says. The x of a row has `values[i]` at each
/// of its features i, times the row's [`scale`]. Returns w and b, which is the weight of a feature that all rows have.
pub fn logistic(rows: &[Vec<u32>], values: &[f32], is_it: &[bool], c: f64) -> (Vec<f32>, f64) {
    let squares = |row: &Vec<u32>| row.iter().map(|&i| f64::from(values[i as usize]).powi(2)).sum::<f64>();
    let scales: Vec<f64> = rows.iter().map(|row| scale(row.len())).collect();
    // |x|², with the 1 of b.
    let lengths: Vec<f64> = rows.iter().zip(&scales).map(|(row, scale)| squares(row) * scale * scale + 1.0).collect();
    let mut w = vec![0f32; values.len()];
    let mut b = 0f64;
    let add = |w: &mut [f32], row: &[u32], step: f64| {
        let step = step as f32;
        row.iter().for_each(|&i| w[i as usize] += step * values[i as usize]);
    };
    let sign = |i: usize| if is_it[i] { 1.0 } else { -1.0 };
    // α and c − α.
    let first = (1e-3 * c).min(1e-8);
    let mut dual = vec![[first, c - first]; rows.len()];
    for pass in 0..PASSES {
        let mut largest = 0f64;
        for i in Key::new(1).child(pass).permutation(rows.len()) {
            let (row, y) = (&rows[i], sign(i));
            let product: f32 = row.iter().map(|&f| w[f as usize] * values[f as usize]).sum();
            let margin = y * (f64::from(product) * scales[i] + b);
            let a = lengths[i];
            // The smaller of the two variables is the one that is known precisely.
            let (one, sign) = if 0.5 * a * (dual[i][1] - dual[i][0]) + margin < 0.0 { (1, -1.0) } else { (0, 1.0) };
            let old = dual[i][one];
            let mut z = if c - old < 0.5 * c { 0.1 * old } else { old };
            let slope = |z: f64| a * (z - old) + sign * margin + (z / (c - z)).ln();
            let mut gradient = slope(z);
            largest = largest.max(gradient.abs());
            for _ in 0..20 {
                if gradient.abs() < 1e-4 {
                    break;
                }
                let next = z - gradient / (a + c / (c - z) / z);
                z = if next <= 0.0 { 0.1 * z } else { next.min(c * (1.0 - 1e-12)) };
                gradient = slope(z);
            }
            dual[i][one] = z;
            dual[i][1 - one] = c - z;
            let step = sign * (z - old) * y;
            add(&mut w, row, step * scales[i]);
            b += step;
        }
        if largest < ENOUGH {
            break;
        }
    }
    (w, b)
}
