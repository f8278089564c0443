//! The values of a table's label and split columns.

use crate::show;
use std::collections::BTreeMap;

/// A label's value. 0 or -1 means negative if the table has only one of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    Positive,
    Negative,
    Zero,
    MinusOne,
}

/// The labels, for messages.
pub(super) const LABELS: &str = "1, pos, positive, true; 0, -1, neg, negative, false";

/// Which part a row belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Train,
    Validation,
    Test,
}

/// The parts, for messages.
pub(super) const PARTS: &str = "train, test or validation";

impl Label {
    /// Parses `text`: a word in any case, or a number equal to 1, 0 or -1.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        match text {
            "1" => return Some(Self::Positive),
            "0" => return Some(Self::Zero),
            _ => (),
        }
        let is = |name: &&str| text.eq_ignore_ascii_case(name);
        if ["pos", "positive", "true"].iter().any(is) {
            Some(Self::Positive)
        } else if ["neg", "negative", "false"].iter().any(is) {
            Some(Self::Negative)
        } else {
            match text.parse::<f64>() {
                Ok(1.0) => Some(Self::Positive),
                Ok(0.0) => Some(Self::Zero),
                Ok(-1.0) => Some(Self::MinusOne),
                _ => None,
            }
        }
    }

    /// Whether the review is positive.
    pub fn is_positive(self) -> bool {
        self == Self::Positive
    }
}

/// The classes of texts about which people wrote whether they are positive.
pub(super) fn sentiments() -> Vec<String> {
    ["negative", "positive"].map(str::to_string).to_vec()
}

/// Classes at most.
const MOST_CLASSES: usize = 1000;
/// A label in fewer rows than this, beside labels that say positive and negative, is a mistake and not a class.
const FEW: usize = 5;

/// How the labels of a table name its classes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scheme {
    /// Every label says positive or negative.
    Sentiment,
    /// A class has the name that its label is.
    Named(Vec<String>),
}

impl Scheme {
    /// For classes that are known from elsewhere.
    pub fn given(classes: &[String]) -> Self {
        if *classes == sentiments() { Self::Sentiment } else { Self::Named(classes.to_vec()) }
    }

    /// For `labels` and the lines that they stand in.
    ///
    /// # Errors
    /// Labels that may or may not be one class; more classes than are possible.
    pub fn of<'a>(labels: impl Iterator<Item = (&'a str, u64)>) -> Result<Self, String> {
        let mut all: BTreeMap<&str, (usize, u64)> = BTreeMap::new();
        for (label, line) in labels {
            all.entry(label).or_insert((0, line)).0 += 1;
        }
        let has = |wanted: Label| all.keys().any(|label| Label::parse(label) == Some(wanted));
        let negative = [Label::Negative, Label::Zero, Label::MinusOne].map(has);
        let says_both = has(Label::Positive) && negative.contains(&true);
        let mut others = all.iter().filter(|(label, _)| Label::parse(label).is_none());
        let is_scale = has(Label::Zero) && has(Label::MinusOne);
        if others.clone().next().is_none() && !is_scale
            || says_both && others.all(|(_, (rows, _))| *rows < FEW) && !is_scale
        {
            return Ok(Self::Sentiment);
        }
        let mut spelled: BTreeMap<String, (&str, u64)> = BTreeMap::new();
        for (label, (_, line)) in &all {
            let number = label.parse::<f64>().ok().filter(|x| x.is_finite());
            let form = number.map_or_else(|| label.to_lowercase(), |x| format!("{}", x + 0.0));
            if let Some((other, first)) = spelled.insert(form, (label, *line)) {
                return Err(format!(
                    "the labels {} (line {first}) and {} (line {line}) may be one class or two; write one class in one way",
                    show::quoted(other),
                    show::quoted(label)
                ));
            }
        }
        if all.len() > MOST_CLASSES {
            return Err(format!(
                "there are {} different labels, more than the {MOST_CLASSES} classes that are possible; is this the right \
                 column?",
                all.len()
            ));
        }
        let mut classes: Vec<String> = all.keys().map(|label| label.to_string()).collect();
        let numbers: Option<Vec<f64>> = classes.iter().map(|class| class.parse().ok()).collect();
        if numbers.is_some_and(|numbers| numbers.iter().all(|x| x.is_finite())) {
            classes.sort_by(|a, b| a.parse::<f64>().unwrap_or(0.0).total_cmp(&b.parse().unwrap_or(0.0)));
        }
        Ok(Self::Named(classes))
    }

    /// The number of the class that `label` means.
    pub fn class(&self, label: &str) -> Option<usize> {
        match self {
            Self::Sentiment => Label::parse(label).map(|label| usize::from(label.is_positive())),
            Self::Named(classes) => classes.iter().position(|class| class == label),
        }
    }

    /// The message about a label that means none of them.
    pub fn problem(&self, label: &str) -> String {
        match self {
            Self::Sentiment => format!("the label {} is none of {LABELS}", show::quoted(label)),
            Self::Named(classes) => {
                format!(
                    "the label {} is none of {}",
                    show::quoted(label),
                    show::list(classes.iter().map(String::as_str))
                )
            }
        }
    }

    /// The classes by number.
    pub fn classes(self) -> Vec<String> {
        match self {
            Self::Sentiment => sentiments(),
            Self::Named(classes) => classes,
        }
    }
}

impl Part {
    /// Parses `text` in any case.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let is = |names: &[&str]| names.iter().any(|name| text.eq_ignore_ascii_case(name));
        if is(&["train", "training"]) {
            Some(Self::Train)
        } else if is(&["test", "testing"]) {
            Some(Self::Test)
        } else if is(&["validation", "valid", "val", "dev"]) {
            Some(Self::Validation)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_words_in_any_case_and_numbers_in_any_form() {
        for (label, forms) in [
            (Label::Positive, &["1", " 1.0", "1e0", "+1", "01", "Pos", "POSITIVE", "true"][..]),
            (Label::Negative, &["neg", "Negative ", "FALSE"]),
            (Label::Zero, &["0", "0.0", "-0", "0e5", "00"]),
            (Label::MinusOne, &["-1", "-1.00", "-1e0"]),
        ] {
            for form in forms {
                assert_eq!(Label::parse(form), Some(label), "{form}");
            }
        }
        for form in ["", "2", "0.5", "nan", "inf", "1,0", "yes", "\"1\"", "1 0", "¹"] {
            assert_eq!(Label::parse(form), None, "{form}");
        }
    }

    #[test]
    fn labels_name_the_classes() {
        let of = |labels: &[&str]| Scheme::of(labels.iter().copied().zip(2..)).map(Scheme::classes);
        let named = |classes: &[&str]| Ok(classes.iter().map(|class| class.to_string()).collect::<Vec<_>>());
        assert_eq!(of(&["1", "0", "pos"]), named(&["negative", "positive"]));
        assert_eq!(of(&["sport", "film"]), named(&["film", "sport"]));
        assert_eq!(of(&["10", "9", "-1", "0"]), named(&["-1", "0", "9", "10"]));
        assert_eq!(of(&["1", "-1", "0"]), named(&["-1", "0", "1"]));
        // One other label is a mistake, several rows of it are a class.
        assert_eq!(of(&["positive", "negative", "neutral"]), named(&["negative", "positive"]));
        let neutral = [&["positive", "negative"][..], &["neutral"; 5]].concat();
        assert_eq!(of(&neutral), named(&["negative", "neutral", "positive"]));
        let told = of(&["Film", "sport", "film"]).expect_err("one class or two");
        assert!(told.contains("(line 2)") && told.contains("(line 4)"), "{told}");
        assert!(of(&["2", "2.0"]).expect_err("one class or two").contains("may be one class or two"));
        let many: Vec<String> = (0..1001).map(|i| format!("row {i}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(of(&many).expect_err("many").contains("1001 different labels"));
    }

    #[test]
    fn parts_are_known_in_any_case() {
        for (part, names) in [
            (Part::Train, ["train", "Training"]),
            (Part::Test, ["TEST ", "testing"]),
            (Part::Validation, ["valid", "Dev"]),
        ] {
            assert_eq!(names.map(Part::parse), [Some(part); 2]);
        }
        assert_eq!(Part::parse("unsup"), None);
    }
}
