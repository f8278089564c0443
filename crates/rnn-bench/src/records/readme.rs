//! The summary of a whole run in the repository's README, between two marks.

use super::run::Run;
use super::{CHART, PAGE, table};

const BEGIN: &str = "<!-- bench -->\n";
const END: &str = "<!-- end of bench -->";

/// `readme` with the run's summary between the marks; `None` if it has none.
pub fn fill(readme: &str, run: &Run) -> Option<String> {
    let (before, rest) = readme.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    let (name, table) = (&run.name, table::summary(&run.rows));
    let said = format!(
        "{table}\n![time relative to ours](docs/bench/{name}/{CHART})\n\n\
         [`docs/bench/{name}`](docs/bench/{name}/{PAGE}) has the machine and every figure.\n"
    );
    Some([before, BEGIN, &said, END, after].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records;

    #[test]
    fn the_summary_stands_between_the_marks() {
        let run = records::read(&crate::root().join("docs/bench/2026-11-28-avx512")).expect("a record");
        let filled = fill(&format!("a\n{BEGIN}old\n{END}\nb\n"), &run).expect("the marks");
        assert!(filled.starts_with(&format!("a\n{BEGIN}| | rnn-core |")) && !filled.contains("old"), "{filled}");
        assert!(filled.ends_with(&format!("has the machine and every figure.\n{END}\nb\n")), "{filled}");
        assert_eq!(fill("nothing", &run), None);
    }
}
