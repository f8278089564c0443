//! safetensors with PyTorch's names, and a Python file that makes an `nn.Module` of them.

use crate::int8::Quantized;
use crate::{Answer, ExportError, Input, Kind, Matrix, Network, Read, Weights};
use rnn_core::Direction;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

/// The names of the files.
pub const WEIGHTS: &str = "model.safetensors";
/// The Python file that loads them.
pub const PYTHON: &str = "model.py";

struct Tensor {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

fn floats(name: impl Into<String>, shape: &[usize], values: &[f32]) -> Tensor {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    Tensor { name: name.into(), dtype: Dtype::F32, shape: shape.to_vec(), bytes }
}

fn matrix(name: &str, matrix: &Matrix) -> Tensor {
    floats(name, &[matrix.rows, matrix.columns], &matrix.values)
}

fn int8_matrix(name: &str, matrix: &Matrix) -> [Tensor; 2] {
    let Quantized { values, scales } = Quantized::of(matrix);
    let bytes = values.iter().map(|&value| value as u8).collect();
    let shape = vec![matrix.rows, matrix.columns];
    let values = Tensor { name: format!("{name}.int8"), dtype: Dtype::I8, shape, bytes };
    [values, floats(format!("{name}.scale"), &[matrix.rows], &scales)]
}

/// The weights as a file of safetensors: `embedding.weight`, `rnn.weight_ih_l0` and so on, `dense.weight`,
/// `dense.bias`, `beside.weight`. With `int8` a recurrent matrix `NAME` is `NAME.int8`, `[rows, columns]`, and `NAME.scale`, `[rows]`.
///
/// # Errors
/// A layer that PyTorch does not have.
pub fn safetensors(network: &Network, int8: bool) -> Result<Vec<u8>, ExportError> {
    check(network)?;
    let mut tensors = Vec::new();
    if let Input::Ids(table) = &network.input {
        tensors.push(matrix("embedding.weight", table));
    }
    let directions = network.recurrent.directions();
    for (index, Weights { weight_ih, weight_hh, biases }) in network.recurrent.weights.iter().enumerate() {
        let reverse = if index % directions == 1 { "_reverse" } else { "" };
        let name = |kind: &str| format!("rnn.{kind}_l{}{reverse}", index / directions);
        for (kind, weight) in [("weight_ih", weight_ih), ("weight_hh", weight_hh)] {
            match int8 {
                true => tensors.extend(int8_matrix(&name(kind), weight)),
                false => tensors.push(matrix(&name(kind), weight)),
            }
        }
        for (kind, bias) in ["bias_ih", "bias_hh"].iter().zip(biases.iter().flatten()) {
            tensors.push(floats(name(kind), &[bias.len()], bias));
        }
    }
    tensors.push(matrix("dense.weight", &network.dense.weight));
    tensors.push(floats("dense.bias", &[network.dense.bias.len()], &network.dense.bias));
    if let Some(beside) = &network.beside {
        tensors.push(matrix("beside.weight", &beside.weight));
    }
    let views: Result<Vec<_>, _> =
        tensors.iter().map(|t| Ok((t.name.as_str(), TensorView::new(t.dtype, t.shape.clone(), &t.bytes)?))).collect();
    let views = views.map_err(ExportError::Safetensors)?;
    Ok(safetensors::serialize(views, None)?)
}

fn check(network: &Network) -> Result<(), ExportError> {
    let recurrent = &network.recurrent;
    let unlike = |what| Err(ExportError::UnlikePytorch(what));
    if recurrent.direction == Direction::Backward {
        unlike("the backward direction alone")
    } else if recurrent.kind == (Kind::Gru { reset_after: false }) {
        unlike("a reset gate before the recurrent product")
    } else if recurrent.d_hidden.windows(2).any(|pair| pair[0] != pair[1]) {
        unlike("layers of different sizes")
    } else {
        Ok(())
    }
}

/// The Python file. `title` says what the network is.
pub fn python(network: &Network, title: &str) -> String {
    // It stands between the quotes of a Python text.
    let title = title.replace('\\', "/").replace('"', "'").replace(char::is_control, " ");
    let recurrent = &network.recurrent;
    let class = match recurrent.kind {
        Kind::RnnTanh | Kind::RnnRelu => "RNN",
        Kind::Lstm => "LSTM",
        Kind::Gru { .. } => "GRU",
    };
    let mut options = vec![recurrent.d_input.to_string(), recurrent.d_hidden[0].to_string()];
    if recurrent.d_hidden.len() > 1 {
        options.push(format!("num_layers={}", recurrent.d_hidden.len()));
    }
    if recurrent.kind == Kind::RnnRelu {
        options.push("nonlinearity=\"relu\"".into());
    }
    if recurrent.weights.iter().all(|weights| weights.biases.is_none()) {
        options.push("bias=False".into());
    }
    if recurrent.direction == Direction::Bidirectional {
        options.push("bidirectional=True".into());
    }
    options.push("batch_first=True".into());
    let (argument, x, embedding) = match &network.input {
        Input::Ids(table) => {
            let line = format!("        self.embedding = nn.Embedding({}, {})\n", table.rows, table.columns);
            ("ids", "self.embedding(ids)".to_string(), line)
        }
        Input::Symbols => {
            let x = format!("nn.functional.one_hot(ids, {}).float()", recurrent.d_input);
            ("ids", x, String::new())
        }
        Input::Features => ("x", "x".to_string(), String::new()),
    };
    let mut from = match &network.input {
        Input::Features => format!("x: numbers, [batch, time, {}].", recurrent.d_input),
        _ => "ids: whole numbers, [batch, time].".into(),
    };
    let (mut signature, mut lines, mut x) = (argument.to_string(), Vec::new(), x);
    if network.lengths {
        from += " lengths: of each sequence, [batch], 1 at least.";
        signature += ", lengths";
        let pack = "nn.utils.rnn.pack_padded_sequence";
        lines.push(format!("packed = {pack}({x}, lengths.cpu(), batch_first=True, enforce_sorted=False)"));
        x = "packed".into();
    }
    let unpacked = "h, _ = nn.utils.rnn.pad_packed_sequence(h, batch_first=True)";
    let unpack = if network.lengths { vec![unpacked.to_string()] } else { Vec::new() };
    let gives = match network.read {
        Read::EveryStep => {
            signature += ", state=None";
            lines.push(format!("h, state = self.rnn({x}, state)"));
            lines.extend(unpack);
            lines.push("return self.dense(h), state".into());
            "logits, [batch, time, answers], and the state, from which the next call goes on"
        }
        Read::Last => {
            let state = if recurrent.kind == Kind::Lstm { "(state, _)" } else { "state" };
            let last = match recurrent.direction {
                Direction::Bidirectional => "torch.cat([state[-2], state[-1]], dim=1)",
                _ => "state[-1]",
            };
            lines.push(format!("_, {state} = self.rnn({x})"));
            let beside = network.beside.as_ref().map_or(String::new(), |beside| {
                let (steps, features) = (beside.weight.columns / beside.features, beside.features);
                format!(" + self.beside(x[:, -{steps}:, :{features}].flatten(1))")
            });
            lines.push(format!("return self.dense({last}){beside}"));
            "logits, [batch, answers]"
        }
        Read::Pooled { max, mean } => {
            lines.push(format!("h, _ = self.rnn({x})"));
            lines.extend(unpack);
            let [high, middle] = match network.lengths {
                true => ["high.amax(1)", "h.sum(1) / lengths.to(h.device)[:, None]"],
                false => ["h.amax(1)", "h.mean(1)"],
            };
            if network.lengths && max {
                lines.push("steps = torch.arange(h.shape[1], device=h.device)".into());
                lines.push("padding = steps[None, :, None] >= lengths.to(h.device)[:, None, None]".into());
                lines.push("high = h.masked_fill(padding, -1e9)".into());
            }
            lines.push(match [max, mean] {
                [true, true] => format!("return self.dense(torch.cat([{high}, {middle}], dim=1))"),
                [true, false] => format!("return self.dense({high})"),
                _ => format!("return self.dense({middle})"),
            });
            "logits, [batch, answers]"
        }
    };
    let body = lines.join("\n        ");
    let probabilities = match network.answer {
        Answer::Plain => "",
        Answer::Sigmoid => " Their torch.sigmoid is the probability.",
        Answer::Softmax => " Their torch.softmax(…, -1) are the probabilities.",
    };
    let beside = network.beside.as_ref().map_or(String::new(), |beside| {
        let Matrix { rows, columns, .. } = beside.weight;
        format!("        self.beside = nn.Linear({columns}, {rows}, bias=False)\n")
    });
    let (d_dense, answers) = (network.dense.weight.columns, network.dense.weight.rows);
    format!(
        r#""""{title}

    from model import load
    model = load()

It needs torch and safetensors, and model.safetensors beside this file.
"""

import pathlib

import torch
from safetensors.torch import load_file
from torch import nn


class Model(nn.Module):
    """{from} Gives {gives}.{probabilities}"""

    def __init__(self):
        super().__init__()
{embedding}        self.rnn = nn.{class}({options})
        self.dense = nn.Linear({d_dense}, {answers})
{beside}
    def forward(self, {signature}):
        {body}


def load(path=pathlib.Path(__file__).with_name("{WEIGHTS}")):
    """The trained model. Weights that are int8 in the file are multiplied by the scales of their rows."""
    tensors, weights = load_file(path), {{}}
    for name, tensor in tensors.items():
        if name.endswith(".int8"):
            name = name.removesuffix(".int8")
            tensor = tensor.float() * tensors[name + ".scale"][:, None]
        if not name.endswith(".scale"):
            weights[name] = tensor
    model = Model()
    model.load_state_dict(weights)
    return model.eval()
"#,
        options = options.join(", "),
    )
}
