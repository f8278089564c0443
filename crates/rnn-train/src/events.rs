//! The events sent to burn-train, which passes them to the metrics, the event store and the renderer.

use crate::batches::Batches;
use crate::evaluate::evaluate;
use crate::figures::{Figures, StepOutput, TotalsRead};
use crate::state::EpochRecord;
use crate::task::{Batch, Task};
use burn::data::dataloader::Progress;
use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::train::{EventProcessorTraining, LearnerEvent, TrainingComponents, TrainingItem};

/// A part of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Train,
    Validation,
}

/// burn-train's components.
pub(crate) struct Events<M: Task> {
    pub components: TrainingComponents<M>,
    /// What an item is called.
    pub unit: &'static str,
    /// The part that has begun but not ended, with its epoch.
    open: Option<(Part, usize)>,
}

impl<M: Task> Events<M> {
    pub fn new(components: TrainingComponents<M>, unit: &'static str) -> Self {
        Self { components, unit, open: None }
    }

    fn send(&mut self, part: Part, event: LearnerEvent<StepOutput>) {
        let processor = &mut self.components.event_processor;
        let sent = match part {
            Part::Train => processor.process_train(event),
            Part::Validation => processor.process_valid(event),
        };
        self.components.interrupter.fail_on_error(sent);
    }

    /// A part of `epoch`, counted from 1, begins.
    pub fn start(&mut self, part: Part, epoch: usize, items: usize) {
        self.open = Some((part, epoch));
        self.send(part, LearnerEvent::StartSplit { epoch_number: epoch, total_items: items });
    }

    /// A part of `epoch` ends.
    pub fn end(&mut self, part: Part, epoch: usize) {
        self.open = None;
        self.send(part, LearnerEvent::EndSplit(epoch));
    }

    /// The epoch ends. Returns after the renderer has shown it.
    pub fn end_of_epoch(&mut self, epoch: usize) {
        self.send(Part::Train, LearnerEvent::EndEpoch(epoch));
        self.flush();
    }

    /// Ends a part that an interruption or an error left open. Returns after the renderer has shown it.
    pub fn finish(&mut self) {
        if let Some((part, epoch)) = self.open {
            self.end(part, epoch);
        }
        self.flush();
    }

    /// Returns after the renderer has shown what was sent.
    pub fn flush(&mut self) {
        let flushed = self.components.event_processor.flush();
        self.components.interrupter.fail_on_error(flushed);
    }

    /// Sends the difference of `now` and `reported`, and updates `reported`; the part has `of` items.
    pub fn report(
        &mut self,
        part: Part,
        reported: &mut TotalsRead,
        now: &TotalsRead,
        of: usize,
        step: Option<(usize, ModuleLearningRate)>,
    ) {
        let items = (now.items - reported.items) as usize;
        if items == 0 {
            return;
        }
        let before = reported.sums.iter().copied().chain(std::iter::repeat(0.0));
        let sums = now.sums.iter().zip(before).map(|(now, before)| now - before).collect();
        *reported = now.clone();
        self.item(part, StepOutput::of_sums(items, sums), now.items as usize, of, step);
    }

    fn item(
        &mut self,
        part: Part,
        output: StepOutput,
        done: usize,
        of: usize,
        step: Option<(usize, ModuleLearningRate)>,
    ) {
        let progress = Progress::new(done, of, Some(self.unit.into()));
        let (step, rate) = step.unzip();
        self.send(part, LearnerEvent::ProcessedItem(TrainingItem::new(output, progress, step, rate)));
    }

    /// Validates `model` on `batches`; `None` if it was stopped.
    pub fn validate(
        &mut self,
        model: &M,
        batches: &Batches<Batch<M>>,
        epoch: usize,
        stopped: &dyn Fn() -> bool,
    ) -> Option<Figures> {
        self.start(Part::Validation, epoch, batches.items());
        let mut reported = TotalsRead::default();
        let figures = evaluate(model, batches, |seen| {
            self.report(Part::Validation, &mut reported, seen.totals.read_all(), seen.of, None);
            !self.stopped(stopped)
        });
        self.end(Part::Validation, epoch);
        figures
    }

    /// Whether the training was asked to stop, by `stopped` or by burn-train; passes the request on to burn-train.
    pub fn stopped(&self, stopped: &dyn Fn() -> bool) -> bool {
        let interrupter = &self.components.interrupter;
        if stopped() && !interrupter.should_stop() {
            interrupter.stop(Some("a signal asked the process to end"));
        }
        interrupter.should_stop()
    }

    /// Whether early stopping ends the training after `epoch`.
    pub fn stops_early(&mut self, epoch: usize) -> bool {
        let store = &self.components.event_store;
        self.components.early_stopping.as_mut().is_some_and(|early| early.should_stop(epoch, store))
    }

    /// Sends the epochs before a checkpoint again, which restores metrics, early stopping and dashboard. `items` are
    /// the numbers of items in a training epoch and in a validation. Returns whether early stopping had ended the
    /// training.
    pub fn replay(&mut self, history: &[EpochRecord], items: [usize; 2]) -> bool {
        let mut stopped = false;
        for EpochRecord { epoch, train, validation, .. } in history {
            let parts = [(Part::Train, Some(train), items[0]), (Part::Validation, validation.as_ref(), items[1])];
            for (part, figures, items) in parts {
                let Some(figures) = figures else { continue };
                let means = std::iter::once(&figures.loss).chain(&figures.others);
                let sums = means.map(|mean| mean * items as f64).collect();
                self.start(part, *epoch, items);
                self.item(part, StepOutput::of_sums(items, sums), items, items, None);
                self.end(part, *epoch);
            }
            self.end_of_epoch(*epoch);
            stopped = self.stops_early(*epoch);
        }
        stopped
    }
}
