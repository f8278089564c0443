//! The recurrent layers as ONNX' nodes RNN, LSTM and GRU.

use super::graph::Graph;
use super::protobuf::{self, Attribute, Dim};
use crate::int8::Quantized;
use crate::{Kind, Matrix, Network, Read, Recurrent, Weights};
use rnn_core::Direction;

/// Where ONNX has our gates: i o f c for i f g o of an LSTM, z r h for r z n of a GRU.
fn order(kind: Kind) -> &'static [usize] {
    match kind {
        Kind::RnnTanh | Kind::RnnRelu => &[0],
        Kind::Lstm => &[0, 3, 1, 2],
        Kind::Gru { .. } => &[1, 0, 2],
    }
}

/// `values`, whose first axis is the gates', in ONNX' order.
fn reordered(kind: Kind, values: &[f32]) -> Vec<f32> {
    let gate = values.len() / kind.gates();
    order(kind).iter().flat_map(|&g| &values[g * gate..(g + 1) * gate]).copied().collect()
}

/// Adds the layers over `x`, `[time, batch, d_input]`. Gives the last layer's h: `[batch, d_output]` or `[time, batch,
/// d_output]`.
pub fn add(graph: &mut Graph, network: &Network, mut x: String, int8: bool) -> String {
    let recurrent = &network.recurrent;
    let directions = recurrent.directions();
    let has_state = network.read == Read::EveryStep;
    let states: &[&str] = if recurrent.kind == Kind::Lstm { &["h", "c"] } else { &["h"] };
    let layers = recurrent.d_hidden.len();
    let shape = |hidden| [Dim::Fixed(layers * directions), Dim::Free("batch"), Dim::Fixed(hidden)];
    if has_state {
        for state in states {
            let d_hidden = recurrent.d_hidden[0];
            graph.inputs.push(protobuf::value(&format!("{state}0"), protobuf::Kind::Float, &shape(d_hidden)));
            graph.states.push(protobuf::value(&format!("{state}n"), protobuf::Kind::Float, &shape(d_hidden)));
            if layers > 1 {
                let sizes = graph.ints(&format!("{state}.sizes"), &vec![directions as i64; layers], &[layers]);
                let parts: Vec<String> = (0..layers).map(|layer| format!("{state}0.{layer}")).collect();
                let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
                let axis = [("axis", Attribute::Int(0))];
                graph.add_many("Split", &[&format!("{state}0"), &sizes], &parts, &axis);
            }
        }
    }
    let start = |state: &str, layer: usize| match (has_state, layers) {
        (false, _) => String::new(),
        (true, 1) => format!("{state}0"),
        (true, _) => format!("{state}0.{layer}"),
    };
    let end = |state: &str, layer: usize| match (has_state, layers) {
        (true, 1) => format!("{state}n"),
        _ => format!("{state}n.{layer}"),
    };
    let lengths = match network.lengths {
        true => graph.add("Cast", &["lengths"], "sequence_lens", &[("to", Attribute::Int(6))]), // int32
        false => String::new(),
    };
    let mut read = String::new();
    for layer in 0..layers {
        let weights = &recurrent.weights[layer * directions..(layer + 1) * directions];
        let [w, r] = ["W", "R"].map(|name| {
            let of = |w: &Weights| if name == "W" { w.weight_ih.clone() } else { w.weight_hh.clone() };
            matrices(graph, recurrent.kind, &format!("{name}.{layer}"), weights.iter().map(of).collect(), int8)
        });
        let biases: Vec<f32> = weights
            .iter()
            .filter_map(|w| w.biases.as_ref())
            .flat_map(|biases| biases.iter().flat_map(|bias| reordered(recurrent.kind, bias)))
            .collect();
        let b = match biases.is_empty() {
            true => String::new(),
            false => graph.floats(&format!("B.{layer}"), &[directions, biases.len() / directions], &biases),
        };
        let starts: Vec<String> = states.iter().map(|state| start(state, layer)).collect();
        let mut inputs = vec![x.as_str(), &w, &r, &b, &lengths];
        inputs.extend(starts.iter().map(String::as_str));
        while inputs.last().is_some_and(|name| name.is_empty()) {
            inputs.pop();
        }
        let outputs: Vec<String> =
            [format!("y.{layer}")].into_iter().chain(states.iter().map(|state| end(state, layer))).collect();
        let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
        node(graph, recurrent, recurrent.d_hidden[layer], &inputs, &outputs);
        let is_last = layer + 1 == layers;
        if is_last && network.read == Read::Last {
            read = side_by_side(graph, outputs[1], "h", &[1, 0, 2], &[0, -1]);
        } else {
            x = side_by_side(graph, outputs[0], &format!("h.{layer}"), &[0, 2, 1, 3], &[0, 0, -1]);
            read = x.clone();
        }
    }
    if has_state && layers > 1 {
        for state in states {
            let parts: Vec<String> = (0..layers).map(|layer| end(state, layer)).collect();
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            graph.add("Concat", &parts, &format!("{state}n"), &[("axis", Attribute::Int(0))]);
        }
    }
    read
}

fn node(graph: &mut Graph, recurrent: &Recurrent, d_hidden: usize, inputs: &[&str], outputs: &[&str]) {
    let (direction, activations): (_, &[&str]) = match recurrent.direction {
        Direction::Forward => ("forward", &["Relu"]),
        Direction::Backward => ("reverse", &["Relu"]),
        Direction::Bidirectional => ("bidirectional", &["Relu", "Relu"]),
    };
    let mut attributes =
        vec![("hidden_size", Attribute::Int(d_hidden as i64)), ("direction", Attribute::Text(direction))];
    let operator = match recurrent.kind {
        Kind::RnnTanh => "RNN",
        Kind::RnnRelu => {
            attributes.push(("activations", Attribute::Texts(activations)));
            "RNN"
        }
        Kind::Lstm => "LSTM",
        Kind::Gru { reset_after } => {
            attributes.push(("linear_before_reset", Attribute::Int(reset_after.into())));
            "GRU"
        }
    };
    graph.add_many(operator, inputs, outputs, &attributes);
}

/// The matrices of the directions as one constant `[directions, rows, columns]`, or as what makes one of int8.
fn matrices(graph: &mut Graph, kind: Kind, name: &str, matrices: Vec<Matrix>, int8: bool) -> String {
    let matrices: Vec<Matrix> =
        matrices.into_iter().map(|m| Matrix { values: reordered(kind, &m.values), ..m }).collect();
    let (rows, columns) = (matrices[0].rows, matrices[0].columns);
    if !int8 {
        let all: Vec<f32> = matrices.iter().flat_map(|m| &m.values).copied().collect();
        return graph.floats(name, &[matrices.len(), rows, columns], &all);
    }
    let axes = graph.ints(&format!("{name}.axes"), &[0], &[1]);
    let mut parts = Vec::new();
    for (direction, matrix) in matrices.iter().enumerate() {
        let Quantized { values, scales } = Quantized::of(matrix);
        let part = format!("{name}.{direction}");
        let values = graph.bytes(&format!("{part}.int8"), &[rows, columns], &values);
        let scales = graph.floats(&format!("{part}.scale"), &[rows], &scales);
        let axis = [("axis", Attribute::Int(0))];
        let flat = graph.add("DequantizeLinear", &[&values, &scales], &format!("{part}.flat"), &axis);
        parts.push(graph.add("Unsqueeze", &[&flat, &axes], &part, &[]));
    }
    match &parts[..] {
        [one] => one.clone(),
        many => {
            let many: Vec<&str> = many.iter().map(String::as_str).collect();
            graph.add("Concat", &many, name, &[("axis", Attribute::Int(0))])
        }
    }
}

/// The directions, which ONNX has on an axis of their own, side by side.
fn side_by_side(graph: &mut Graph, y: &str, name: &str, perm: &[i64], shape: &[i64]) -> String {
    let turned = graph.add("Transpose", &[y], &format!("{name}.turned"), &[("perm", Attribute::Ints(perm))]);
    let shape = graph.ints(&format!("{name}.shape"), shape, &[shape.len()]);
    graph.add("Reshape", &[&turned, &shape], name, &[])
}
