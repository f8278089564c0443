//! ONNX, opset 17: what onnxruntime and others run.
//!
//! | | name, type, shape |
//! |---|---|
//! | input | `ids` int64 `[batch, time]`, or `features` float `[batch, time, d_input]` |
//! | and | `lengths` int64 `[batch]`, if [`Network::lengths`] |
//! | output | `logits` float `[batch, answers]`, or `[batch, time, answers]` for [`Read::EveryStep`] |
//! | and | `probabilities`, where the [`Answer`] says so |
//! | [`Read::EveryStep`] | `h0` in and `hn` out, float `[layers·directions, batch, d_hidden]`; with an LSTM `c0` and `cn` |
//!
//! `batch` and `time` are free. One-hot rows are ONNX' `OneHot`: a look-up in `W_ih` would need an LSTM node with an
//! identity of `G·d_hidden` rows for its input, which costs more than the product with the few symbols of a text.

mod graph;
mod pool;
mod protobuf;
mod recurrent;

use crate::{Answer, Beside, ExportError, Input, Network, Read};
use graph::Graph;
use protobuf::{Attribute, Dim, Kind, Message};

/// ONNX' operators as of which version. 17 is the first that has all of these in their present form.
const OPSET: i64 = 17;
/// The version of the file format that goes with it.
const IR_VERSION: i64 = 8;
/// What Protocol Buffers allow.
const MOST_BYTES: usize = i32::MAX as usize;

/// The file: `network` under `name`, with `metadata` by name, such as the vocabulary; with `int8` the recurrent
/// matrices are int8 and a `DequantizeLinear` before each node.
///
/// # Errors
/// More than 2 GB.
pub fn onnx(network: &Network, name: &str, metadata: &[(&str, &str)], int8: bool) -> Result<Vec<u8>, ExportError> {
    let graph = of(network, int8);
    let opset = Message::default().int(2, OPSET);
    let model = Message::default().int(1, IR_VERSION).bytes(2, "rnn-export").bytes(3, env!("CARGO_PKG_VERSION"));
    let model = model.message(7, graph.message(name)).message(8, opset);
    let properties = metadata.iter().map(|(key, text)| Message::default().bytes(1, key).bytes(2, text));
    let bytes = model.messages(14, properties).0;
    if bytes.len() > MOST_BYTES {
        return Err(ExportError::TooLarge { bytes: bytes.len() });
    }
    Ok(bytes)
}

/// The last steps of the first features, `[batch, steps·features]`.
fn last_values(graph: &mut Graph, beside: &Beside) -> String {
    let values = beside.weight.columns;
    let steps = values / beside.features;
    let starts = graph.ints("last.starts", &[-(steps as i64), 0], &[2]);
    let ends = graph.ints("last.ends", &[i64::MAX, beside.features as i64], &[2]);
    let axes = graph.ints("last.axes", &[1, 2], &[2]);
    let last = graph.add("Slice", &["features", &starts, &ends, &axes], "last.steps", &[]);
    let shape = graph.ints("last.shape", &[-1, values as i64], &[2]);
    graph.add("Reshape", &[&last, &shape], "last", &[])
}

fn of(network: &Network, int8: bool) -> Graph {
    let mut graph = Graph::default();
    let batch = || Dim::Free("batch");
    let time = || Dim::Free("time");
    // ONNX' layers take [time, batch, features].
    let x = match &network.input {
        Input::Features => {
            let d_input = Dim::Fixed(network.recurrent.d_input);
            graph.inputs.push(protobuf::value("features", Kind::Float, &[batch(), time(), d_input]));
            graph.add("Transpose", &["features"], "x", &[("perm", Attribute::Ints(&[1, 0, 2]))])
        }
        Input::Ids(_) | Input::Symbols => {
            graph.inputs.push(protobuf::value("ids", Kind::Int64, &[batch(), time()]));
            let ids = graph.add("Transpose", &["ids"], "ids_by_time", &[("perm", Attribute::Ints(&[1, 0]))]);
            match &network.input {
                Input::Ids(table) => {
                    let table = graph.matrix("embedding.weight", table);
                    graph.add("Gather", &[&table, &ids], "x", &[])
                }
                _ => {
                    let symbols = graph.ints("symbols", &[network.recurrent.d_input as i64], &[]);
                    let values = graph.floats("off_on", &[2], &[0.0, 1.0]);
                    graph.add("OneHot", &[&ids, &symbols, &values], "x", &[("axis", Attribute::Int(-1))])
                }
            }
        }
    };
    if network.lengths {
        graph.inputs.push(protobuf::value("lengths", Kind::Int64, &[batch()]));
    }
    let h = recurrent::add(&mut graph, network, x, int8);
    let h = match network.read {
        Read::Pooled { max, mean } => pool::add(&mut graph, &h, [max, mean], network.lengths),
        Read::Last | Read::EveryStep => h,
    };
    let answers = network.dense.weight.rows;
    let logits = match network.read {
        Read::Last | Read::Pooled { .. } => {
            let weight = graph.matrix("dense.weight", &network.dense.weight);
            let bias = graph.floats("dense.bias", &[answers], &network.dense.bias);
            graph.outputs.push(protobuf::value("logits", Kind::Float, &[batch(), Dim::Fixed(answers)]));
            let transposed = [("transB", Attribute::Int(1))];
            match &network.beside {
                None => graph.add("Gemm", &[&h, &weight, &bias], "logits", &transposed),
                Some(beside) => {
                    let change = graph.add("Gemm", &[&h, &weight, &bias], "dense", &transposed);
                    let last = last_values(&mut graph, beside);
                    let weight = graph.matrix("beside.weight", &beside.weight);
                    graph.add("Gemm", &[&last, &weight, &change], "logits", &transposed)
                }
            }
        }
        Read::EveryStep => {
            let weight = graph.matrix("dense.weight", &network.dense.weight.transposed());
            let bias = graph.floats("dense.bias", &[answers], &network.dense.bias);
            let h = graph.add("Transpose", &[&h], "h_by_row", &[("perm", Attribute::Ints(&[1, 0, 2]))]);
            let product = graph.add("MatMul", &[&h, &weight], "dense.product", &[]);
            graph.outputs.push(protobuf::value("logits", Kind::Float, &[batch(), time(), Dim::Fixed(answers)]));
            graph.add("Add", &[&product, &bias], "logits", &[])
        }
    };
    let operator = match network.answer {
        Answer::Plain => return graph.with_states_last(),
        Answer::Sigmoid => "Sigmoid",
        Answer::Softmax => "Softmax",
    };
    let shape = match network.read {
        Read::Last | Read::Pooled { .. } => vec![batch(), Dim::Fixed(answers)],
        Read::EveryStep => vec![batch(), time(), Dim::Fixed(answers)],
    };
    graph.outputs.push(protobuf::value("probabilities", Kind::Float, &shape));
    graph.add(operator, &[&logits], "probabilities", &[]);
    graph.with_states_last()
}
