//! Self-contained HTML pages: no script, no font and no picture from elsewhere.

use std::fmt::Write;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#222}\
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2rem}table{border-collapse:collapse;font-variant-numeric:tabular-nums}\
th,td{padding:.2rem .7rem;border-bottom:1px solid #ddd;text-align:left;vertical-align:top}.t{overflow-x:auto}\
td.n,td.w{white-space:nowrap}td.n{text-align:right}td.l{overflow-wrap:anywhere}\
.text{white-space:pre-wrap;font-family:ui-monospace,monospace;line-height:1.7}figure{margin:1rem 0;overflow-x:auto}\
svg{max-width:100%;height:auto}";

/// `text` for the body or an attribute of a page; control characters other than line ends and tabs are escaped too.
pub fn escape(text: &str) -> String {
    let text = crate::printable_text(text);
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The longest word that a cell keeps in one line.
const WORD: usize = 48;

/// A cell of a table. A number or a word is not broken: a table that is too wide scrolls. Only what is longer than any
/// word, such as a path or a checksum, may be broken anywhere.
fn cell(text: &str, class: Option<&str>) -> String {
    let is_long = text.split(char::is_whitespace).any(|word| word.chars().count() > WORD);
    let own = match text.contains(char::is_whitespace) {
        _ if is_long => Some("l"),
        true => None,
        false => Some("w"),
    };
    let class = class.or(own).map_or_else(String::new, |class| format!(" class=\"{class}\""));
    format!("<td{class}>{}</td>", escape(text))
}

/// A part of a text with a background.
#[derive(Debug, Clone, PartialEq)]
pub struct Shaded {
    /// The part.
    pub text: String,
    /// What [`shade`] makes the background of.
    pub value: f64,
    /// What shows when the pointer rests on it.
    pub title: String,
}

/// A page in the making.
#[derive(Debug, Clone)]
pub struct Page {
    title: String,
    body: String,
}

impl Page {
    /// An empty page.
    pub fn new(title: &str) -> Self {
        Self { title: escape(title), body: String::new() }
    }

    fn push(mut self, html: std::fmt::Arguments<'_>) -> Self {
        let _ = writeln!(self.body, "{html}"); // writing to a string cannot fail
        self
    }

    /// A heading.
    pub fn heading(self, text: &str) -> Self {
        self.push(format_args!("<h2>{}</h2>", escape(text)))
    }

    /// A paragraph.
    pub fn text(self, text: &str) -> Self {
        self.push(format_args!("<p>{}</p>", escape(text)))
    }

    /// A table; cells that are numbers stand at the right.
    pub fn table<H: AsRef<str>>(self, header: &[H], rows: &[Vec<String>]) -> Self {
        let head: String = header.iter().map(|name| format!("<th>{}</th>", escape(name.as_ref()))).collect();
        let cell = |text: &String| {
            let is_number = text.trim_end_matches('%').trim().parse::<f64>().is_ok();
            cell(text, if is_number { Some("n") } else { None })
        };
        let rows: String =
            rows.iter().map(|row| format!("<tr>{}</tr>\n", row.iter().map(cell).collect::<String>())).collect();
        self.push(format_args!("<div class=\"t\"><table><tr>{head}</tr>\n{rows}</table></div>"))
    }

    /// Names and their values, a line each.
    pub fn pairs(self, pairs: &[(String, String)]) -> Self {
        let row = |(name, value): &(String, String)| format!("<tr>{}{}</tr>\n", cell(name, None), cell(value, None));
        self.push(format_args!("<div class=\"t\"><table>{}</table></div>", pairs.iter().map(row).collect::<String>()))
    }

    /// A picture: an SVG document of this project, which is put into the page as it is.
    pub fn picture(self, svg: &str) -> Self {
        let svg = svg.find("<svg").map_or(svg, |start| &svg[start..]); // without an XML declaration
        self.push(format_args!("<figure>{svg}</figure>"))
    }

    /// HTML as it is; what others wrote must be [escaped](escape).
    pub fn raw(self, html: &str) -> Self {
        self.push(format_args!("{html}"))
    }

    /// A text whose parts have a background by a value: red at −1, white at 0, blue at 1.
    pub fn shaded(self, parts: &[Shaded]) -> Self {
        let span = |Shaded { text, value, title }: &Shaded| {
            let (background, title, text) = (shade(*value), escape(title), escape(text));
            format!("<span style=\"background:{background}\" title=\"{title}\">{text}</span>")
        };
        self.push(format_args!("<div class=\"text\">{}</div>", parts.iter().map(span).collect::<String>()))
    }

    /// The page.
    pub fn finish(self) -> String {
        let Self { title, body } = self;
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{title}</title>\
             <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head>\n<body>\n\
             <h1>{title}</h1>\n{body}</body>\n</html>\n"
        )
    }
}

/// A colour between red (−1), white (0) and blue (1) that dark text can be read on; NaN is grey.
pub fn shade(value: f64) -> String {
    if value.is_nan() {
        return "#ccc".into();
    }
    let strength = value.abs().min(1.0) * 0.8;
    let full = if value < 0.0 { [222.0, 83.0, 60.0] } else { [62.0, 130.0, 230.0] };
    let [red, green, blue] = full.map(|colour| (255.0 + strength * (colour - 255.0)).round() as u8);
    format!("#{red:02x}{green:02x}{blue:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_text_on_the_page() {
        let page =
            Page::new("<a>").text("x < y & \"z\"\u{1b}[31m").table(&["<b>"], &[vec!["1.5".into(), "<i>".into()]]);
        let html = page.shaded(&[Shaded { text: "<s>".into(), value: -1.0, title: "\"<b>".into() }]).finish();
        for tag in ["<a>", "<b>", "<i>", "<s>", "\u{1b}"] {
            assert!(!html.contains(tag), "{tag}\n{html}");
        }
        let long = "x".repeat(60);
        let table =
            Page::new("").table(&["a", "b"], &[vec!["s-cell-gru".into(), "two words".into()], vec![long]]).finish();
        for part in ["<td class=\"w\">s-cell-gru<", "<td>two words<", "<td class=\"l\">xxx"] {
            assert!(table.contains(part), "{part}\n{table}");
        }
        assert!(html.contains("<td class=\"n\">1.5</td>") && html.contains("&lt;s&gt;"));
    }

    #[test]
    fn colours_go_from_red_to_white_to_blue() {
        assert_eq!([shade(0.0), shade(f64::NAN)], ["#ffffff", "#ccc"]);
        assert_eq!(shade(-5.0), shade(-1.0));
        assert_ne!(shade(-1.0), shade(1.0));
    }
}
