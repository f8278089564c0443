//! Makes the layer that a configuration describes.

use crate::cell::{Bias, Cell};
use crate::config::RecurrentConfig;
use crate::init::{Initializer, parameter};
use crate::layer::{Layer, Recurrent};
use crate::{Key, RnnError};
use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};

/// Which of a layer's drawn parameters the projection is.
const PROJECTION: u64 = 4;

impl<C: Cell> RecurrentConfig<C> {
    /// Makes the layer, its weights drawn from `key`.
    ///
    /// # Errors
    /// A size of zero, no layer, a probability outside `[0, 1)`, an initialiser that cannot fill its parameter. An
    /// option that changes nothing: layer dropout of one layer, zoneout of c in a cell without c, masks per gate
    /// without dropout. Layer normalisation of one unit.
    pub fn try_init(&self, key: Key, device: &Device) -> Result<Recurrent<C>, RnnError> {
        self.make(Some(key), device)
    }

    /// Makes the layer with zeros for all weights and biases, to load those of another into it: nothing is drawn,
    /// which for layers of thousands of units takes long.
    ///
    /// ```no_run
    /// # use rnn_core::burn::{module::Module, tensor::Device};
    /// # use rnn_core::LstmConfig;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let lstm = LstmConfig::new(256, 2048).try_init_zeros(&Device::default())?;
    /// let lstm = lstm.try_load_file("lstm.bpk")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`try_init`](Self::try_init).
    pub fn try_init_zeros(&self, device: &Device) -> Result<Recurrent<C>, RnnError> {
        self.make(None, device)
    }

    /// Draws the weights, or without a key takes zeros.
    fn make(&self, key: Option<Key>, device: &Device) -> Result<Recurrent<C>, RnnError> {
        self.check()?;
        let mut layers = Vec::new();
        for layer in 0..self.d_hidden.len() {
            for _ in 0..self.direction.count() {
                let number = layers.len() as u64;
                // The projection came later; its keys lie beyond those of the other four.
                let key_of = |parameter| {
                    Some(match parameter {
                        PROJECTION => key?.child((1 << 32) + number),
                        _ => key?.child(4 * number + parameter),
                    })
                };
                layers.push(self.init_layer(layer, key_of, device)?);
            }
        }
        Ok(Recurrent { layers, config: self.clone() })
    }

    /// The weights of one layer and direction; `key` gives each drawn parameter a key of its own, or none: then it is
    /// zero.
    fn init_layer(&self, layer: usize, key: impl Fn(u64) -> Option<Key>, device: &Device) -> Result<Layer, RnnError> {
        let (i, h) = (self.layer_input(layer), self.d_hidden[layer]);
        let (p, g) = (self.width(layer), self.cell.gates() * h);
        let initializers = &self.initializers;
        let matrix = |initializer: Initializer, [rows, columns]: [usize; 2], number| match key(number) {
            Some(key) => parameter(initializer.matrix(rows, columns, h, key), columns, device),
            None => Param::from_tensor(Tensor::zeros([rows, columns], device)),
        };
        let bias = |number| key(number).map_or_else(|| Ok(vec![0.0; g]), |key| initializers.bias.vector(g, h, key));
        let input_bias = match self.bias {
            Bias::None => None,
            _ => {
                let mut bias = bias(2)?;
                if let (true, Some((gate, start)), Some(_)) =
                    (initializers.unit_forget_bias, self.cell.forget_bias(), key(2))
                {
                    bias[gate * h..(gate + 1) * h].fill(start);
                }
                Some(bias)
            }
        };
        let recurs = self.cell.has_w_hh();
        let recurrent_bias = match self.bias {
            Bias::Two => Some(bias(3)?),
            _ => None,
        };
        let vector = |values: Vec<f64>| {
            let n = values.len();
            Param::from_tensor(Tensor::<1>::from_data(TensorData::new(values, [n]), device))
        };
        let gain = || self.layer_norm.then(|| vector(vec![1.0; g]));
        Ok(Layer {
            weight_ih: matrix(initializers.input, [i, g], 0),
            weight_hh: recurs.then(|| matrix(initializers.recurrent, [p, g], 1)),
            bias_ih: input_bias.map(vector),
            bias_hh: recurrent_bias.map(vector),
            weight_hr: (p != h).then(|| matrix(initializers.recurrent, [h, p], PROJECTION)),
            norm_ih: gain(),
            norm_hh: gain().filter(|_| recurs),
            vectors: self.cell.vectors(self.layer_norm).iter().map(|v| vector(vec![v.start; h])).collect(),
        })
    }

    /// [`try_init`](Self::try_init) for a configuration known to be right.
    ///
    /// # Panics
    /// Where `try_init` gives an error.
    pub fn init(&self, key: Key, device: &Device) -> Recurrent<C> {
        match self.try_init(key, device) {
            Ok(layer) => layer,
            Err(error) => panic!("{error}"),
        }
    }

    /// [`try_init_zeros`](Self::try_init_zeros) for a configuration known to be right.
    ///
    /// # Panics
    /// Where `try_init_zeros` gives an error.
    pub fn init_zeros(&self, device: &Device) -> Recurrent<C> {
        match self.try_init_zeros(device) {
            Ok(layer) => layer,
            Err(error) => panic!("{error}"),
        }
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::{AnyConfig, CellKind, Direction, LstmConfig, Preset};
    use burn::module::{Module, ModuleVisitor};

    /// Shapes, gradients and values of all parameters; `zero` if every value is zero.
    #[derive(Default)]
    struct Seen {
        shapes: Vec<Vec<usize>>,
        trains: Vec<bool>,
        zero: bool,
        values: Vec<TensorData>,
    }

    impl ModuleVisitor for Seen {
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            let tensor = parameter.val();
            self.shapes.push(tensor.dims().to_vec());
            self.trains.push(tensor.is_require_grad());
            self.zero &= tensor.clone().equal_elem(0.0).all().into_scalar::<bool>();
            self.values.push(tensor.into_data());
        }
    }

    fn seen(module: &impl Module) -> Seen {
        let mut seen = Seen { zero: true, ..Seen::default() };
        module.visit(&mut seen);
        seen
    }

    #[test]
    fn zeros_take_the_place_of_what_is_drawn() {
        for device in [Device::default(), Device::default().autodiff()] {
            let plain = LstmConfig::new(3, 5).with_num_layers(2).with_direction(Direction::Bidirectional);
            let mut projected = LstmConfig::new(3, 5).with_preset(Preset::Pytorch);
            projected.cell.proj_size = Some(2);
            for (config, all) in
                [(plain, true), (projected, true), (LstmConfig::new(3, 5).with_layer_norm(true), false)]
            {
                let (drawn, zeros) = (config.init(Key::new(1), &device), config.init_zeros(&device));
                let (from, to) = (seen(&drawn), seen(&zeros));
                assert_eq!((&from.shapes, &from.trains, &drawn.config), (&to.shapes, &to.trains, &zeros.config));
                assert!(!from.zero && to.zero == all);
                // What is loaded is all that counts.
                let loaded = zeros.load_record(drawn.into_record());
                let loaded = seen(&loaded);
                assert_eq!((loaded.values, loaded.trains), (from.values, from.trains));
            }
        }
    }

    #[test]
    fn zeros_are_refused_where_drawn_weights_are() {
        let device = Device::default();
        let config = LstmConfig::new(3, 0);
        let (drawn, zeros) = (config.try_init(Key::new(0), &device), config.try_init_zeros(&device));
        assert_eq!(zeros.map(|_| ()).expect_err("no units"), drawn.map(|_| ()).expect_err("no units"));
        for cell in CellKind::ALL {
            let config = AnyConfig::of_kind(cell, 3, 4).with_num_layers(2);
            let (drawn, zeros) = (config.try_init(Key::new(0), &device), config.try_init_zeros(&device));
            assert_eq!(seen(&drawn.expect("right")).shapes, seen(&zeros.expect("right")).shapes);
        }
    }
}
