//! A cell of one's own: the minimal gated unit (Zhou et al., 2016), one gate that both forgets and resets. Stacking,
//! directions, lengths and dropout come with it.
//!
//! ```text
//! f = σ(x·W_if + b_f + h·W_hf)
//! n = tanh(x·W_in + b_n + (f∘h)·W_hn)
//! h' = (1−f)∘h + f∘n
//! ```

use rnn_core::burn::tensor::{Device, Tensor, activation::sigmoid};
use rnn_core::cell::{Cell, Recurrence, split};
use rnn_core::{Direction, ForwardArgs, HiddenState, Key, RecurrentConfig};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct MguCell {}

impl Cell for MguCell {
    type State = HiddenState;

    fn gates(&self) -> usize {
        2
    }

    fn step(&self, input: Tensor<2>, state: HiddenState, recurrence: &Recurrence) -> HiddenState {
        let h = state.hidden;
        let [x_f, x_n] = split(input);
        let f = sigmoid(x_f + recurrence.product_of(h.clone(), 0..1));
        let n = (x_n + recurrence.product_of(f.clone() * h.clone(), 1..2)).tanh();
        HiddenState { hidden: h.clone() + f * (n - h) }
    }
}

fn main() {
    let device = Device::default();
    let config = RecurrentConfig::<MguCell>::new(8, 16)
        .with_num_layers(2)
        .with_direction(Direction::Bidirectional)
        .with_recurrent_dropout(0.2);
    let mgu = config.init(Key::new(0), &device);
    let input = Tensor::<3>::ones([3, 5, 8], &device);
    let args = ForwardArgs::default().with_lengths(&[5, 2, 3]).with_dropout_key(Some(Key::new(1)));
    let output = mgu.forward_with(input, args);
    println!("sequence {:?}, {} final states", output.sequence.dims(), output.state.each().len());
    assert_eq!(output.sequence.dims(), [3, 5, 32]); // [batch, time, directions·d_hidden]
    assert_eq!(output.state.each().len(), 4); // layers·directions
}
