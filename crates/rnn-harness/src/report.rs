//! The report of a run: its table of epochs, its curves, and a page with its settings and pictures.

use crate::Failure;
use crate::html::Page;
use crate::run_dir::{CONFIG, RunDir};
use rnn_plot::{Axis, Line, LineChart, Panel, Stroke};
use serde_json::{Map, Value, json};

/// The figures of every epoch, a JSON object a line.
pub(crate) const EPOCHS: &str = "metrics.jsonl";
/// The figures of every validation, if there are some within epochs.
const VALIDATIONS: &str = "validations.jsonl";
/// The page.
const REPORT: &str = "report.html";
/// Rows of a printed table of epochs.
const ROWS: usize = 20;
/// Columns of a table on the page.
const COLUMNS: usize = 8;

/// The epochs of a run: in each `epoch`, `loss`, the task's figures by name, those of the validation as
/// `validation_loss` and so on, `learning_rate`, `seconds`.
#[derive(Debug, Clone, Default)]
pub struct Epochs(pub Vec<Map<String, Value>>, pub Validations);

/// The validations of a run, if there are some within epochs: in each `step`, `epoch` with its fraction,
/// `validation_loss` and so on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Validations(pub Vec<Map<String, Value>>);

impl Epochs {
    /// The figures, the loss first, without those of the validation.
    fn figures(&self) -> Vec<String> {
        let Some(first) = self.0.first() else { return Vec::new() };
        let others = ["epoch", "learning_rate", "seconds"];
        let mut names: Vec<String> =
            first.keys().filter(|n| !others.contains(&n.as_str()) && !n.starts_with("validation_")).cloned().collect();
        names.sort_by_key(|name| name != "loss");
        names
    }

    fn line(&self, name: &str, legend: &str) -> Line {
        let point = |epoch: &Map<String, Value>| Some((epoch.get("epoch")?.as_f64()?, epoch.get(name)?.as_f64()?));
        let within = name.starts_with("validation_") && !self.1.0.is_empty();
        let points = if within { &self.1.0 } else { &self.0 };
        Line::new(legend, points.iter().filter_map(point))
    }

    /// Whether there are figures of a validation.
    fn validated(&self) -> bool {
        !self.1.0.is_empty() || self.0.iter().any(|epoch| epoch.contains_key("validation_loss"))
    }

    /// The curve of the validation loss; without a validation of the training loss.
    pub fn loss(&self, legend: &str) -> Line {
        self.line(if self.validated() { "validation_loss" } else { "loss" }, legend)
    }

    /// The curves of a figure, in training and validation, over the epochs.
    fn curves(&self, figure: &str) -> String {
        let mut lines = vec![self.line(figure, "training")];
        if self.validated() {
            lines.push(self.line(&format!("validation_{figure}"), "validation"));
        }
        chart(figure, lines)
    }

    /// A table for the terminal: a row an epoch; of many epochs some, the last one and the best one. Empty for fewer
    /// than two epochs.
    pub fn table(&self, best: Option<usize>) -> String {
        if self.0.len() < 2 {
            return String::new();
        }
        let figures = self.figures();
        let validation = figures.iter().filter(|_| self.validated()).map(|name| format!("validation_{name}"));
        let names: Vec<String> = figures.iter().cloned().chain(validation).collect();
        let every = self.0.len().div_ceil(ROWS);
        let mut rows = vec![vec!["epoch".to_string()]];
        rows[0].extend(names.iter().map(|name| name.replace('_', " ")));
        rows[0].extend(["learning rate".into(), "seconds".into(), String::new()]);
        for (index, epoch) in self.0.iter().enumerate() {
            let number = index + 1;
            let is_best = best == Some(number);
            if number % every != 0 && number != self.0.len() && number != 1 && !is_best {
                continue;
            }
            let value = |name: &str| epoch.get(name).and_then(Value::as_f64);
            let shown = |name: &String| value(name).map_or("–".into(), |x| format!("{x:.4}"));
            let mut row = vec![number.to_string()];
            row.extend(names.iter().map(shown));
            row.push(value("learning_rate").map_or("–".into(), |x| format!("{x:.2e}")));
            row.push(value("seconds").map_or("–".into(), |x| format!("{x:.1}")));
            row.push(if is_best { "best".into() } else { String::new() });
            rows.push(row);
        }
        columns(&rows)
    }
}

fn parse(text: &str) -> Vec<Map<String, Value>> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn json_lines(all: &[Map<String, Value>]) -> Vec<u8> {
    let lines: Vec<String> = all.iter().map(|map| Value::Object(map.clone()).to_string() + "\n").collect();
    lines.concat().into_bytes()
}

/// A chart of curves over the epochs.
pub(crate) fn chart(figure: &str, mut lines: Vec<Line>) -> String {
    for (number, line) in lines.iter_mut().enumerate() {
        // Beyond the colours of the palette.
        line.stroke = [Stroke::Solid, Stroke::Dashed, Stroke::Dotted][number / rnn_plot::PALETTE.len() % 3];
    }
    let figure = figure.replace('_', " ");
    LineChart {
        title: String::new(),
        x: Axis { label: "epoch".into(), whole: true, ..Axis::default() },
        y: Axis { label: figure, ..Axis::default() },
        panels: vec![Panel { title: String::new(), lines }],
    }
    .svg()
}

/// `rows` as text: columns at the right of their width, the first and texts at the left.
pub(crate) fn columns(rows: &[Vec<String>]) -> String {
    use unicode_width::UnicodeWidthStr;
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width()).max().unwrap_or(0);
    let is_number = |cell: &str| cell == "–" || cell.parse::<f64>().is_ok();
    let right: Vec<bool> = (0..count)
        .map(|column| rows.iter().skip(1).filter_map(|row| row.get(column)).all(|cell| is_number(cell)))
        .collect();
    let line = |row: &Vec<String>| {
        let cell = |(column, cell): (usize, &String)| {
            let gap = " ".repeat(width(column) - cell.width());
            if right[column] { gap + cell } else { cell.clone() + &gap }
        };
        row.iter().enumerate().map(cell).collect::<Vec<_>>().join("  ").trim_end().to_string()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// `value` as a list of names such as `model.hidden` or `targets.0.mae` with their values; a list of plain values counts
/// as one.
pub(crate) fn settings(value: &Value) -> Vec<(String, String)> {
    fn walk(prefix: &str, value: &Value, into: &mut Vec<(String, String)>) {
        match value {
            Value::Object(map) => {
                for (name, value) in map {
                    let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                    walk(&name, value, into);
                }
            }
            Value::Array(list) if list.iter().any(Value::is_object) => {
                for (number, value) in list.iter().enumerate() {
                    walk(&format!("{prefix}.{number}"), value, into);
                }
            }
            Value::String(text) => into.push((prefix.into(), text.clone())),
            Value::Null => into.push((prefix.into(), "–".into())),
            other => into.push((prefix.into(), other.to_string())),
        }
    }
    let mut all = Vec::new();
    walk("", value, &mut all);
    all
}

/// A number with a fraction to four digits; other values as they are.
fn rounded(value: &str) -> String {
    match value.parse::<f64>() {
        Ok(number) if value.contains('.') && (number == 0.0 || number.abs() >= 1e-3) => format!("{number:.4}"),
        Ok(number) if value.contains('.') => format!("{number:.2e}"),
        _ => value.into(),
    }
}

fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

/// Objects with the same kind of figures, as a table: a row an object.
struct Records {
    name: String,
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Records {
    /// From objects, each with its name if they have names.
    fn new(name: &str, objects: Vec<(Option<String>, Value)>) -> Self {
        let mut header: Vec<String> = Vec::new();
        let named = objects.iter().any(|(name, _)| name.is_some());
        let objects: Vec<_> = objects.into_iter().map(|(name, value)| (name, settings(&value))).collect();
        for (column, _) in objects.iter().flat_map(|(_, pairs)| pairs) {
            if !header.contains(column) {
                header.push(column.clone());
            }
        }
        // What an object is of comes first.
        header.sort_by_key(|column| !["epoch", "class", "name", "target"].contains(&column.as_str()));
        let cell = |pairs: &[(String, String)], column: &String| {
            pairs.iter().find(|(name, _)| name == column).map_or("–".into(), |(_, value)| rounded(value))
        };
        let row = |(name, pairs): (Option<String>, Vec<(String, String)>)| {
            let first = named.then(|| name.unwrap_or_default());
            first.into_iter().chain(header.iter().map(|column| cell(&pairs, column))).collect()
        };
        let rows = objects.into_iter().map(row).collect();
        let plain = |name: &str| name.replace('_', " ");
        let header = named.then(String::new).into_iter().chain(header.iter().map(|name| plain(name))).collect();
        Self { name: plain(name), header, rows }.turned()
    }

    /// With a column an object where the page has no room for all figures in a row.
    fn turned(self) -> Self {
        let Self { name, header, rows } = self;
        if header.len() <= COLUMNS || rows.len() >= header.len() {
            return Self { name, header, rows };
        }
        let line = |column: usize| rows.iter().map(move |row: &Vec<String>| row[column].clone());
        let lines = (1..header.len()).map(|i| std::iter::once(header[i].clone()).chain(line(i)).collect()).collect();
        let header = std::iter::once(header[0].clone()).chain(line(0)).collect();
        Self { name, header, rows: lines }
    }
}

/// A summary as tables, one for each list of objects and each object of objects, and its other figures by name. The
/// epochs are left out.
fn records(summary: &Value) -> (Vec<Records>, Vec<(String, String)>) {
    let (mut tables, mut figures) = (Vec::new(), Vec::new());
    for (name, value) in summary.as_object().into_iter().flatten().filter(|(name, _)| *name != "epochs") {
        match value {
            Value::Array(list) if !list.is_empty() && list.iter().all(Value::is_object) => {
                tables.push(Records::new(name, list.iter().map(|value| (None, value.clone())).collect()));
            }
            Value::Object(map) if !map.is_empty() && map.values().all(Value::is_object) => {
                let named = map.iter().map(|(name, value)| (Some(name.replace('_', " ")), value.clone()));
                tables.push(Records::new(name, named.collect()));
            }
            // What a program has no figure for, such as a validation that there was none of.
            value => figures.extend(settings(&json!({ name: value })).into_iter().filter(|(_, value)| value != "–")),
        }
    }
    (tables, figures)
}

impl RunDir {
    /// Writes the figures of the epochs and their curves: `curves.svg` of the loss, `curves-NAME.svg` of a figure.
    pub(crate) fn write_epochs(&self, epochs: &Epochs) -> Result<(), Failure> {
        self.write_bytes(EPOCHS, &json_lines(&epochs.0))?;
        if !epochs.1.0.is_empty() {
            self.write_bytes(VALIDATIONS, &json_lines(&epochs.1.0))?;
        }
        for figure in epochs.figures() {
            let name = if figure == "loss" { "curves.svg".into() } else { format!("curves-{figure}.svg") };
            self.write_bytes(&name, epochs.curves(&figure).as_bytes())?;
        }
        Ok(())
    }

    /// The figures of the epochs, as far as the run has them.
    pub(crate) fn epochs(&self) -> Epochs {
        let read = |name| self.read_text(name).map(|text| parse(&text)).unwrap_or_default();
        Epochs(read(EPOCHS), Validations(read(VALIDATIONS)))
    }

    /// Writes the page: figures, pictures (every SVG of the folder), epochs and settings.
    pub(crate) fn write_report(&self, summary: &Value) -> Result<(), Failure> {
        let config: Value = self.read_json(CONFIG)?;
        let name = self.path().file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let program = std::env::args_os().next().map(std::path::PathBuf::from);
        let program =
            program.as_deref().and_then(|path| path.file_stem()).map_or("run".into(), |stem| stem.to_string_lossy());
        let (records, mut figures) = records(summary);
        figures.iter_mut().for_each(|(_, value)| *value = rounded(value));
        let mut page = Page::new(&format!("{program}: {name}")).heading("Figures").pairs(&figures);
        for Records { name, header, rows } in records {
            page = page.heading(&capitalised(&name)).table(&header, &rows);
        }
        let pictures = self.pictures();
        if !pictures.is_empty() {
            page = page.heading("Pictures");
        }
        for picture in pictures {
            page = page.picture(&self.read_text(&picture)?);
        }
        let Epochs(epochs, Validations(validations)) = self.epochs();
        for (title, all) in [("Epochs", epochs), ("Validations", validations)] {
            let all: Vec<_> = all.into_iter().map(Value::Object).map(|one| (None, one)).collect();
            if all.is_empty() {
                continue;
            }
            let Records { header, rows, .. } = Records::new(title, all);
            page = page.heading(title).table(&header, &rows);
        }
        page = page.heading("Settings").pairs(&settings(&config));
        self.write_bytes(REPORT, page.finish().as_bytes())
    }

    /// The names of the SVG files, those of the curves first.
    fn pictures(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path()).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| name.ends_with(".svg") && !name.starts_with('.')).collect();
        names.sort_by_key(|name| (!name.starts_with("curves"), name != "curves.svg", name.clone()));
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(count: usize) -> Epochs {
        let epoch = |n: usize| {
            let value = json!({"epoch": n, "loss": 1.0 / n as f64, "accuracy": 0.5, "validation_loss": 0.25 + n as f64,
                "validation_accuracy": 0.75, "learning_rate": 0.001, "seconds": 2.0});
            value.as_object().cloned().unwrap_or_default()
        };
        Epochs((1..=count).map(epoch).collect(), Validations::default())
    }

    #[test]
    fn a_table_has_every_figure_and_marks_the_best_epoch() {
        assert_eq!(epochs(1).table(None), "");
        let table = epochs(3).table(Some(2));
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(lines[0].starts_with("epoch    loss  accuracy  validation loss  validation accuracy"), "{table}");
        assert!(lines[2].ends_with("best") && lines[2].contains("0.5000") && lines[2].contains("2.2500"), "{table}");
        let long = epochs(95).table(Some(7));
        assert!(long.lines().count() <= ROWS + 4, "{long}");
        for number in ["1 ", "7 ", "95 "] {
            assert!(long.lines().any(|line| line.trim_start().starts_with(number)), "{number}\n{long}");
        }
    }

    #[test]
    fn epochs_come_back_from_their_file() {
        let all = epochs(2);
        let read = parse(&String::from_utf8(json_lines(&all.0)).expect("UTF-8"));
        assert_eq!(read, all.0);
        assert_eq!(all.loss("x").points, [(1.0, 1.25), (2.0, 2.25)]);
        let half = json!({"step": 50, "epoch": 0.5, "validation_loss": 3.0});
        let within = Epochs(read, Validations(half.as_object().cloned().into_iter().collect()));
        assert_eq!(within.loss("x").points, [(0.5, 3.0)]);
    }

    #[test]
    fn lists_of_objects_become_tables() {
        let summary = json!({"mae": 0.123456, "validation_loss": null, "epochs": [{"loss": 1}],
            "classes": [{"f1": 0.5, "class": "a"}, {"class": "b"}],
            "baselines": {"seasonal_naive": {"mae": 2.0}, "drift": {"mae": 1e-5}}});
        let (tables, figures) = records(&summary);
        assert_eq!(figures, [("mae".to_string(), "0.123456".to_string())]);
        let shown: Vec<_> =
            tables.iter().map(|t| (t.name.as_str(), t.header.join("|"), t.rows.concat().join("|"))).collect();
        let expected =
            [("baselines", "|mae", "drift|1.00e-5|seasonal naive|2.0000"), ("classes", "class|f1", "a|0.5000|b|–")];
        assert_eq!(shown, expected.map(|(name, header, rows)| (name, header.to_string(), rows.to_string())));
    }

    #[test]
    fn settings_are_listed_by_their_path() {
        let value = json!({"a": {"b": 1, "c": [1, 2]}, "d": null, "e": "x", "f": [{"g": 2}, {"g": 3}]});
        let list: Vec<String> = settings(&value).into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(list, ["a.b=1", "a.c=[1,2]", "d=–", "e=x", "f.0.g=2", "f.1.g=3"]);
    }
}
