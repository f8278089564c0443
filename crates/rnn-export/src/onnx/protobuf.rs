//! As much of Protocol Buffers' wire format as ONNX needs, and ONNX' own numbers of its fields (`onnx.proto3`).

/// A message in the making.
#[derive(Debug, Clone, Default)]
pub struct Message(pub Vec<u8>);

impl Message {
    fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// Adds a whole number.
    pub fn int(mut self, field: u64, value: i64) -> Self {
        self.number(field << 3);
        self.number(value as u64);
        self
    }

    /// Adds bytes, a text among them.
    pub fn bytes(mut self, field: u64, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        self.number(field << 3 | 2);
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    /// Adds a message.
    pub fn message(self, field: u64, message: Self) -> Self {
        self.bytes(field, message.0)
    }

    /// Adds each of `messages`.
    pub fn messages(self, field: u64, messages: impl IntoIterator<Item = Self>) -> Self {
        messages.into_iter().fold(self, |all, message| all.message(field, message))
    }
}

/// The kinds of elements, by the numbers of `TensorProto.DataType`.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Float = 1,
    Int8 = 3,
    Int64 = 7,
}

/// A `TensorProto`; `raw` is little-endian.
pub fn tensor(name: &str, kind: Kind, shape: &[usize], raw: &[u8]) -> Message {
    let dims = shape.iter().fold(Message::default(), |message, &dim| message.int(1, dim as i64));
    dims.int(2, kind as i64).bytes(8, name).bytes(9, raw)
}

/// An `AttributeProto`.
pub enum Attribute<'a> {
    Int(i64),
    Ints(&'a [i64]),
    Text(&'a str),
    Texts(&'a [&'a str]),
}

impl Attribute<'_> {
    fn message(&self, name: &str) -> Message {
        let named = Message::default().bytes(1, name);
        match self {
            Attribute::Int(value) => named.int(3, *value).int(20, 2),
            Attribute::Text(text) => named.bytes(4, text).int(20, 3),
            Attribute::Ints(values) => values.iter().fold(named, |all, &value| all.int(8, value)).int(20, 7),
            Attribute::Texts(texts) => texts.iter().fold(named, |all, text| all.bytes(9, text)).int(20, 8),
        }
    }
}

/// A `NodeProto`: an empty name among the inputs is an input that is left out.
pub fn node(operator: &str, inputs: &[&str], outputs: &[&str], attributes: &[(&str, Attribute)]) -> Message {
    let message = inputs.iter().fold(Message::default(), |all, name| all.bytes(1, name));
    let message = outputs.iter().fold(message, |all, name| all.bytes(2, name));
    let name = outputs.iter().find(|name| !name.is_empty()).unwrap_or(&"");
    let message = message.bytes(3, format!("{operator}:{name}")).bytes(4, operator);
    message.messages(5, attributes.iter().map(|(name, attribute)| attribute.message(name)))
}

/// A size that is fixed, or one that each run chooses.
pub enum Dim {
    Fixed(usize),
    Free(&'static str),
}

/// A `ValueInfoProto`: an input or output of the graph.
pub fn value(name: &str, kind: Kind, shape: &[Dim]) -> Message {
    let dims = shape.iter().map(|dim| match dim {
        Dim::Fixed(size) => Message::default().int(1, *size as i64),
        Dim::Free(name) => Message::default().bytes(2, name),
    });
    let shape = Message::default().messages(1, dims);
    let tensor = Message::default().int(1, kind as i64).message(2, shape);
    Message::default().bytes(1, name).message(2, Message::default().message(1, tensor))
}
