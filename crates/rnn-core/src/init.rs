//! Initial weights, drawn on the host from a [`Key`], the same on every backend.

use crate::{Key, RnnError};
use burn::module::Param;
use burn::nn::{Embedding, Linear};
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

/// How one parameter is filled.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Initializer {
    /// All zero.
    Zeros,
    /// All the same value.
    Constant(f64),
    /// Uniform in `[-limit, limit)`.
    Uniform(f64),
    /// Uniform in ±√(6 / (rows + columns)) of the whole matrix (Glorot and Bengio, 2010; Keras' `glorot_uniform`).
    GlorotUniform,
    /// Orthonormal rows or columns, whichever are fewer, of the whole matrix (Saxe et al., 2014; Keras'
    /// `orthogonal`). More than 512 of them are made in blocks, whose sums round otherwise than one after the other.
    Orthogonal,
    /// Uniform in ±1/√d_hidden (PyTorch's recurrent layers).
    UniformHidden,
    /// This multiple of the identity, in each gate's square: rows beyond the columns, or columns beyond the rows, are
    /// zero. With relu, IRNN's recurrence (Le, Jaitly and Hinton, 2015).
    Identity(f64),
}

impl Initializer {
    /// Draws a matrix `[rows, columns]`, row by row. `d_hidden` is what [`Initializer::UniformHidden`] divides by.
    pub fn matrix(self, rows: usize, columns: usize, d_hidden: usize, key: Key) -> Vec<f64> {
        let n = rows * columns;
        match self {
            Initializer::GlorotUniform => uniform(n, (6.0 / (rows + columns) as f64).sqrt(), key).collect(),
            Initializer::Orthogonal => orthogonal(rows, columns, key),
            Initializer::Identity(scale) => {
                let on_diagonal = |i: usize| i % columns % d_hidden == i / columns;
                (0..n).map(|i| if on_diagonal(i) { scale } else { 0.0 }).collect()
            }
            other => other.elementwise(n, d_hidden, key),
        }
    }

    /// Draws a vector of `n` values.
    ///
    /// # Errors
    /// [`RnnError::Initializer`] for the initialisers that need a matrix.
    pub fn vector(self, n: usize, d_hidden: usize, key: Key) -> Result<Vec<f64>, RnnError> {
        match self {
            Initializer::GlorotUniform | Initializer::Orthogonal | Initializer::Identity(_) => {
                Err(RnnError::Initializer {
                    initializer: format!("{self:?}"),
                    parameter: "bias",
                    reason: "it is defined for matrices only; use Zeros, Constant or a uniform one".into(),
                })
            }
            other => Ok(other.elementwise(n, d_hidden, key)),
        }
    }

    fn elementwise(self, n: usize, d_hidden: usize, key: Key) -> Vec<f64> {
        match self {
            Initializer::Constant(value) => vec![value; n],
            Initializer::Uniform(limit) => uniform(n, limit, key).collect(),
            Initializer::UniformHidden => uniform(n, 1.0 / (d_hidden as f64).sqrt(), key).collect(),
            _ => vec![0.0; n],
        }
    }
}

/// The initialisers of a recurrent layer's three kinds of parameter.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Initializers {
    /// `W_ih`, `[d_input, gates·d_hidden]`, filled as one matrix.
    pub input: Initializer,
    /// `W_hh`, `[d_hidden, gates·d_hidden]`, filled as one matrix.
    pub recurrent: Initializer,
    /// The biases, `[gates·d_hidden]` each.
    pub bias: Initializer,
    /// Whether the forget gate's share of the input bias is 1, so that a new LSTM remembers (Jozefowicz et al.,
    /// 2015). Cells without a forget gate ignore it.
    pub unit_forget_bias: bool,
}

impl Initializers {
    /// Keras' own: Glorot uniform, orthogonal, zero bias, forget bias 1.
    pub const KERAS: Self = Self {
        input: Initializer::GlorotUniform,
        recurrent: Initializer::Orthogonal,
        bias: Initializer::Zeros,
        unit_forget_bias: true,
    };
    /// PyTorch's own: uniform ±1/√d_hidden throughout.
    pub const PYTORCH: Self = Self {
        input: Initializer::UniformHidden,
        recurrent: Initializer::UniformHidden,
        bias: Initializer::UniformHidden,
        unit_forget_bias: false,
    };
}

/// Whose conventions a model starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// Keras: Glorot uniform, orthogonal, zero bias with forget bias 1; one bias, or two for a GRU with
    /// `reset_after`.
    Keras,
    /// PyTorch: uniform ±1/√d_hidden throughout, two biases.
    Pytorch,
}

impl Preset {
    /// A dense layer, `[…, d_input]` to `[…, d_output]`: Glorot uniform with zero bias (Keras), or weight and bias
    /// uniform ±1/√d_input (PyTorch).
    pub fn linear(self, d_input: usize, d_output: usize, key: Key, device: &Device) -> Linear {
        let (weight, bias) = match self {
            Preset::Keras => (Initializer::GlorotUniform, Initializer::Zeros),
            Preset::Pytorch => (Initializer::UniformHidden, Initializer::UniformHidden),
        };
        let bias = bias.elementwise(d_output, d_input, key.child(1));
        Linear {
            weight: parameter(weight.matrix(d_input, d_output, d_input, key.child(0)), d_output, device),
            bias: Some(Param::from_tensor(Tensor::from_data(bias.as_slice(), device))),
        }
    }

    /// An embedding table, `[n_embedding, d_model]`: uniform ±0.05 (Keras), or standard normal (PyTorch).
    pub fn embedding(self, n_embedding: usize, d_model: usize, key: Key, device: &Device) -> Embedding {
        let n = n_embedding * d_model;
        let values = match self {
            Preset::Keras => uniform(n, 0.05, key).collect(),
            Preset::Pytorch => key.normals(n).collect(),
        };
        Embedding { weight: parameter(values, d_model, device) }
    }
}

/// A matrix of `columns` columns as a parameter on `device`.
pub(crate) fn parameter(values: Vec<f64>, columns: usize, device: &Device) -> Param<Tensor<2>> {
    let shape = [values.len() / columns, columns];
    Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), device))
}

fn uniform(n: usize, limit: f64, key: Key) -> impl Iterator<Item = f64> {
    key.uniforms(n).map(move |u| limit * (2.0 * u - 1.0))
}

/// Q of the QR decomposition of a normal matrix, with R's diagonal positive, which makes it uniform over the
/// orthogonal matrices (Mezzadri, 2007). In f64; the same numbers on every machine.
fn orthogonal(rows: usize, columns: usize, key: Key) -> Vec<f64> {
    let (count, length) = (rows.min(columns), rows.max(columns));
    let mut vectors = vec![0.0; count * length];
    key.fill_normals(&mut vectors);
    match count {
        0 => {}
        1..=ONE_BY_ONE => one_by_one(&mut vectors, length),
        _ => by_halves(&mut vectors, length),
    }
    if rows <= columns {
        vectors
    } else {
        (0..length).flat_map(|i| vectors.iter().skip(i).step_by(length).copied()).collect()
    }
}

/// The most rows that are made orthonormal one by one. It stays as it is: more by blocks would change the weights of
/// models that people have the seeds of.
const ONE_BY_ONE: usize = 512;

/// Modified Gram-Schmidt, twice.
fn one_by_one(vectors: &mut [f64], length: usize) {
    for k in 0..vectors.len() / length {
        let (before, v) = vectors[..(k + 1) * length].split_at_mut(k * length);
        for _ in 0..2 {
            for u in before.chunks_exact(length) {
                let along = dot(u, v);
                v.iter_mut().zip(u).for_each(|(v, u)| *v -= along * u);
            }
        }
        let norm = dot(v, v).sqrt();
        v.iter_mut().for_each(|x| *x /= norm);
    }
}

/// Gram-Schmidt, the first half of the rows before the second, until no row loses much of its length to the others:
/// where it does, rounding leaves it at an angle to them, and once more takes that away.
fn by_halves(vectors: &mut [f64], length: usize) {
    for _ in 0..3 {
        let norms: Vec<f64> = vectors.chunks_exact(length).map(|v| dot(v, v).sqrt()).collect();
        let mut left = vec![0.0; norms.len()];
        halves(vectors, length, &mut left);
        if norms.iter().zip(&left).all(|(norm, left)| *left >= norm / 2.0) {
            return;
        }
    }
}

/// Once; `left` becomes the rows' lengths without what they had along those before them.
fn halves(vectors: &mut [f64], length: usize, left: &mut [f64]) {
    const FEW: usize = 8;
    if left.len() > FEW {
        let half = left.len() / 2;
        let (first, second) = vectors.split_at_mut(half * length);
        halves(first, length, &mut left[..half]);
        project_out(length, first, second);
        halves(second, length, &mut left[half..]);
        return;
    }
    for (k, left) in left.iter_mut().enumerate() {
        let (before, v) = vectors[..(k + 1) * length].split_at_mut(k * length);
        for u in before.chunks_exact(length) {
            let along = dot(u, v);
            v.iter_mut().zip(u).for_each(|(v, u)| *v -= along * u);
        }
        *left = dot(v, v).sqrt();
        v.iter_mut().for_each(|x| *x /= *left);
    }
}

/// Takes from each of `rows` its projections on those of `basis`.
#[cfg(feature = "kernels")]
fn project_out(length: usize, basis: &[f64], rows: &mut [f64]) {
    rnn_kernels::project_out(rnn_kernels::Exec::default(), length, basis, rows);
}

/// The same, to the bit, by plain loops.
#[cfg(not(feature = "kernels"))]
fn project_out(length: usize, basis: &[f64], rows: &mut [f64]) {
    const PIECE: usize = 512;
    for v in rows.chunks_exact_mut(length) {
        let product = |u: &[f64]| u.chunks(PIECE).zip(v.chunks(PIECE)).fold(0.0, |sum, (u, v)| sum + eight_sums(u, v));
        let along: Vec<f64> = basis.chunks_exact(length).map(product).collect();
        for (along, u) in along.iter().zip(basis.chunks_exact(length)) {
            v.iter_mut().zip(u).for_each(|(v, u)| *v -= along * u);
        }
    }
}

#[cfg(not(feature = "kernels"))]
fn eight_sums(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    for (a, b) in a.chunks(8).zip(b.chunks(8)) {
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += a * b);
    }
    sums.into_iter().reduce(|a, b| a + b).unwrap_or_default()
}

/// Eight running sums, which the compiler can keep in one vector register.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let tail: f64 = a8.remainder().iter().zip(b8.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a8.zip(b8) {
        for i in 0..8 {
            sums[i] += x[i] * y[i];
        }
    }
    sums.iter().sum::<f64>() + tail
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest element of `M·Mᵀ − 1`, or `Mᵀ·M − 1`, whichever is smaller.
    fn off(m: &[f64], rows: usize, columns: usize) -> f64 {
        let vectors: Vec<Vec<f64>> = match rows <= columns {
            true => m.chunks_exact(columns).map(<[f64]>::to_vec).collect(),
            false => (0..columns).map(|c| (0..rows).map(|r| m[r * columns + c]).collect()).collect(),
        };
        let pairs = (0..vectors.len()).flat_map(|i| (0..=i).map(move |j| (i, j)));
        pairs.fold(0.0, |worst: f64, (i, j)| {
            worst.max((dot(&vectors[i], &vectors[j]) - f64::from(u8::from(i == j))).abs())
        })
    }

    #[test]
    fn orthogonal_matrices_are_orthonormal_both_ways_up() {
        for (rows, columns) in [(5, 20), (20, 5), (7, 7), (1, 3), (513, 700), (600, 513), (520, 520)] {
            let m = Initializer::Orthogonal.matrix(rows, columns, 0, Key::new(4));
            assert_eq!(m.len(), rows * columns);
            let off = off(&m, rows, columns);
            assert!(off < 1e-12, "{rows}x{columns}: {off:e}");
        }
        assert!(Initializer::Orthogonal.matrix(0, 3, 0, Key::new(4)).is_empty());
    }

    /// Blocks round otherwise, but make the same matrix: that of the one decomposition whose R has a positive diagonal.
    #[test]
    fn blocks_make_the_same_matrix() {
        for (count, length) in [(1, 1), (8, 8), (9, 40), (100, 100), (130, 520)] {
            let normals: Vec<f64> = Key::new(5).normals(count * length).collect();
            let (mut blocks, mut singly) = (normals.clone(), normals);
            by_halves(&mut blocks, length);
            one_by_one(&mut singly, length);
            let worst = blocks.iter().zip(&singly).fold(0.0, |worst: f64, (a, b)| worst.max((a - b).abs()));
            assert!(worst < 1e-11, "{count}x{length}: {worst:e}");
            assert!(off(&blocks, count, length) < 1e-14);
        }
    }

    /// Rows that are nearly the same, of which little is left but rounding.
    #[test]
    fn blocks_of_rows_that_lie_together_are_orthonormal() {
        let (count, length) = (40, 60);
        let mut vectors: Vec<f64> = Key::new(6).normals(count * length).collect();
        for k in 1..count {
            let (first, v) = vectors[..(k + 1) * length].split_at_mut(k * length);
            v.iter_mut().zip(&first[..length]).for_each(|(v, first)| *v = first + 1e-7 * *v);
        }
        by_halves(&mut vectors, length);
        assert!(off(&vectors, count, length) < 1e-14);
    }

    /// Elements of a row of a uniform orthogonal matrix have mean 0 and variance 1/length, and are normal for a large
    /// length.
    #[test]
    fn orthogonal_matrices_are_uniform() {
        for (rows, columns) in [(100, 400), (513, 1026)] {
            let m = Initializer::Orthogonal.matrix(rows, columns, 0, Key::new(7));
            let moment =
                |power| m.iter().map(|x| (x * (columns as f64).sqrt()).powi(power)).sum::<f64>() / m.len() as f64;
            let error = 5.0 / (m.len() as f64).sqrt();
            assert!(moment(1).abs() < error, "{}", moment(1));
            assert!((moment(2) - 1.0).abs() < 1e-12); // as the rows have length 1
            assert!((moment(4) - 3.0).abs() < 0.1, "{}", moment(4));
            // And the signs of the diagonal are even: R's is positive whatever Q's.
            let positive = (0..rows).filter(|i| m[i * columns + i] > 0.0).count() as f64 / rows as f64;
            assert!((0.35..0.65).contains(&positive), "{positive}");
        }
    }

    /// The weights of a seed: one by one, and in blocks. Their last digits are those of the system's logarithm and
    /// cosine.
    #[test]
    fn the_matrices_of_a_seed_stay_the_same() {
        for (rows, columns, expected) in [
            (16, 64, [-0.1132030762703468, 0.09509991460351465, 0.061233673084546664, 0.047799647106442945]),
            (513, 600, [-0.03627171393071222, 0.030471229325041, -0.017417268086158243, 0.011013396754654087]),
        ] {
            let n = rows * columns;
            let m = Initializer::Orthogonal.matrix(rows, columns, 0, Key::new(8));
            let found = [m[0], m[1], m[n / 2], m[n - 1]];
            let near = found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9);
            assert!(near, "{rows}x{columns}: {found:?}");
        }
    }

    #[test]
    fn limits_are_the_frameworks_own() {
        let reach = |v: Vec<f64>| v.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
        let glorot = reach(Initializer::GlorotUniform.matrix(128, 512, 128, Key::new(0)));
        let limit = (6.0f64 / 640.0).sqrt();
        assert!(glorot <= limit && glorot > 0.999 * limit);
        let torch = reach(Initializer::UniformHidden.matrix(64, 512, 128, Key::new(0)));
        let limit = 1.0 / 128f64.sqrt();
        assert!(torch <= limit && torch > 0.999 * limit);
    }

    #[test]
    fn the_identity_is_in_each_gate() {
        let m = Initializer::Identity(0.5).matrix(2, 4, 2, Key::new(0));
        assert_eq!(m, [0.5, 0., 0.5, 0., 0., 0.5, 0., 0.5]);
    }

    #[test]
    fn a_bias_cannot_be_orthogonal() {
        let error = Initializer::Orthogonal.vector(3, 3, Key::new(0)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "initializer Orthogonal cannot fill bias: it is defined for matrices only; use Zeros, Constant or a \
             uniform one"
        );
    }
}
