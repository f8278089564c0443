//! Line charts and bar charts as SVG: what the bench's records, the documentation and the programs' reports draw.
//!
//! Plain `std`; the same data give the same bytes. Text is laid out by an estimate of its width, so no font is read.
//!
//! Why no plotting crate (looked at in 2026-11): `plotters` 0.3.7 is small, but it draws on whole pixels, lays the
//! legend over the lines, and has no bars that begin at a value; most of this crate would stand around it. `kuva` 0.6
//! is 95,000 lines and brings chrono. `charming` 0.6 needs a JavaScript engine to write SVG.

#![warn(missing_docs)]

mod bar;
mod line;
mod scale;
mod svg;

pub use bar::{Bar, BarChart, BarPanel, Group, Series};
pub use line::{Axis, Band, Line, LineChart, Panel};
pub use scale::Scale;
pub use svg::{Stroke, stack};

/// Colours that people with any kind of colour blindness can tell apart (Okabe and Ito, 2008), on white.
pub const PALETTE: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"];
