//! The values of a table's label and split columns.

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
