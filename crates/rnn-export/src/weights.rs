//! The weights of a recurrent layer on the host, PyTorch's way round.

use crate::ExportError;
use burn::tensor::Tensor;
use rnn_core::cell::{Activation, Cell, Kernel, KernelOptions};
use rnn_core::{AnyRecurrent, Direction};

/// The numbers of a tensor, row by row.
pub(crate) fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// A matrix, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    /// How many rows.
    pub rows: usize,
    /// How many columns.
    pub columns: usize,
    /// The numbers.
    pub values: Vec<f32>,
}

impl Matrix {
    /// The numbers of `tensor`.
    pub fn of(tensor: Tensor<2>) -> Self {
        let [rows, columns] = tensor.dims();
        Self { rows, columns, values: numbers(tensor) }
    }

    /// With rows for columns.
    pub fn transposed(&self) -> Self {
        let (rows, columns) = (self.columns, self.rows);
        let values = (0..rows).flat_map(|r| (0..columns).map(move |c| self.values[c * rows + r])).collect();
        Self { rows, columns, values }
    }
}

/// What PyTorch and ONNX have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A plain RNN with tanh.
    RnnTanh,
    /// A plain RNN with max(0, x).
    RnnRelu,
    /// An LSTM, its gates in the order i f g o.
    Lstm,
    /// A GRU, its gates in the order r z n.
    Gru {
        /// Whether the reset gate acts after the recurrent product.
        reset_after: bool,
    },
}

impl Kind {
    /// How many gates lie in a matrix.
    pub fn gates(self) -> usize {
        match self {
            Self::RnnTanh | Self::RnnRelu => 1,
            Self::Lstm => 4,
            Self::Gru { .. } => 3,
        }
    }
}

/// The weights of one layer and direction, with G gates.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    /// `[G·d_hidden, d_input]`.
    pub weight_ih: Matrix,
    /// `[G·d_hidden, d_hidden]`.
    pub weight_hh: Matrix,
    /// b_ih and b_hh, `[G·d_hidden]` each; none where the layer has none.
    pub biases: Option<[Vec<f32>; 2]>,
}

/// A recurrent layer, or a stack of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Recurrent {
    /// The cell.
    pub kind: Kind,
    /// Which way each layer goes.
    pub direction: Direction,
    /// Features of each step of the input.
    pub d_input: usize,
    /// Units of each layer.
    pub d_hidden: Vec<usize>,
    /// Per layer and direction: index `layer · directions + direction`.
    pub weights: Vec<Weights>,
}

impl Recurrent {
    /// The weights of `layer`.
    ///
    /// # Errors
    /// Options that neither PyTorch nor ONNX have.
    pub fn of(layer: &AnyRecurrent) -> Result<Self, ExportError> {
        let config = &layer.config;
        let unlike = ExportError::Unlike;
        let plain = KernelOptions::PLAIN;
        let relu = KernelOptions { candidate: Activation::Relu, ..plain };
        let learns_more = config.cell.proj_size().is_some() || !config.cell.vectors(false).is_empty();
        let kind = match config.cell.kernel().filter(|_| !learns_more) {
            Some(Kernel::Rnn(options)) if options == plain => Kind::RnnTanh,
            Some(Kernel::Rnn(options)) if options == relu => Kind::RnnRelu,
            Some(Kernel::Lstm(options)) if options == plain => Kind::Lstm,
            Some(Kernel::Gru { reset_after, options }) if options == plain => Kind::Gru { reset_after },
            _ => return Err(unlike(config.cell.unlike_pytorch().unwrap_or("these options"))),
        };
        if config.layer_norm {
            return Err(unlike("layer normalisation inside the cell"));
        }
        if config.zoneout.hidden > 0.0 || config.zoneout.cell > 0.0 {
            return Err(unlike("zoneout"));
        }
        let weights = layer.layers.iter().map(|layer| {
            let weight_ih = Matrix::of(layer.weight_ih.val().transpose());
            let Some(weight_hh) = &layer.weight_hh else { return Err(unlike("a cell without recurrent weights")) };
            let weight_hh = Matrix::of(weight_hh.val().transpose());
            let width = weight_ih.rows;
            let or_zeros = |bias: &Option<burn::module::Param<Tensor<1>>>| match bias {
                Some(bias) => numbers(bias.val()),
                None => vec![0.0; width],
            };
            let any = layer.bias_ih.is_some() || layer.bias_hh.is_some();
            let biases = any.then(|| [&layer.bias_ih, &layer.bias_hh].map(or_zeros));
            Ok(Weights { weight_ih, weight_hh, biases })
        });
        let weights = weights.collect::<Result<_, _>>()?;
        let (direction, d_input, d_hidden) = (config.direction, config.d_input, config.d_hidden.clone());
        Ok(Self { kind, direction, d_input, d_hidden, weights })
    }

    /// 1, or 2 for both directions.
    pub fn directions(&self) -> usize {
        self.direction.count()
    }

    /// How many numbers the matrices have.
    pub fn matrix_values(&self) -> usize {
        self.weights.iter().map(|w| w.weight_ih.values.len() + w.weight_hh.values.len()).sum()
    }

    /// How many rows the matrices have: each has a scale of its own as int8.
    pub fn matrix_rows(&self) -> usize {
        self.weights.iter().map(|w| w.weight_ih.rows + w.weight_hh.rows).sum()
    }
}
