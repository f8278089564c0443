//! A layer, a sequence and the gradients of its output, owned, in `f64`; and what running it gives.

use fastrand::Rng;
use rnn_kernels::{Activation, Candidate, Cell, MaskedOutput, Nonlinearity};

pub const CELLS: [Cell; 8] = [
    Cell::Rnn(Nonlinearity::Tanh),
    Cell::Rnn(Nonlinearity::Relu),
    Cell::Lstm,
    Cell::Gru { reset_after: true },
    Cell::Gru { reset_after: false },
    Cell::MinGru(Candidate::Linear),
    Cell::MinGru(Candidate::Positive),
    Cell::MinLstm(Candidate::Linear),
];

/// With options too.
pub const ALL_CELLS: [Cell; 6] = [CELLS[0], CELLS[1], CELLS[2], Cell::LstmCoupled, CELLS[3], CELLS[4]];
/// With layer normalisation.
pub const NORMALIZED: [Cell; 8] =
    [ALL_CELLS[0], ALL_CELLS[1], ALL_CELLS[2], ALL_CELLS[3], ALL_CELLS[4], ALL_CELLS[5], CELLS[5], CELLS[7]];

/// Slopes of both signs.
pub const ACTIVATIONS: [Activation; 14] = [
    Activation::Linear,
    Activation::Sigmoid,
    Activation::HardSigmoid { slope: 0.2 },
    Activation::Tanh,
    Activation::HardTanh,
    Activation::Relu,
    Activation::LeakyRelu { slope: 0.1 },
    Activation::LeakyRelu { slope: -0.3 },
    Activation::Elu,
    Activation::Softsign,
    Activation::Softplus,
    Activation::Silu,
    Activation::Gelu,
    Activation::Positive,
];

/// A vector of the cell's own is there if it is not empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Options {
    pub gate: Option<Activation>,
    pub candidate: Option<Activation>,
    pub hidden: Option<Activation>,
    pub clip: Option<f64>,
    pub p_i: Vec<f64>,
    pub p_f: Vec<f64>,
    pub p_o: Vec<f64>,
    pub norm_ih: Vec<f64>,
    pub norm_hh: Vec<f64>,
    pub gamma_c: Vec<f64>,
    pub beta_c: Vec<f64>,
    pub w_hr: Vec<f64>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Counted {
    All,
    Lengths(Vec<usize>),
    Mask(Vec<bool>),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Zoneout {
    Off,
    Mean(f64),
    Drawn(Vec<f64>),
}

#[derive(Debug, Clone)]
pub struct Case {
    pub cell: Cell,
    pub batch: usize,
    pub time: usize,
    pub d_input: usize,
    pub d_hidden: usize,
    /// Which of b_ih and b_hh there are.
    pub biases: [bool; 2],
    pub w_ih: Vec<f64>,
    pub w_hh: Vec<f64>,
    pub b_ih: Vec<f64>,
    pub b_hh: Vec<f64>,
    /// `[batch, time, d_input]`
    pub x: Vec<f64>,
    /// `[batch, time]`; the input if it is not empty.
    pub indices: Vec<u32>,
    /// `[batch, time]`; if it is not empty, steps with the same one have the same x.
    pub ids: Vec<u32>,
    pub h0: Vec<f64>,
    pub c0: Vec<f64>,
    pub reverse: bool,
    pub counted: Counted,
    pub masked_output: MaskedOutput,
    /// `[batch, time]`: before which steps the state becomes zero; none if it is empty.
    pub resets: Vec<bool>,
    pub input_masks: Vec<Vec<f64>>,
    pub recurrent_masks: Vec<Vec<f64>>,
    pub zoneout_h: Zoneout,
    pub zoneout_c: Zoneout,
    pub options: Options,
    pub d_sequence: Vec<f64>,
    pub d_h: Vec<f64>,
    pub d_c: Vec<f64>,
    /// How kernels are given the same: time-major or batch-major slices.
    pub time_major: bool,
    pub threads: usize,
}

/// `(name, values)` of all that forward and backward give, batch-major.
pub type Results = Vec<(&'static str, Vec<f64>)>;

impl Case {
    /// Plain: no options.
    pub fn plain(random: &mut Rng, cell: Cell, [batch, time, d_input, d_hidden]: [usize; 4]) -> Case {
        let width = cell.gates() * d_hidden;
        // Values that f32 holds exactly, so that both element types see the same case.
        let mut numbers = |n: usize, scale: f64| -> Vec<f64> {
            (0..n).map(|_| f64::from(((random.f64() * 2.0 - 1.0) * scale) as f32)).collect()
        };
        let scale = 1.0 / (d_hidden as f64).sqrt();
        Case {
            cell,
            batch,
            time,
            d_input,
            d_hidden,
            biases: [true, cell.has_w_hh()],
            w_ih: numbers(d_input * width, 1.0 / (d_input as f64).sqrt()),
            w_hh: numbers(if cell.has_w_hh() { d_hidden * width } else { 0 }, scale),
            b_ih: numbers(width, 0.3),
            b_hh: numbers(if cell.has_w_hh() { width } else { 0 }, 0.3),
            x: numbers(batch * time * d_input, 1.0),
            indices: Vec::new(),
            ids: Vec::new(),
            h0: numbers(batch * d_hidden, 1.0),
            c0: if cell.has_cell_state() { numbers(batch * d_hidden, 1.0) } else { Vec::new() },
            reverse: false,
            counted: Counted::All,
            masked_output: MaskedOutput::Zero,
            resets: Vec::new(),
            input_masks: Vec::new(),
            recurrent_masks: Vec::new(),
            zoneout_h: Zoneout::Off,
            zoneout_c: Zoneout::Off,
            options: Options::default(),
            d_sequence: numbers(batch * time * d_hidden, 1.0),
            d_h: numbers(batch * d_hidden, 1.0),
            d_c: if cell.has_cell_state() { numbers(batch * d_hidden, 1.0) } else { Vec::new() },
            time_major: false,
            threads: 1,
        }
    }

    /// With options drawn at random.
    pub fn random(random: &mut Rng, cell: Cell, shape: [usize; 4]) -> Case {
        let [batch, time, d_input, d_hidden] = shape;
        let mut case = Case::plain(random, cell, shape);
        case.biases = [random.bool(), random.bool() && cell.has_w_hh()];
        case.reverse = random.bool();
        case.time_major = random.bool();
        case.threads = random.usize(1..4);
        case.masked_output = if random.bool() { MaskedOutput::Zero } else { MaskedOutput::Previous };
        case.counted = match random.u8(0..4) {
            0 => Counted::Lengths((0..batch).map(|_| random.usize(0..=time)).collect()),
            1 => Counted::Mask((0..batch * time).map(|_| random.bool()).collect()),
            _ => Counted::All,
        };
        if random.u8(0..3) == 0 {
            case.resets = (0..batch * time).map(|_| random.u8(0..4) == 0).collect();
        }
        match random.u8(0..6) {
            0 => case.indices = (0..batch * time).map(|_| random.u32(0..d_input as u32)).collect(),
            1 | 2 => {
                let most = random.usize(1..=time) as u32;
                case.repeat((0..batch * time).map(|_| random.u32(0..most)).collect());
            }
            _ => {}
        }
        let gates = cell.gates();
        let masks = |random: &mut Rng, width: usize| -> Vec<Vec<f64>> {
            let count = [0, 0, 1, gates][random.usize(0..4)];
            // As dropout has them, or any.
            let values = if random.bool() { [0.0, 1.25, 1.25] } else { [0.0, 0.75, 1.5] };
            let mask = |random: &mut Rng| (0..batch * width).map(|_| values[random.usize(0..3)]).collect();
            (0..count).map(|_| mask(random)).collect()
        };
        if cell.has_w_hh() {
            case.recurrent_masks = masks(random, d_hidden);
        }
        if case.indices.is_empty() {
            case.input_masks = masks(random, d_input);
        }
        let zoneout = |random: &mut Rng| match random.u8(0..4) {
            0 => Zoneout::Mean(0.25),
            1 => Zoneout::Drawn((0..time * batch * d_hidden).map(|_| f64::from(random.u8(0..2))).collect()),
            _ => Zoneout::Off,
        };
        case.zoneout_h = zoneout(random);
        if cell.has_cell_state() {
            case.zoneout_c = zoneout(random);
        }
        case
    }

    /// Draws options of the cell, each with probability ½.
    pub fn draw_options(&mut self, random: &mut Rng) {
        self.draw_functions(random);
        // Of a few values near each other there is little left but their rounding errors.
        if random.bool() && self.d_hidden >= 16 {
            self.normalize(random);
        }
        // From a copy of the generator, so that the cases of other cells stay what they were.
        let mut random = random.clone();
        if self.cell.has_cell_state() && random.bool() {
            let h_features = random.usize(1..=self.d_hidden);
            self.project(&mut random, h_features);
        }
    }

    /// Those that are applied element by element: functions, clip, peepholes.
    pub fn draw_functions(&mut self, random: &mut Rng) {
        let function = |random: &mut Rng| random.bool().then(|| ACTIVATIONS[random.usize(0..ACTIVATIONS.len())]);
        let lstm = self.cell.has_cell_state();
        self.options.gate = function(random);
        self.options.candidate = function(random);
        self.options.hidden = function(random).filter(|_| lstm);
        self.options.clip = random.bool().then_some(0.5);
        if lstm && random.bool() {
            let mut numbers = || (0..self.d_hidden).map(|_| f64::from(random.f32() - 0.5)).collect();
            self.options.p_i = numbers();
            self.options.p_f = if self.cell == Cell::Lstm { numbers() } else { Vec::new() };
            self.options.p_o = numbers();
        }
    }

    /// With h projected to fewer features: of all that has its width the first ones are left.
    pub fn project(&mut self, random: &mut Rng, h_features: usize) {
        let &mut Case { batch, time, d_hidden, .. } = self;
        // So that the projected h is about as large: norms of small values are rounding errors.
        let scale = (3.0 / d_hidden as f64).sqrt();
        let mut number = || f64::from(((random.f64() * 2.0 - 1.0) * scale) as f32);
        self.options.w_hr = (0..d_hidden * h_features).map(|_| number()).collect();
        self.w_hh.truncate(h_features * self.cell.gates() * d_hidden);
        self.h0.truncate(batch * h_features);
        self.d_h.truncate(batch * h_features);
        self.d_sequence.truncate(batch * time * h_features);
        self.recurrent_masks.iter_mut().for_each(|mask| mask.truncate(batch * h_features));
        if let Zoneout::Drawn(keep) = &mut self.zoneout_h {
            keep.truncate(time * batch * h_features);
        }
    }

    /// Features of h.
    pub fn h_features(&self) -> usize {
        if self.options.w_hr.is_empty() { self.d_hidden } else { self.options.w_hr.len() / self.d_hidden }
    }

    /// With layer normalisation, whose gains are near 1 as they are in training.
    pub fn normalize(&mut self, random: &mut Rng) {
        let width = self.cell.gates() * self.d_hidden;
        let mut numbers = |n: usize, add: f64| (0..n).map(|_| f64::from(random.f32() - 0.5) + add).collect();
        self.options.norm_ih = numbers(width, 1.0);
        self.options.norm_hh = numbers(if self.cell.has_w_hh() { width } else { 0 }, 1.0);
        if self.cell.has_cell_state() {
            (self.options.gamma_c, self.options.beta_c) = (numbers(self.d_hidden, 1.0), numbers(self.d_hidden, 0.0));
        }
    }

    /// Factors of h, for a cell that multiplies it.
    pub fn set_recurrent_masks(&mut self, masks: Vec<Vec<f64>>) {
        self.recurrent_masks = if self.cell.has_w_hh() { masks } else { Vec::new() };
    }

    /// Small recurrent weights: over many steps the terms of the gradients grow otherwise, and with them what passes
    /// for rounding.
    pub fn forget_fast(&mut self) {
        self.w_hh.iter_mut().for_each(|w| *w *= 0.125);
    }

    /// Steps with the same id get the x of the first of them in the batch.
    pub fn repeat(&mut self, ids: Vec<u32>) {
        let d_input = self.d_input;
        for i in 0..ids.len() {
            let first = ids.iter().position(|id| *id == ids[i]).unwrap_or(i);
            self.x.copy_within(first * d_input..(first + 1) * d_input, i * d_input);
        }
        self.ids = ids;
    }

    /// Adds up the gradients of the steps of a row that have the same id, at the first of them: of these only the sum
    /// is given.
    pub fn add_repeats(&self, d_x: &mut [f64]) {
        for (b, ids) in self.ids.chunks_exact(self.time).enumerate() {
            for (t, id) in ids.iter().enumerate() {
                let first = ids.iter().position(|other| other == id).unwrap_or(t);
                for k in 0..self.d_input {
                    let at = |t: usize| (b * self.time + t) * self.d_input + k;
                    d_x[at(first)] += if first == t { 0.0 } else { std::mem::take(&mut d_x[at(t)]) };
                }
            }
        }
    }

    pub fn counts(&self, b: usize, t: usize) -> bool {
        match &self.counted {
            Counted::All => true,
            Counted::Lengths(lengths) => t < lengths[b],
            Counted::Mask(mask) => mask[b * self.time + t],
        }
    }
}
