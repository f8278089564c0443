//! From values to places on an axis, and where its ticks stand.

/// How values are spread over an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scale {
    /// Equal differences are equally long.
    #[default]
    Linear,
    /// Equal quotients are equally long; values that are not positive are left out.
    Log,
}

impl Scale {
    /// Whether `value` has a place on such an axis.
    pub(crate) fn has(self, value: f64) -> bool {
        value.is_finite() && (self == Scale::Linear || value > 0.0)
    }

    /// Of `value`, the number that is laid out evenly.
    fn even(self, value: f64) -> f64 {
        match self {
            Scale::Linear => value,
            Scale::Log => value.log10(),
        }
    }
}

/// A range of values on a scale.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Range {
    scale: Scale,
    low: f64,
    high: f64,
    /// Ticks stand at whole numbers only, as for epochs.
    whole: bool,
}

/// A labelled place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tick {
    pub value: f64,
    pub label: String,
}

/// A logarithmic axis over more decades than this has ticks at powers of ten alone.
const FEW_DECADES: f64 = 3.0;

impl Range {
    /// From the least to the greatest of `values`; a range of one value is widened around it.
    pub fn over(scale: Scale, whole: bool, values: impl Iterator<Item = f64>) -> Self {
        let values = values.filter(|value| scale.has(*value));
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), value| (l.min(value), h.max(value)));
        let (low, high) = match (low <= high, scale) {
            (false, Scale::Linear) => (0.0, 1.0),
            (false, Scale::Log) => (1.0, 10.0),
            // A whole number alone, such as the only epoch, has no neighbours that the axis could name.
            (true, Scale::Linear) if low == high && whole => (low - 0.5, high + 0.5),
            (true, Scale::Linear) if low == high => {
                let around = if low == 0.0 { 1.0 } else { 0.1 * low.abs() };
                (low - around, high + around)
            }
            (true, Scale::Log) if low == high => (low / 2.0, high * 2.0),
            (true, _) => (low, high),
        };
        Self { scale, low, high, whole }
    }

    /// From `low` to `high`.
    pub fn of(scale: Scale, low: f64, high: f64) -> Self {
        Self { scale, low, high, whole: false }
    }

    /// With room at both ends, so that a point there does not lie on the frame.
    pub fn with_room(self) -> Self {
        let (low, high) = (self.scale.even(self.low), self.scale.even(self.high));
        let room = 0.04 * (high - low);
        match self.scale {
            Scale::Linear => Self { low: low - room, high: high + room, ..self },
            Scale::Log => Self { low: 10f64.powf(low - room), high: 10f64.powf(high + room), ..self },
        }
    }

    /// Widened so that it begins and ends at a tick, with at most about `most` of them.
    pub fn rounded(self, most: usize) -> Self {
        let (low, high) = (self.scale.even(self.low), self.scale.even(self.high));
        let (low, high) = match self.step(most) {
            Some(step) => ((low / step + 1e-9).floor() * step, (high / step - 1e-9).ceil() * step),
            None => (low, high),
        };
        match self.scale {
            Scale::Linear => Self { low, high, ..self },
            Scale::Log => Self { low: 10f64.powf(low), high: 10f64.powf(high), ..self },
        }
    }

    /// 0 at the low end, 1 at the high one.
    pub fn place(&self, value: f64) -> f64 {
        let [value, low, high] = [value, self.low, self.high].map(|value| self.scale.even(value));
        (value - low) / (high - low)
    }

    /// The even distance of ticks: of values, or of exponents. `None` where ticks stand at 1, 2, 5, 10, …
    fn step(&self, most: usize) -> Option<f64> {
        let length = self.scale.even(self.high) - self.scale.even(self.low);
        if self.scale == Scale::Log {
            return (length > FEW_DECADES).then(|| (length / most as f64).ceil());
        }
        let least = length / most as f64;
        let power = 10f64.powf(least.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power).into_iter().find(|step| *step >= least * 0.999);
        let step = step.unwrap_or(10.0 * power);
        Some(if self.whole { step.max(1.0) } else { step })
    }

    /// The ticks in the range, about `most` at most.
    pub fn ticks(&self, most: usize) -> Vec<Tick> {
        let (low, high) = (self.scale.even(self.low), self.scale.even(self.high));
        let Some(step) = self.step(most) else { return self.digits(most) };
        let first = (low / step - 1e-9).ceil() as i64;
        let last = (high / step + 1e-9).floor() as i64;
        let decimals = (-step.log10() - 1e-9).ceil().max(0.0) as usize;
        // Powers of ten that are read more quickly when they are written out.
        let is_short = low > -3.5 && high < 5.5;
        let tick = |at: i64| {
            let even = at as f64 * step;
            match self.scale {
                Scale::Linear => Tick { value: even, label: minus(&format!("{even:.decimals$}")) },
                Scale::Log if is_short => Tick { value: 10f64.powf(even), label: 10f64.powf(even).to_string() },
                Scale::Log => Tick { value: 10f64.powf(even), label: format!("10{}", superscript(even as i64)) },
            }
        };
        (first..=last).map(tick).collect()
    }

    /// 1, 2, 5, 10, … of a logarithmic range; a tick that lies too near to the one before it is left out.
    fn digits(&self, most: usize) -> Vec<Tick> {
        let exponents = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
        let values = exponents.flat_map(|e| [1.0, 2.0, 5.0].map(|digit| (digit * 10f64.powi(e), e)));
        let mut ticks: Vec<Tick> = Vec::new();
        let mut last = f64::NEG_INFINITY;
        for (value, exponent) in values {
            let place = self.place(value);
            if !(-1e-9..=1.0 + 1e-9).contains(&place) || place - last < 0.7 / most as f64 {
                continue;
            }
            last = place;
            let decimals = (-exponent).max(0) as usize;
            ticks.push(Tick { value, label: format!("{value:.decimals$}") });
        }
        ticks
    }
}

/// With the sign that is as wide as a digit; nothing is −0.
fn minus(number: &str) -> String {
    let is_zero = number.chars().all(|c| matches!(c, '-' | '0' | '.'));
    if is_zero { number.replace('-', "") } else { number.replace('-', "−") }
}

fn superscript(exponent: i64) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let digit = |c: char| c.to_digit(10).map_or('⁻', |digit| DIGITS[digit as usize]);
    exponent.to_string().chars().map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(range: Range, most: usize) -> Vec<String> {
        range.ticks(most).into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn linear_ticks_have_round_distances() {
        assert_eq!(labels(Range::of(Scale::Linear, 0.0, 1.0), 5), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(Range::of(Scale::Linear, -12.0, 31.0), 5), ["−10", "0", "10", "20", "30"]);
        let rounded = Range::over(Scale::Linear, false, [0.31, 0.52].into_iter()).rounded(5);
        assert_eq!(labels(rounded, 5), ["0.30", "0.35", "0.40", "0.45", "0.50", "0.55"]);
    }

    #[test]
    fn epochs_have_no_halves() {
        assert_eq!(labels(Range::over(Scale::Linear, true, [1.0, 3.0].into_iter()), 6), ["1", "2", "3"]);
        assert_eq!(labels(Range::over(Scale::Linear, true, [1.0, 25.0].into_iter()), 6), ["5", "10", "15", "20", "25"]);
    }

    #[test]
    fn logarithmic_ticks_are_powers_or_digits() {
        let wide = Range::over(Scale::Log, false, [2e-28, 3e7].into_iter()).rounded(9);
        assert_eq!(labels(wide, 9).first().map(String::as_str), Some("10⁻²⁸"));
        assert_eq!(labels(wide, 9).last().map(String::as_str), Some("10⁸"));
        assert_eq!(labels(Range::of(Scale::Log, 0.01, 5e4), 9), ["0.01", "0.1", "1", "10", "100", "1000", "10000"]);
        assert_eq!(labels(Range::of(Scale::Log, 0.7, 60.0), 9), ["1", "2", "5", "10", "20", "50"]);
        assert_eq!(labels(Range::of(Scale::Log, 0.1, 0.5), 9), ["0.1", "0.2", "0.5"]);
    }

    #[test]
    fn places_are_even_on_the_scale() {
        assert_eq!(Range::of(Scale::Linear, 10.0, 30.0).place(15.0), 0.25);
        assert!((Range::of(Scale::Log, 1.0, 100.0).place(10.0) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn the_range_of_one_value_lies_around_it() {
        assert_eq!(labels(Range::over(Scale::Linear, true, [1.0].into_iter()), 6), ["1"]);
        let loss = Range::over(Scale::Linear, false, [0.5382].into_iter()).rounded(9);
        assert!(loss.low > 0.4 && loss.high < 0.7, "{loss:?}");
        assert!((0.2..0.8).contains(&loss.place(0.5382)), "{loss:?}");
    }

    #[test]
    fn ranges_of_one_value_or_none_have_a_length() {
        for values in [&[][..], &[5.0], &[f64::NAN]] {
            for scale in [Scale::Linear, Scale::Log] {
                let range = Range::over(scale, false, values.iter().copied());
                assert!(range.high > range.low && !range.ticks(5).is_empty(), "{range:?}");
            }
        }
    }
}
