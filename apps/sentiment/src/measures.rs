//! Figures of a classifier from its logits: what `eval` and the test after a training print.

use crate::judge::{Logits, probabilities};
use rnn_plot::{Axis, Line, LineChart, Panel, Stroke};
use serde::Serialize;

/// Bins of the confidence, for the calibration.
const BINS: usize = 10;

/// Figures of one class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OfClass {
    pub class: String,
    /// Texts of it.
    pub texts: usize,
    /// Of the texts that were given this class, the share that are of it; null if there is none.
    pub precision: Option<f64>,
    /// Of the texts of this class, the share that were given it.
    pub recall: Option<f64>,
    /// The harmonic mean of both.
    pub f1: Option<f64>,
    /// The probability that a text of this class gets a higher probability of it than one of another class.
    pub auroc: Option<f64>,
}

/// Texts whose largest probability lies in one bin.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bin {
    /// The mean of that probability.
    pub confidence: f64,
    /// The share that are judged right.
    pub accuracy: f64,
    pub texts: usize,
}

/// Figures over texts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measures {
    /// The mean cross-entropy, in nats.
    pub loss: f64,
    pub accuracy: f64,
    /// The mean of the classes' F1.
    pub macro_f1: f64,
    pub classes: Vec<OfClass>,
    /// Texts of the class of the row that were given the class of the column.
    pub confusion: Vec<Vec<usize>>,
    /// The mean distance of confidence and accuracy over the bins, weighted by their texts (Naeini et al., 2015).
    pub expected_calibration_error: f64,
    pub calibration: Vec<Bin>,
}

/// The class with the largest probability; of equals the first.
pub fn judged(p: &[f64]) -> usize {
    (0..p.len()).fold(0, |best, class| if p[class] > p[best] { class } else { best })
}

fn share(part: usize, all: usize) -> Option<f64> {
    (all > 0).then(|| part as f64 / all as f64)
}

impl Measures {
    /// Of `logits` of texts of these `classes`, which are called `names`.
    pub fn of(logits: &[Logits], classes: &[usize], names: &[String]) -> Self {
        let n = names.len();
        let all = logits.len().max(1) as f64;
        let mut confusion = vec![vec![0usize; n]; n];
        let (mut loss, mut bins) = (0.0, [(0.0, 0usize, 0usize); BINS]);
        let p: Vec<Vec<f64>> = logits.iter().map(|logits| probabilities(logits)).collect();
        for ((p, logits), &class) in p.iter().zip(logits).zip(classes) {
            let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            loss += largest - logits[class] + logits.iter().map(|x| (x - largest).exp()).sum::<f64>().ln();
            let given = judged(p);
            confusion[class][given] += 1;
            let bin = &mut bins[((p[given] * BINS as f64) as usize).min(BINS - 1)];
            *bin = (bin.0 + p[given], bin.1 + usize::from(given == class), bin.2 + 1);
        }
        let of_class = |class: usize| {
            let right = confusion[class][class];
            let texts = confusion[class].iter().sum();
            let given = confusion.iter().map(|row| row[class]).sum();
            let scores = p.iter().zip(classes).map(|(p, &of)| (p[class], of == class)).collect();
            OfClass {
                class: names[class].clone(),
                texts,
                precision: share(right, given),
                recall: share(right, texts),
                f1: share(2 * right, texts + given),
                auroc: auroc(scores),
            }
        };
        let of_classes: Vec<OfClass> = (0..n).map(of_class).collect();
        let calibration: Vec<Bin> = bins
            .iter()
            .filter(|(_, _, texts)| *texts > 0)
            .map(|&(sum, right, texts)| Bin {
                confidence: sum / texts as f64,
                accuracy: right as f64 / texts as f64,
                texts,
            })
            .collect();
        Self {
            loss: loss / all,
            accuracy: (0..n).map(|class| confusion[class][class]).sum::<usize>() as f64 / all,
            macro_f1: of_classes.iter().filter_map(|class| class.f1).sum::<f64>() / n.max(1) as f64,
            expected_calibration_error: calibration
                .iter()
                .map(|bin| (bin.confidence - bin.accuracy).abs() * bin.texts as f64 / all)
                .sum(),
            classes: of_classes,
            confusion,
            calibration,
        }
    }

    /// The table of the classes: a row each, in columns as [`CLASS_COLUMNS`] names them.
    pub fn class_rows(&self) -> Vec<Vec<String>> {
        let shown = |x: Option<f64>| x.map_or("–".to_string(), |x| format!("{x:.4}"));
        let row = |c: &OfClass| {
            vec![c.class.clone(), c.texts.to_string(), shown(c.precision), shown(c.recall), shown(c.f1), shown(c.auroc)]
        };
        self.classes.iter().map(row).collect()
    }

    /// The confusion table: a row a class, with its name in front.
    pub fn confusion_rows(&self) -> Vec<Vec<String>> {
        let row = |(class, counts): (&OfClass, &Vec<usize>)| {
            std::iter::once(class.class.clone()).chain(counts.iter().map(usize::to_string)).collect()
        };
        self.classes.iter().zip(&self.confusion).map(row).collect()
    }

    /// The reliability plot: where the model says 0.8, 8 of 10 should be right.
    pub fn reliability(&self) -> String {
        let points = self.calibration.iter().map(|bin| (bin.confidence, bin.accuracy));
        let low = 1.0 / self.classes.len().max(1) as f64;
        let ideal = Line { stroke: Stroke::Dashed, ..Line::new("ideal", [(low, low), (1.0, 1.0)]) };
        let chart = LineChart {
            title: format!("calibration, expected error {:.4}", self.expected_calibration_error),
            x: Axis { label: "probability of the class that is given".into(), ..Axis::default() },
            y: Axis { label: "share that is right".into(), ..Axis::default() },
            panels: vec![Panel { title: String::new(), lines: vec![Line::new("model", points), ideal] }],
        };
        chart.svg()
    }
}

/// What the columns of [`Measures::class_rows`] are called.
pub const CLASS_COLUMNS: [&str; 6] = ["class", "texts", "precision", "recall", "F1", "AUROC"];

/// The area under the ROC curve, by the ranks of the scores; equal scores share their ranks' mean. `None` where all
/// texts or none are of the class.
fn auroc(mut scores: Vec<(f64, bool)>) -> Option<f64> {
    scores.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut ranks, mut rank, mut of_it) = (0.0, 0usize, 0usize);
    for equal in scores.chunk_by(|a, b| a.0 == b.0) {
        let here = equal.iter().filter(|(_, is_it)| *is_it).count();
        ranks += here as f64 * (rank as f64 + (equal.len() as f64 + 1.0) / 2.0);
        rank += equal.len();
        of_it += here;
    }
    let others = rank - of_it;
    let pairs = of_it as f64 * others as f64;
    (pairs > 0.0).then(|| (ranks - of_it as f64 * (of_it as f64 + 1.0) / 2.0) / pairs)
}

/// `rows` under `header` as lines of columns, the first one at the left, the others at the right.
pub fn table(header: &[String], rows: &[Vec<String>]) -> String {
    let width = |i: usize| {
        rows.iter().chain([&header.to_vec()]).filter_map(|row| row.get(i)).map(|cell| cell.chars().count()).max()
    };
    let line = |row: &Vec<String>| {
        let cell = |(i, cell): (usize, &String)| {
            let width = width(i).unwrap_or(0);
            if i == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        };
        row.iter().enumerate().map(cell).collect::<Vec<_>>().join("  ").trim_end().to_string()
    };
    std::iter::once(line(&header.to_vec())).chain(rows.iter().map(line)).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|i| format!("class {i}")).collect()
    }

    #[test]
    fn figures_are_those_of_the_confusion_table() {
        let logits = [[0.0, 2.0], [0.0, 1.0], [0.0, -1.0], [0.0, -3.0], [0.0, 0.5]].map(|row| row.to_vec());
        let found = Measures::of(&logits, &[1, 0, 1, 0, 1], &names(2));
        assert_eq!(found.confusion, [[1, 1], [1, 2]]);
        assert!((found.accuracy - 0.6).abs() < 1e-12);
        let second = &found.classes[1];
        let two_thirds = Some(2.0 / 3.0);
        assert_eq!((second.texts, second.precision, second.recall, second.f1), (3, two_thirds, two_thirds, two_thirds));
        // Of 6 pairs the higher score is that of class 1 in 4: 2.0 > 1.0, -3.0; 0.5 > -3.0; -1.0 > -3.0.
        assert_eq!(second.auroc, Some(4.0 / 6.0));
        let bce = |z: f64| (1.0 + (-z).exp()).ln();
        let loss = [bce(2.0), bce(-1.0), bce(-1.0), bce(3.0), bce(0.5)].iter().sum::<f64>() / 5.0;
        assert!((found.loss - loss).abs() < 1e-12);
    }

    #[test]
    fn a_class_without_texts_has_no_figures() {
        let logits = [vec![3.0, 0.0, 0.0], vec![0.0, 3.0, 0.0]];
        let found = Measures::of(&logits, &[0, 1], &names(3));
        let third = &found.classes[2];
        assert_eq!((third.precision, third.recall, third.f1, third.auroc), (None, None, None, None));
        assert_eq!(found.accuracy, 1.0);
        let p = 3f64.exp() / (3f64.exp() + 2.0);
        assert!((found.expected_calibration_error - (1.0 - p)).abs() < 1e-12);
        assert!(found.reliability().starts_with("<svg"));
    }

    #[test]
    fn equal_scores_share_their_ranks() {
        assert_eq!(auroc(vec![(0.5, true), (0.5, false)]), Some(0.5));
        assert_eq!(auroc(vec![(0.9, true), (0.1, false)]), Some(1.0));
        assert_eq!(auroc(vec![(0.9, true)]), None);
    }
}
