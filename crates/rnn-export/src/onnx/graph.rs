//! A graph in the making.

use super::protobuf::{Attribute, Kind, Message, node, tensor};
use crate::Matrix;

/// Nodes in the order of their computation, with their constants.
#[derive(Default)]
pub struct Graph {
    pub inputs: Vec<Message>,
    pub outputs: Vec<Message>,
    /// Outputs that stand behind the others.
    pub states: Vec<Message>,
    nodes: Vec<Message>,
    constants: Vec<Message>,
}

fn little_endian<const N: usize, T: Copy>(values: &[T], bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(|&value| bytes(value)).collect()
}

impl Graph {
    /// Adds a node of one output, and gives that.
    pub fn add(&mut self, operator: &str, inputs: &[&str], output: &str, attributes: &[(&str, Attribute)]) -> String {
        self.add_many(operator, inputs, &[output], attributes);
        output.to_string()
    }

    /// Adds a node.
    pub fn add_many(&mut self, operator: &str, inputs: &[&str], outputs: &[&str], attributes: &[(&str, Attribute)]) {
        self.nodes.push(node(operator, inputs, outputs, attributes));
    }

    /// Adds constants.
    pub fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) -> String {
        self.constants.push(tensor(name, Kind::Float, shape, &little_endian(values, f32::to_le_bytes)));
        name.to_string()
    }

    /// Adds a constant matrix.
    pub fn matrix(&mut self, name: &str, matrix: &Matrix) -> String {
        self.floats(name, &[matrix.rows, matrix.columns], &matrix.values)
    }

    /// Adds whole numbers.
    pub fn ints(&mut self, name: &str, values: &[i64], shape: &[usize]) -> String {
        self.constants.push(tensor(name, Kind::Int64, shape, &little_endian(values, i64::to_le_bytes)));
        name.to_string()
    }

    /// Adds int8 numbers.
    pub fn bytes(&mut self, name: &str, shape: &[usize], values: &[i8]) -> String {
        self.constants.push(tensor(name, Kind::Int8, shape, &little_endian(values, i8::to_le_bytes)));
        name.to_string()
    }

    /// With the states as its last outputs.
    pub fn with_states_last(mut self) -> Self {
        self.outputs.append(&mut self.states);
        self
    }

    /// The `GraphProto`.
    pub fn message(self, name: &str) -> Message {
        let message = Message::default().messages(1, self.nodes).bytes(2, name).messages(5, self.constants);
        message.messages(11, self.inputs).messages(12, self.outputs)
    }
}
