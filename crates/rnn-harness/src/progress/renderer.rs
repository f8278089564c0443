//! The progress line as a renderer of burn-train's events.

use super::{Pass, Progress};
use burn::train::LearnerSummary;
use burn::train::logger::{EvaluationProgressLogger, TrainingProgressLogger};
use burn::train::metric::{MetricDefinition, MetricId};
use burn::train::renderer::{
    EvaluationName, MetricState, MetricsRenderer, MetricsRendererEvaluation, MetricsRendererTraining,
};

/// Shows the means over the epoch so far.
pub(crate) struct Renderer {
    progress: Progress,
    figures: Vec<Figure>,
    /// The epoch that events are about, counted from 1.
    epoch: usize,
    /// The first epoch that this process trains; of those before it a resumed training sends the results once more.
    first_epoch: usize,
    /// Items of this pass so far.
    done: usize,
}

/// A figure: its value over the items of the last event, and its sum over all items of the pass.
struct Figure {
    id: MetricId,
    name: String,
    last: f64,
    sum: f64,
}

impl Renderer {
    /// Over `progress`, from `first_epoch`, counted from 1.
    pub(crate) fn new(progress: Progress, first_epoch: usize) -> Self {
        Self { progress, figures: Vec::new(), epoch: 1, first_epoch, done: 0 }
    }

    fn note(&mut self, state: MetricState) {
        let MetricState::Numeric(entry, Some(value)) = state else { return };
        if let Some(figure) = self.figures.iter_mut().find(|figure| figure.id == entry.metric_id) {
            figure.last = value.current();
        }
    }
}

impl TrainingProgressLogger for Renderer {
    fn start(&mut self, _: usize, _: usize, _: Option<usize>, _: Option<&str>) {}

    fn update_epoch(&mut self, epoch: usize) {
        self.epoch = epoch + 1;
    }

    fn start_split(&mut self, split: &str, items: usize) {
        let pass = if split.eq_ignore_ascii_case("train") { Pass::Train } else { Pass::Validation };
        self.done = 0;
        self.figures.iter_mut().for_each(|figure| figure.sum = 0.0);
        if self.epoch >= self.first_epoch {
            self.progress.begin(pass, self.epoch, items);
        }
    }

    fn update_split(&mut self, done: usize) {
        let items = done.saturating_sub(self.done) as f64;
        self.done = done;
        self.figures.iter_mut().for_each(|figure| figure.sum += figure.last * items);
        if self.epoch >= self.first_epoch && self.progress.advance(done) {
            let means: Vec<(&str, f64)> =
                self.figures.iter().map(|figure| (figure.name.as_str(), figure.sum / done as f64)).collect();
            self.progress.show(&means);
        }
    }

    fn end_split(&mut self) {
        self.progress.end();
    }

    fn end(&mut self) {
        self.progress.end();
    }

    fn log_event_training(&mut self, _: String) {}
}

impl MetricsRendererTraining for Renderer {
    fn update_train(&mut self, state: MetricState) {
        self.note(state);
    }

    fn update_valid(&mut self, state: MetricState) {
        self.note(state);
    }

    fn on_train_end(&mut self, _: Option<LearnerSummary>) -> Result<(), Box<dyn std::error::Error>> {
        Ok(())
    }
}

impl MetricsRenderer for Renderer {
    fn manual_close(&mut self) {}

    fn register_metric(&mut self, definition: MetricDefinition) {
        if self.figures.iter().all(|figure| figure.id != definition.metric_id) {
            self.figures.push(Figure {
                id: definition.metric_id,
                name: definition.name.to_string(),
                last: 0.0,
                sum: 0.0,
            });
        }
    }
}

/// burn-train's evaluations go another way.
impl EvaluationProgressLogger for Renderer {
    fn start_global_progress(&mut self, _: usize) {}
    fn start_test(&mut self, _: &str, _: usize) {}
    fn update_test_progress(&mut self, _: usize) {}
    fn end_test(&mut self) {}
    fn end_global_progress(&mut self) {}
    fn log_event_evaluation(&mut self, _: String) {}
}

impl MetricsRendererEvaluation for Renderer {
    fn update_test(&mut self, _: EvaluationName, _: MetricState) {}
}
