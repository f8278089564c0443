//! Figures as burn-train's metrics, for its event store, its dashboard and its early stopping.

use crate::figures::{Figure, Sums};
use burn::tensor::TensorReadError;
use burn::train::metric::state::{FormatOptions, NumericMetricState};
use burn::train::metric::{
    Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericAttributes, NumericEntry, SerializedEntry,
};
use std::sync::Arc;

/// The mean of one figure over the items of an epoch.
#[derive(Clone)]
pub struct Mean {
    name: MetricName,
    /// The index among the sums.
    place: usize,
    higher_is_better: bool,
    state: NumericMetricState,
}

impl Mean {
    /// The figure with index `place` among the sums; the loss has 0.
    pub(crate) fn new(figure: Figure, place: usize) -> Self {
        let Figure { name, higher_is_better } = figure;
        Self { name: Arc::new(name.to_string()), place, higher_is_better, state: NumericMetricState::new() }
    }

    fn format(&self) -> FormatOptions {
        FormatOptions::new(self.name.clone()).precision(4)
    }
}

impl Metric for Mean {
    type Input = Sums;

    fn name(&self) -> MetricName {
        self.name.clone()
    }

    fn attributes(&self) -> MetricAttributes {
        NumericAttributes { unit: None, higher_is_better: self.higher_is_better }.into()
    }

    fn update(&mut self, input: &Sums, _: &MetricMetadata) -> Result<SerializedEntry, TensorReadError> {
        if let Some(sum) = input.sums.get(self.place) {
            self.state.update(sum / input.items as f64, input.items);
        }
        Ok(self.state.compute_update(self.format()))
    }

    fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
        Ok(self.state.compute_final(self.format()))
    }

    fn clear(&mut self) {
        self.state.reset();
    }
}

impl Numeric for Mean {
    fn value(&self) -> Option<NumericEntry> {
        Some(self.state.current_value())
    }

    fn running_value(&self) -> Option<NumericEntry> {
        Some(self.state.running_value())
    }

    fn final_value(&self) -> NumericEntry {
        self.state.final_value()
    }
}
