//! The state of a stepper: as plain numbers, and from and to the states of a layer.

use super::{Real, Stepper, values};
use crate::cell::Cell;
use crate::state::{CellState, States};
use crate::{Recurrent, RnnError};
use burn::tensor::{Tensor, TensorData};

impl<T: Real> Stepper<T> {
    /// The state as plain numbers: h of the first layer, c of it if the cell has one, and so on for each layer.
    pub fn state(&self) -> Vec<T> {
        let each = self.layers().flat_map(|layer| [Some(layer.h()), self.has_c.then(|| layer.c())]);
        each.flatten().flatten().copied().collect()
    }

    /// Goes on from what [`state`](Self::state) gave, of this stepper or another over a layer of these sizes.
    ///
    /// # Errors
    /// Another number of numbers.
    pub fn set_state(&mut self, state: &[T]) -> Result<(), RnnError> {
        let has_c = self.has_c;
        let expected = self.layers().map(|layer| layer.h().len() + if has_c { layer.c().len() } else { 0 }).sum();
        if state.len() != expected {
            return Err(RnnError::StateSize { expected, found: state.len() });
        }
        let mut rest = state;
        let mut take = |n| {
            let (part, after) = rest.split_at(n);
            rest = after;
            part
        };
        for layer in std::iter::once(&mut self.first).chain(&mut self.others) {
            let (h, c) = (take(layer.h().len()), has_c.then(|| take(layer.c().len())));
            layer.set_state(h, c);
        }
        Ok(())
    }

    /// Goes on where row `row` of a batch is after a forward pass, as of a prompt: `states` is its
    /// [`Output::state`](crate::Output::state).
    ///
    /// # Errors
    /// States of another number, width or cell, and a row that they do not have.
    pub fn set_states<S: CellState>(&mut self, states: &States<S>, row: usize) -> Result<(), RnnError> {
        let mut all = Vec::new();
        let (expected, found) = (self.layers().count(), states.each().len());
        if expected != found {
            return Err(RnnError::StateCount { expected, found });
        }
        for (state, (index, layer)) in states.each().iter().zip(self.layers().enumerate()) {
            let (mut tensors, mut problem) = (0, None);
            let _ = state.clone().map(|tensor| {
                let [rows, width] = tensor.dims();
                let (name, own) = if tensors == 0 { ("h", layer.h().len()) } else { ("c", layer.c().len()) };
                tensors += 1;
                if row >= rows || width != own {
                    let expected = [rows.max(row.saturating_add(1)), own];
                    let found = [rows, width];
                    problem.get_or_insert(RnnError::StateShape { state: index, tensor: name, expected, found });
                } else {
                    all.extend(values::<T, 2>(tensor.clone().slice_dim(0, row..row + 1)));
                }
                tensor
            });
            if let Some(problem) = problem {
                return Err(problem);
            }
            if tensors != 1 + usize::from(self.has_c) {
                return Err(RnnError::StateKind);
            }
        }
        self.set_state(&all)
    }

    /// The state as `layer` takes it ([`ForwardArgs::with_state`](crate::ForwardArgs::with_state)), a batch of one row:
    /// to go on with a forward pass. `layer` is the one that the stepper was made of, or another of its sizes.
    ///
    /// # Errors
    /// A layer of other sizes or another cell.
    pub fn states<C: Cell>(&self, layer: &Recurrent<C>) -> Result<States<C::State>, RnnError> {
        let (config, found) = (&layer.config, layer.layers.len());
        let expected = self.layers().count();
        if found != expected {
            return Err(RnnError::StateCount { expected: found, found: expected });
        }
        let weights = layer.layers.iter().map(|weights| weights.weight_ih.val());
        let each = self.layers().zip(weights).enumerate();
        let each = each.map(|(index, (stepper, weight))| {
            let (d_hidden, d_output) = (config.d_hidden[index], config.width(index));
            if (config.cell.state_tensors() > 1) != self.has_c {
                return Err(RnnError::StateKind);
            }
            let widths = [("h", d_output, stepper.h()), ("c", d_hidden, stepper.c())];
            let tensors = 1 + usize::from(self.has_c);
            if let Some((tensor, width, own)) = widths[..tensors].iter().find(|(_, width, own)| *width != own.len()) {
                let (expected, found) = ([1, *width], [1, own.len()]);
                return Err(RnnError::StateShape { state: index, tensor, expected, found });
            }
            let device = weight.device().inner();
            let mut own = [stepper.h(), stepper.c()].into_iter();
            Ok(config.cell.zero_state(1, d_hidden, d_output, &device).map(|zeros| match own.next() {
                Some(own) => {
                    let data = TensorData::new(own.to_vec(), [1, own.len()]);
                    Tensor::from_data(data.convert_dtype(weight.dtype()), (&device, weight.dtype()))
                }
                None => zeros,
            }))
        });
        Ok(States::new(config.direction, each.collect::<Result<_, _>>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AnyConfig, CellKind, ForwardArgs, GruConfig, Input, Key, LstmConfig, MinGruConfig};
    use burn::tensor::Device;

    /// From a forward pass to the stepper and back: as if it were one sequence.
    fn check_states<C: Cell>(layer: &Recurrent<C>) {
        let symbols = [3u32, 0, 4, 4, 1, 2];
        let whole = layer.forward(Input::symbols(&symbols, [1, 6]));
        let expected = values::<f64, 3>(whole.sequence);
        let n = layer.config.d_output();
        let close = |found: &[f64], t: usize| {
            let same = found.iter().zip(&expected[t * n..]).all(|(a, b)| (a - b).abs() < 1e-6);
            assert!(found.len() == n && same, "step {t} of {:?}", layer.config);
        };
        // The prompt is row 1 of a batch.
        let prompt = layer.forward(Input::symbols(&[1, 1, 3, 0], [2, 2]));
        let mut stepper = Stepper::<f64>::of(layer).expect("a kernel");
        stepper.set_states(&prompt.state, 1).expect("its own");
        let saved = stepper.state();
        let mut other = stepper.clone();
        other.step_symbol(2);
        close(stepper.step_symbol(4), 2);
        other.set_state(&saved).expect("its own");
        close(other.step_symbol(4), 2);
        close(other.step_symbol(4), 3);
        let args = ForwardArgs::default().with_state(other.states(layer).expect("its own"));
        let rest = layer.forward_with(Input::symbols(&symbols[4..], [1, 2]), args);
        let rest = values::<f64, 3>(rest.sequence);
        close(&rest[..n], 4);
        close(&rest[n..], 5);
        let found = saved.len() - 1;
        let told = stepper.set_state(&saved[1..]).expect_err("one less").to_string();
        assert_eq!(told, format!("the state has {found} numbers, expected {}", saved.len()));
        assert!(stepper.set_states(&prompt.state, 2).is_err());
    }

    #[test]
    fn states_go_in_and_out() {
        let device = Device::default();
        check_states(&MinGruConfig::new(5, 7).with_d_hidden([7, 3]).init(Key::new(0), &device));
        check_states(&LstmConfig::new(5, 7).with_d_hidden([7, 20]).with_zoneout(0.1, 0.2).init(Key::new(0), &device));
        check_states(&LstmConfig::new(5, 7).with_proj_size(Some(3)).with_num_layers(2).init(Key::new(0), &device));
        check_states(&AnyConfig::of_kind(CellKind::Gru, 5, 9).init(Key::new(0), &device));
        let lstm = LstmConfig::new(5, 7).init(Key::new(0), &device);
        let gru = GruConfig::new(5, 7).init(Key::new(0), &device);
        let stepper = Stepper::new(&gru).expect("a kernel");
        assert!(matches!(stepper.states(&lstm), Err(RnnError::StateKind)));
        let states = lstm.forward(Input::symbols(&[1], [1, 1])).state;
        assert!(matches!(stepper.clone().set_states(&states, 0), Err(RnnError::StateKind)));
    }
}
