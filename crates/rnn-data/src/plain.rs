//! One spelling for what Unicode writes in several ways.

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// The characters that people and word processors write for the apostrophe. U+0091 and U+0092 are quotation marks of
/// Windows-1252 that were decoded as Latin-1.
const APOSTROPHES: &str = "\u{91}\u{92}\u{b4}\u{2b9}\u{2bb}\u{2bc}\u{2bd}\u{55a}\u{5f3}\
                           \u{2018}\u{2019}\u{201a}\u{201b}\u{2032}\u{2035}\u{ff07}";

/// The plain form of a text: each word in one spelling, independent of case, Unicode form and typography, with spaces
/// and ASCII punctuation between words.
///
/// - Letters are lower-cased by Unicode's case mapping of each character: `ß` becomes `ss`, `ς` becomes `σ`, and `I`,
///   `İ`, `ı` become `i`. Greek letters lose their accents and breathings, as their capitals do.
/// - Compatibility forms are replaced and composed (NFKC): full-width letters, ligatures, `é` as one character or two.
/// - Every kind of apostrophe becomes `'`. Other punctuation outside ASCII, signs, white space and control characters
///   become spaces. A symbol such as `★`, an emoji, `½` or `²` becomes a word of its own.
/// - Invisible characters (soft hyphen, U+FEFF, joiners, marks of direction) are dropped. U+200B becomes a space in
///   Thai, Lao, Myanmar and Khmer, which have no other word separator, and is dropped elsewhere.
///
/// Printable ASCII changes only in case.
pub fn plain(text: &str) -> String {
    if text.is_ascii() {
        return text.chars().map(|c| if c.is_control() { ' ' } else { c.to_ascii_lowercase() }).collect();
    }
    let composed: String = marked_off(text.nfc()).nfkc().flat_map(small).collect();
    let composed: String = without_marks_that_capitals_lack(&composed).nfc().collect();
    // Separated again, because a compatibility form can contain punctuation: ½ is 1⁄2.
    marked_off(composed.chars())
}

/// Upper-cases first, so that lower-case letters with the same capital become equal.
fn small(c: char) -> impl Iterator<Item = char> {
    c.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase)
}

/// `text` decomposed, without the dot of `İ` (an `i` and a combining dot) and without the accents of Greek letters.
fn without_marks_that_capitals_lack(text: &str) -> String {
    let mut letter = ' '; // the base letter of the following marks
    let is_kept = |c: &char| {
        let is_mark = matches!(c, '\u{300}' | '\u{301}' | '\u{307}' | '\u{308}' | '\u{313}' | '\u{314}' | '\u{342}');
        if !is_mark {
            letter = *c;
        }
        match c {
            '\u{307}' => letter != 'i',
            '\u{308}' => true, // capitals keep the diaeresis
            _ => !is_mark || !matches!(letter, '\u{370}'..='\u{3ff}'),
        }
    };
    text.nfd().filter(is_kept).collect()
}

/// `text` with ASCII apostrophes, spaces in place of separators outside ASCII, and without invisible characters.
fn marked_off(text: impl Iterator<Item = char>) -> String {
    let mut plain = String::with_capacity(text.size_hint().0);
    for c in text {
        match kind(c) {
            Kind::Letter => plain.push(c),
            Kind::Apostrophe => plain.push('\''),
            Kind::Alone => plain.extend([' ', c, ' ']),
            Kind::Separator => plain.push(' '),
            Kind::Unseen if c == '\u{200b}' && plain.chars().next_back().is_some_and(has_no_spaces) => plain.push(' '),
            Kind::Unseen => {}
        }
    }
    plain
}

enum Kind {
    /// A part of a word, or printable ASCII.
    Letter,
    Apostrophe,
    /// A word by itself.
    Alone,
    Separator,
    Unseen,
}

fn kind(c: char) -> Kind {
    use GeneralCategory as G;
    if c.is_ascii() {
        return if c.is_control() { Kind::Separator } else { Kind::Letter };
    }
    if APOSTROPHES.contains(c) {
        return Kind::Apostrophe;
    }
    match c.general_category() {
        // Variation selectors and the combining grapheme joiner are marks, but invisible.
        _ if matches!(c, '\u{34f}' | '\u{180b}'..='\u{180f}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}') => {
            Kind::Unseen
        }
        G::Format | G::EnclosingMark => Kind::Unseen,
        G::OtherSymbol if c.is_alphabetic() => Kind::Letter, // Ⓐ
        G::OtherSymbol | G::OtherNumber => Kind::Alone,
        G::MathSymbol | G::CurrencySymbol | G::ModifierSymbol => Kind::Separator,
        G::Control | G::PrivateUse | G::SpaceSeparator | G::LineSeparator | G::ParagraphSeparator => Kind::Separator,
        G::ConnectorPunctuation
        | G::DashPunctuation
        | G::OpenPunctuation
        | G::ClosePunctuation
        | G::InitialPunctuation
        | G::FinalPunctuation
        | G::OtherPunctuation => Kind::Separator,
        _ => Kind::Letter,
    }
}

/// Whether the script of `c` is written without spaces, with U+200B as its only word separator.
fn has_no_spaces(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        plain(text).split(' ').filter(|word| !word.is_empty()).map(str::to_string).collect()
    }

    #[test]
    fn what_is_typographic_is_as_what_is_typed() {
        for (typographic, typed) in [
            ("I don\u{2019}t like it, it isn\u{b4}t good", "I don't like it, it isn't good"),
            ("it\u{92}s, it\u{2bc}s, it\u{ff07}s", "it's, it's, it's"),
            ("\u{201c}Great\u{201d} film\u{2014}really \u{ab}good\u{bb}", "  Great  film really  good "),
            ("A masterpiece\u{2026}what a film\u{85}", "A masterpiece what a film"),
            ("good\u{a0}film\u{3000}and\u{2028}more\u{202f}or\u{85}less", "good film and more or less"),
            ("good\r\nfilm\rso\tso\u{b}x\u{0}y", "good  film so so x y"),
            ("go\u{ad}od \u{feff}fi\u{200b}lm so\u{2060}me fi\u{200d}ne \u{200e}here", "good film some fine here"),
            ("well\u{2011}made 1\u{2013}2", "well made 1 2"),
            ("ＧＯＯＤ　ｆｉｌｍ！ ﬁne 𝐠𝐨𝐨𝐝", "good film  fine good"),
            ("the Matrix\u{2122} 3½ x² ★★ good😀", "the matrix tm 3 1 2 x 2 ★ ★ good 😀"),
            ("\u{2764}\u{fe0f} 👍🏽 1\u{fe0f}\u{20e3}", "\u{2764} 👍 1"),
        ] {
            assert_eq!(words(typographic), words(typed), "{typographic:?}");
        }
        // In scripts without spaces U+200B separates words.
        assert_eq!(words("ភាសា\u{200b}ខ្មែរ"), ["ភាសា", "ខ្មែរ"]);
    }

    #[test]
    fn capitals_and_forms_of_any_script_are_one_word() {
        for same in [
            &["отличный", "Отличный", "ОТЛИЧНЫЙ"][..],
            &["οδος", "οδοσ", "ΟΔΟΣ", "Οδος"],
            &["οδός", "ΟΔΌΣ", "οδο\u{301}ς", "ΟΔΟΣ", "ὁδός"],
            &["προϊόν", "ΠΡΟΪΟΝ", "Προϊόν"],
            &["straße", "STRASSE", "STRAẞE", "Strasse"],
            &["istanbul", "İstanbul", "I\u{307}stanbul", "ISTANBUL", "ıstanbul", "i\u{307}stanbul"],
            &["café", "CAFÉ", "cafe\u{301}", "CAFE\u{301}", "ｃａｆé"],
            &["한국어", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{116e}\u{11a8}\u{110b}\u{1165}"],
            &["ガス", "ｶﾞｽ"],
            &["კარგი", "ᲙᲐᲠᲒᲘ"],
            &["լավ", "ԼԱՎ"],
            &["ǆ", "ǅ", "Ǆ"],
        ] {
            for word in same {
                assert_eq!(plain(word), plain(same[0]), "{word} and {}", same[0]);
                assert_eq!(words(word).len(), 1, "{word}");
            }
        }
        // An accent is not typography, and capitals outside Greek keep it.
        for (word, other) in [("café", "cafe"), ("йод", "иод"), ("χαϊ", "χαι")] {
            assert_ne!(plain(word), plain(other));
        }
    }

    /// For every character except rare ideographs: its upper and lower case, composed or not, give the same word, and
    /// the plain form of a plain form is itself.
    #[test]
    fn every_character_has_one_plain_form() {
        let forms = |c: char| -> [String; 5] {
            let c = c.to_string();
            [c.to_uppercase(), c.to_lowercase(), c.nfc().collect(), c.nfd().collect(), plain(&c)]
        };
        let mut different = Vec::new();
        for c in '\0'..='\u{1ffff}' {
            let as_it_is = c.to_string();
            for form in forms(c).iter().filter(|form| **form != as_it_is) {
                if words(form) != words(&as_it_is) {
                    different.push(format!("U+{:04X} {c} {form}", c as u32));
                }
            }
        }
        assert!(different.is_empty(), "{different:#?}");
        let printable: String = (' '..='~').collect();
        assert_eq!(plain(&printable), printable.to_ascii_lowercase());
    }
}
