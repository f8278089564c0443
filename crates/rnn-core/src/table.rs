//! Tables of embeddings as the input of a layer, and what is done for them behind a plain call: in training a table
//! whose rows wait for their updates, in evaluation the products of the whole table with `W_ih`.

use crate::Recurrent;
use crate::args::ForwardArgs;
use crate::cell::Cell;
use crate::ops;
use burn::module::ParamId;
use burn::nn::Embedding;
use burn::tensor::Tensor;
use std::borrow::Cow;
use std::cell::RefCell;

/// A table of embeddings: a tensor, or Burn's [`Embedding`], which a training can update lazily and an evaluation can
/// multiply with `W_ih` once for all words.
#[derive(Debug, Clone)]
pub struct Table {
    /// `[n, d]`.
    pub values: Tensor<2>,
    /// Which parameter it is.
    pub id: Option<ParamId>,
}

impl From<Tensor<2>> for Table {
    fn from(values: Tensor<2>) -> Self {
        Self { values, id: None }
    }
}

impl From<&Embedding> for Table {
    fn from(embedding: &Embedding) -> Self {
        Self { values: embedding.weight.val(), id: Some(embedding.weight.id) }
    }
}

impl Table {
    /// The rows that a training with lazy updates has for `ids`, with ids to match; else the table itself.
    pub(crate) fn named(self, ids: &[u32]) -> (Tensor<2>, Cow<'_, [u32]>) {
        #[cfg(feature = "optim")]
        if let Some((rows, places)) = self.id.and_then(|id| crate::optim::named_rows(id, ids)) {
            return (rows, places.into());
        }
        (self.values, ids.into())
    }
}

thread_local! {
    static EVALUATION: RefCell<Option<Evaluation>> = const { RefCell::new(None) };
}

/// An evaluation that runs on this thread.
struct Evaluation {
    items: usize,
    folded: Vec<Folded>,
}

/// The products of a table's rows with the first layer's `W_ih`.
struct Folded {
    /// The parameters of the table and of the first `W_ih`.
    of: [ParamId; 2],
    /// Their values: two checkpoints of a training have the same parameters.
    table: Tensor<2>,
    weights: Vec<Tensor<2>>,
    /// One a direction; `None` where they save nothing.
    products: Option<Vec<Tensor<2>>>,
}

/// Elements of the products of all of a table's rows that an evaluation may hold: 256 MB of f32.
const MOST_PRODUCTS: usize = 1 << 26;

/// Runs `run`, which evaluates a model on `items` sequences without changing it. A layer over Burn's [`Embedding`]
/// then multiplies the table with `W_ih` once and looks the products up ([`Recurrent::over_embedding`]), where the
/// sequences have more tokens than the table has rows; sums may differ in their last digits.
///
/// Give each model an evaluation of its own. Copies of a model and checkpoints of one training have the same
/// parameters with other values; in one evaluation they go the plain way. So does every model on a device that does not
/// show where its tensors lie.
///
/// ```
/// use rnn_core::burn::{nn::EmbeddingConfig, tensor::Device};
/// use rnn_core::{Input, Key, LstmConfig, evaluation};
///
/// let device = Device::default();
/// let words = EmbeddingConfig::new(10, 4).init(&device);
/// let lstm = LstmConfig::new(4, 8).init(Key::new(0), &device);
/// let texts = [[1, 7, 7], [0, 3, 9]];
/// let last = evaluation(texts.len(), || {
///     texts.map(|text| lstm.forward(Input::ids(&words, &text, [1, 3])).last_hidden())
/// });
/// assert_eq!(last[1].dims(), [1, 8]);
/// ```
pub fn evaluation<R>(items: usize, run: impl FnOnce() -> R) -> R {
    struct Restore(Option<Evaluation>);
    impl Drop for Restore {
        fn drop(&mut self) {
            EVALUATION.set(self.0.take());
        }
    }
    let _before = Restore(EVALUATION.replace(Some(Evaluation { items, folded: Vec::new() })));
    run()
}

/// `layer` over the ids of `table` themselves, if an evaluation runs in which that saves work.
pub(crate) fn folded<C: Cell>(
    layer: &Recurrent<C>,
    table: &Table,
    ids: &[u32],
    [batch, time]: [usize; 2],
    args: &ForwardArgs<C::State>,
) -> Option<Recurrent<C>> {
    let (table_id, first) = (table.id?, layer.layers.first()?);
    let [rows, _] = table.values.dims();
    let is_tracked = table.values.is_autodiff() || first.weight_ih.val().is_autodiff();
    // The plain way says what is wrong with ids.
    let are_right = Some(ids.len()) == batch.checked_mul(time) && ids.iter().all(|&id| (id as usize) < rows);
    if is_tracked || args.dropout_key.is_some() || !are_right {
        return None;
    }
    let of = [table_id, first.weight_ih.id];
    let weights = || layer.first_weights().map(|weight| weight.val()).collect::<Vec<_>>();
    EVALUATION.with_borrow_mut(|evaluation| {
        let evaluation = evaluation.as_mut()?;
        if let Some(known) = evaluation.folded.iter_mut().find(|known| known.of == of) {
            let now = weights();
            let same = now.len() == known.weights.len()
                && known.weights.iter().zip(&now).all(|(a, b)| ops::is_same(a, b))
                && ops::is_same(&known.table, &table.values);
            if !same {
                // Two of them in turn would be multiplied again each time.
                known.products = None;
            }
            return Some(layer.over_products(known.products.clone()?));
        }
        let [_, width] = first.weight_ih.val().dims();
        let count = rows.saturating_mul(width).saturating_mul(layer.config.direction.count());
        let is_seen = ops::is_same(&table.values, &table.values);
        let saves = is_seen && evaluation.items.saturating_mul(time) > rows && count <= MOST_PRODUCTS;
        let products = if saves { layer.products(&table.values).ok() } else { None };
        evaluation.folded.push(Folded {
            of,
            table: table.values.clone(),
            weights: weights(),
            products: products.clone(),
        });
        Some(layer.over_products(products?))
    })
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::{AnyConfig, CellKind, Direction, Input, Key, Lstm, LstmConfig};
    use burn::module::{Module, ModuleMapper, Param};
    use burn::nn::EmbeddingConfig;
    use burn::tensor::{Device, Tolerance};

    #[test]
    fn an_evaluation_gives_what_the_layer_gives() {
        let device = Device::default();
        let words = EmbeddingConfig::new(6, 5).init(&device);
        let texts: Vec<[u32; 4]> = (0..9).map(|i| [i % 6, (i * i) % 6, 5, (i + 3) % 6]).collect();
        for (kind, layers, direction) in [
            (CellKind::Rnn, 1, Direction::Forward),
            (CellKind::Lstm, 2, Direction::Bidirectional),
            (CellKind::Gru, 1, Direction::Backward),
        ] {
            let config = AnyConfig::of_kind(kind, 5, 7).with_num_layers(layers).with_direction(direction);
            let layer = config.with_dropout(0.3).init(Key::new(3), &device);
            let run = || {
                let last = |text: &[u32; 4]| layer.forward(Input::ids(&words, text, [1, 4])).last_hidden();
                Tensor::cat(texts.iter().map(last).collect(), 0).into_data()
            };
            let plain = run();
            let count = || {
                EVALUATION.with_borrow(|e| e.as_ref().map_or(0, |e| e.folded.iter().flat_map(|f| &f.products).count()))
            };
            let (folded, made) = evaluation(texts.len(), || (run(), count()));
            assert_eq!(made, 1);
            folded.assert_approx_eq::<f32>(&plain, Tolerance::absolute(1e-6));
            // With fewer tokens than words the products would cost more than they save.
            let (few, made) = evaluation(1, || (run(), count()));
            assert_eq!((few, made), (plain, 0));
            assert_eq!(count(), 0);
        }
    }

    /// Two checkpoints of a training, other tables, other options: all have the same parameters.
    #[test]
    fn copies_in_one_evaluation_have_their_own_values() {
        struct Half;
        impl ModuleMapper for Half {
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                param.map(|values| values * 0.5)
            }
        }
        let device = Device::default();
        let words = EmbeddingConfig::new(6, 5).init(&device);
        let other_words = words.clone().map(&mut Half);
        let config = LstmConfig::new(5, 7).with_proj_size(Some(3)).with_direction(Direction::Bidirectional);
        let layer = config.init(Key::new(3), &device);
        let mut other_options = layer.clone();
        other_options.config.zoneout.hidden = 0.4;
        let mut last_weight = layer.clone();
        last_weight.layers[1].weight_ih = last_weight.layers[1].weight_ih.clone().map(|values| values * 0.5);
        let mut others = vec![(layer.clone().map(&mut Half), &words), (layer.clone(), &other_words)];
        others.extend([(other_options, &words), (last_weight, &words)]);
        let run = |layer: &Lstm, words: &Embedding| {
            layer.forward(Input::ids(words, &[1, 4, 4, 0, 5, 2], [2, 3])).last_hidden().into_data()
        };
        for (other, other_words) in &others {
            let expected = [run(&layer, &words), run(other, other_words)];
            let found = evaluation(100, || [run(&layer, &words), run(other, other_words)]);
            for (found, expected) in found.iter().zip(&expected) {
                found.assert_approx_eq::<f32>(expected, Tolerance::absolute(1e-6));
            }
        }
    }

    #[test]
    fn wrong_ids_are_named_as_ids_in_an_evaluation_too() {
        let device = Device::default();
        let words = EmbeddingConfig::new(6, 5).init(&device);
        let layer = AnyConfig::of_kind(CellKind::Gru, 5, 7).init(Key::new(3), &device);
        let error = evaluation(100, || layer.try_forward(Input::ids(&words, &[6], [1, 1]), ForwardArgs::default()));
        let error = error.expect_err("there is no row 6").to_string();
        assert_eq!(error, "id 6 of row 0 at step 0 is not below the number of the table's rows, 6");
    }
}
