//! Defaults for a series. The registry's series have their own, other tables those of `General`.

use crate::view::Anchor;
use rnn_core::CellKind;

/// Sets of defaults; single options change them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Preset {
    /// For any table (the default there)
    General,
    /// Daily temperatures, 7 days ahead (the default for --corpus temperatures)
    Temperatures,
    /// Hourly PM2.5 with the weather, 24 hours ahead (the default for --corpus pollution)
    Pollution,
    /// Monthly passengers, 12 months ahead (the default for --corpus passengers)
    Passengers,
    /// The built-in series, 7 days ahead (the default there)
    Sample,
}

/// What a preset says; `None` where it depends on the step of the series.
pub struct Defaults {
    pub target: Option<&'static str>,
    pub inputs: &'static [&'static str],
    pub time: Option<&'static str>,
    pub window: Option<usize>,
    pub horizon: Option<usize>,
    pub cell: CellKind,
    pub hidden: usize,
    pub dropout: f64,
    pub linear: usize,
    pub anchor: Anchor,
    pub log: bool,
    pub batch: usize,
    pub epochs: usize,
    pub patience: usize,
    pub validation: f64,
}

impl Preset {
    /// That of a corpus.
    pub fn of(corpus: &str) -> Self {
        match corpus {
            "temperatures" => Self::Temperatures,
            "pollution" => Self::Pollution,
            "passengers" => Self::Passengers,
            rnn_data::SAMPLE => Self::Sample,
            _ => Self::General,
        }
    }

    /// Its settings.
    pub fn defaults(self) -> Defaults {
        let general = Defaults {
            target: None,
            inputs: &[],
            time: None,
            window: None,
            horizon: None,
            cell: CellKind::Gru,
            hidden: 32,
            dropout: 0.0,
            linear: 0,
            anchor: Anchor::Last,
            log: false,
            batch: 32,
            epochs: 60,
            patience: 10,
            validation: 0.1,
        };
        match self {
            Self::General => general,
            Self::Temperatures => Defaults { window: Some(28), horizon: Some(7), anchor: Anchor::None, ..general },
            Self::Pollution => Defaults {
                target: Some("pm2.5"),
                inputs: &["DEWP", "TEMP", "PRES", "Iws"],
                time: Some("year,month,day,hour"),
                window: Some(48),
                horizon: Some(24),
                hidden: 64,
                anchor: Anchor::None,
                log: true,
                batch: 128,
                epochs: 8,
                patience: 3,
                ..general
            },
            Self::Passengers => Defaults {
                window: Some(12),
                horizon: Some(12),
                hidden: 16,
                anchor: Anchor::Season,
                log: true,
                batch: 8,
                epochs: 200,
                patience: 30,
                validation: 0.2,
                ..general
            },
            Self::Sample => Defaults {
                target: Some("sales"),
                inputs: &["temperature"],
                anchor: Anchor::Season,
                epochs: 40,
                ..general
            },
        }
    }
}
