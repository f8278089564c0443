//! What can be wrong with a configuration or an input, with the values in the message.

use crate::Direction;

/// Errors of configuration and of input shapes.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RnnError {
    /// A size in the configuration is zero.
    #[error("{name} is 0; it must be at least 1")]
    ZeroSize {
        /// The configuration's field.
        name: &'static str,
    },
    /// Sizes whose product cannot be counted.
    #[error("{d_input} features and {d_hidden} units give more weights than this machine can address")]
    TooLarge {
        /// Features of a layer's input.
        d_input: usize,
        /// Its units.
        d_hidden: usize,
    },
    /// An activation's slope is not a number.
    #[error("an activation has slope {0}; it must be a finite number")]
    Slope(f64),
    /// A layer's weights are not those that the configuration says.
    #[error("{name} of layer {layer} is {found:?}, but its configuration says {expected:?}")]
    WeightShape {
        /// Which one: layer · directions + direction.
        layer: usize,
        /// The parameter.
        name: &'static str,
        /// By the configuration.
        expected: Vec<usize>,
        /// As it is.
        found: Vec<usize>,
    },
    /// There are not as many layers as the configuration says, or a layer has a parameter more or less.
    #[error("layer {layer} does not have the parameters that its configuration says")]
    Parameters {
        /// Which one: layer · directions + direction.
        layer: usize,
    },
    /// The configuration has no layer.
    #[error("d_hidden is empty; give the size of at least one layer")]
    NoLayers,
    /// A projection that does not make h smaller.
    #[error("proj_size is {proj_size}; it must be at least 1 and less than d_hidden = {d_hidden}")]
    ProjectionSize {
        /// The projection's size.
        proj_size: usize,
        /// The smallest layer's.
        d_hidden: usize,
    },
    /// A clip that leaves nothing, or everything.
    #[error("clip is {0}; it must be finite and more than 0")]
    Clip(f64),
    /// An option was set where it changes nothing.
    #[error("{option} would change nothing: {reason}")]
    NoEffect {
        /// The option and its value.
        option: String,
        /// Why, and what to do.
        reason: &'static str,
    },
    /// The norm of one value is 0, whatever the value.
    #[error("layer_norm leaves nothing of a layer of 1 unit; give each layer at least 2, or turn layer_norm off")]
    NormOfOne,
    /// A layer is asked for what only one that goes forward can do.
    #[error(
        "{what} is for layers that go forward; this one goes {direction}, and its first output depends on the last input: \
         give `forward` the whole sequence"
    )]
    NotForward {
        /// What was asked for.
        what: &'static str,
        /// Which way the layer goes.
        direction: Direction,
    },
    /// A probability is outside `[0, 1)`.
    #[error("{name} is {value}; it must be at least 0 and less than 1")]
    Probability {
        /// The configuration's field.
        name: &'static str,
        /// The value given.
        value: f64,
    },
    /// There is no cell of this name.
    #[error("there is no cell {0:?}; the cells are rnn, lstm, gru, mingru and minlstm")]
    UnknownCell(String),
    /// An initialiser cannot fill a tensor of this shape.
    #[error("initializer {initializer} cannot fill {parameter}: {reason}")]
    Initializer {
        /// The initialiser.
        initializer: String,
        /// The parameter.
        parameter: &'static str,
        /// Why not.
        reason: String,
    },
    /// The input has no row, or no step.
    #[error("input is [batch {batch}, time {time}]; both must be at least 1")]
    EmptyInput {
        /// Rows.
        batch: usize,
        /// Steps.
        time: usize,
    },
    /// The input's last dimension is not `d_input`.
    #[error("input has {found} features per step, but the layer was made for d_input = {expected}")]
    InputSize {
        /// The layer's `d_input`.
        expected: usize,
        /// The input's last dimension.
        found: usize,
    },
    /// A table of vectors is not `d_input` wide.
    #[error("the table's rows have {found} numbers, but the layer was made for d_input = {expected}")]
    TableWidth {
        /// The layer's `d_input`.
        expected: usize,
        /// The table's second dimension.
        found: usize,
    },
    /// There are not as many symbols, or ids, as rows and steps.
    #[error("{found} symbols or ids were given, expected one for each row and step: {batch}·{time}")]
    SymbolCount {
        /// Rows.
        batch: usize,
        /// Steps.
        time: usize,
        /// Those given.
        found: usize,
    },
    /// A symbol has no row in the input weights.
    #[error("symbol {symbol} of row {row} at step {step} is not below d_input = {d_input}")]
    Symbol {
        /// The symbol.
        symbol: u32,
        /// The row.
        row: usize,
        /// The step.
        step: usize,
        /// The layer's `d_input`.
        d_input: usize,
    },
    /// An id has no row in the table.
    #[error("id {id} of row {row} at step {step} is not below the number of the table's rows, {rows}")]
    Id {
        /// The id.
        id: u32,
        /// The row of the batch.
        row: usize,
        /// The step.
        step: usize,
        /// The table's rows.
        rows: usize,
    },
    /// The number of lengths is not the batch size.
    #[error("{found} lengths were given for a batch of {expected} rows")]
    LengthCount {
        /// Rows of the batch.
        expected: usize,
        /// Lengths given.
        found: usize,
    },
    /// A length is longer than the input.
    #[error("length {length} of row {row} is more than the input's {time} steps")]
    LengthTooLong {
        /// The row.
        row: usize,
        /// Its length.
        length: usize,
        /// Steps of the input.
        time: usize,
    },
    /// The mask has not one value a row and step.
    #[error("the mask has {found} values, expected one for each row and step: {batch}·{time}")]
    MaskSize {
        /// Rows of the batch.
        batch: usize,
        /// Steps of the input.
        time: usize,
        /// Values given.
        found: usize,
    },
    /// The resets have not one value a row and step.
    #[error("the resets have {found} values, expected one for each row and step: {batch}·{time}")]
    ResetCount {
        /// Rows of the batch.
        batch: usize,
        /// Steps of the input.
        time: usize,
        /// Values given.
        found: usize,
    },
    /// Both lengths and a mask were given.
    #[error("both lengths and a mask were given; give one of them")]
    LengthsAndMask,
    /// The number of states is not the number of layers.
    #[error("{found} initial states were given for {expected} layers and directions")]
    StateCount {
        /// Layers times directions.
        expected: usize,
        /// States given.
        found: usize,
    },
    /// The states are of a layer that goes both ways and the layer goes one way, or the other way round.
    #[error("the initial states are of a layer that goes {found}, but this one goes {expected}")]
    StateDirection {
        /// Which way the layer goes.
        expected: Direction,
        /// Which way the layer of the states goes.
        found: Direction,
    },
    /// A state has the wrong shape.
    #[error("{tensor} of initial state {state} is {found:?}, expected [batch, width] = {expected:?}")]
    StateShape {
        /// Which one: layer · directions + direction.
        state: usize,
        /// `h`, or what comes after it.
        tensor: &'static str,
        /// `[batch, d_hidden]`; a projected h is `proj_size` wide.
        expected: [usize; 2],
        /// The shape given.
        found: [usize; 2],
    },
    /// An option of the product of h and `W_hh`, and a cell that has none.
    #[error("{option} would change nothing: this cell has no product of h and W_hh; {instead}")]
    NoRecurrentProduct {
        /// The option and its value.
        option: String,
        /// What to do instead.
        instead: &'static str,
    },
    /// A stepper's state has another number of numbers.
    #[error("the state has {found} numbers, expected {expected}")]
    StateSize {
        /// Those of all layers.
        expected: usize,
        /// Those given.
        found: usize,
    },
    /// There is no stepper on slices for such a layer.
    #[error("there is no stepper for {0}; step through it with `Recurrent::step`")]
    NoStepper(&'static str),
    /// The state of another cell was given to a layer whose cell is chosen at run time.
    #[error("the initial state is of another cell than the layer's")]
    StateKind,
    /// The machine does not have the instruction set that the kernels are to use.
    #[error("this machine does not have the instruction set {0}; `Isa::available` lists those that it has")]
    NoIsa(String),
    /// Input, state and weights are not on one device.
    #[error("{what} is on {found}, but the layer's weights are on {expected}")]
    Device {
        /// The tensor.
        what: &'static str,
        /// The weights' device.
        expected: String,
        /// The tensor's device.
        found: String,
    },
    /// Input, state and weights have not one dtype.
    #[error("{what} is {found}, but the layer's weights are {expected}")]
    DType {
        /// The tensor.
        what: &'static str,
        /// The weights' dtype.
        expected: String,
        /// The tensor's dtype.
        found: String,
    },
}
