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
    /// Orthonormal rows or columns, whichever are fewer, of the whole matrix (Saxe et al., 2014; Keras' `orthogonal`).
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
/// orthogonal matrices (Mezzadri, 2007). By modified Gram-Schmidt, twice, in f64.
fn orthogonal(rows: usize, columns: usize, key: Key) -> Vec<f64> {
    let (count, length) = (rows.min(columns), rows.max(columns));
    let mut vectors: Vec<Vec<f64>> = Vec::with_capacity(count);
    let mut normals = key.normals(count * length);
    for _ in 0..count {
        let mut v: Vec<f64> = normals.by_ref().take(length).collect();
        for _ in 0..2 {
            for u in &vectors {
                let along = dot(u, &v);
                v.iter_mut().zip(u).for_each(|(v, u)| *v -= along * u);
            }
        }
        let norm = dot(&v, &v).sqrt();
        v.iter_mut().for_each(|x| *x /= norm);
        vectors.push(v);
    }
    if rows <= columns {
        vectors.concat()
    } else {
        (0..length).flat_map(|i| vectors.iter().map(move |v| v[i])).collect()
    }
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

    #[test]
    fn orthogonal_matrices_are_orthonormal_both_ways_up() {
        for (rows, columns) in [(5, 20), (20, 5), (7, 7), (1, 3)] {
            let m = Initializer::Orthogonal.matrix(rows, columns, 0, Key::new(4));
            let at = |r: usize, c: usize| m[r * columns + c];
            let n = rows.min(columns);
            for i in 0..n {
                for j in 0..n {
                    let product: f64 = if rows <= columns {
                        (0..columns).map(|c| at(i, c) * at(j, c)).sum()
                    } else {
                        (0..rows).map(|r| at(r, i) * at(r, j)).sum()
                    };
                    let expected = if i == j { 1.0 } else { 0.0 };
                    assert!((product - expected).abs() < 1e-12, "{rows}x{columns} {i},{j}");
                }
            }
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
