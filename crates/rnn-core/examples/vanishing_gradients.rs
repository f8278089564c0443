//! How much of a gradient comes back through 100 steps: ‖∂L/∂h_t‖, and ‖∂L/∂c_t‖ of the LSTM, for L = Σ h_100. The
//! lesson says that a plain RNN loses it and that the gates of LSTM and GRU mend that. As both frameworks initialise
//! them they do not: every cell loses it, and by Keras the GRU most. Gates mend it where their biases hold them open.
//! The numbers: `cargo run --example vanishing_gradients docs/vanishing-gradients.svg > docs/vanishing-gradients.md`

use rnn_core::burn::tensor::{Device, Tensor, TensorData};
use rnn_core::cell::Cell;
use rnn_core::{Activation, Initializer, Initializers, Key, Preset, RecurrentConfig, probe};
use rnn_core::{GruConfig, LstmConfig, RnnConfig};
use rnn_plot::{Axis, Line, LineChart, Panel, Scale, Stroke};

const TIME: usize = 100;
const D_INPUT: usize = 8;
const D_HIDDEN: usize = 32;

/// A curve of the chart, and its values for t = 1, 2, …
struct Curve {
    line: Line,
    values: Vec<f64>,
}

/// A table with a column per curve, for t = 1 and each `every`-th t.
fn table(curves: &[Curve], every: usize) -> String {
    let names: Vec<&str> = curves.iter().map(|curve| &curve.line.name[..]).collect();
    let mut out = format!("| t | {} |\n|---:|{}\n", names.join(" | "), "---:|".repeat(names.len()));
    for t in (1..=TIME).filter(|t| *t == 1 || t % every == 0) {
        let values: Vec<String> = curves.iter().map(|curve| format!("{:.1e}", curve.values[t - 1])).collect();
        out += &format!("| {t} | {} |\n", values.join(" | "));
    }
    out
}

/// Runs a new layer, with the biases of some gates set, over 16 rows of normal input; measures the gradient of `of`.
fn curve<C: Cell>(name: &str, config: RecurrentConfig<C>, gates: &[(usize, f64)], of: &str) -> Curve {
    let device = Device::default().autodiff();
    let mut layer = config.init(Key::new(0), &device);
    for &(gate, value) in gates {
        let set = |bias: Tensor<1>| bias.slice_fill(gate * D_HIDDEN..(gate + 1) * D_HIDDEN, value).detach();
        layer.layers[0].bias_ih = layer.layers[0].bias_ih.take().map(|bias| bias.map(set));
    }
    let input: Vec<f64> = Key::new(1).normals(16 * TIME * D_INPUT).collect();
    let input = Tensor::from_data(TensorData::new(input, [16, TIME, D_INPUT]), &device);
    let (output, traces) = probe::record(|| layer.forward(input));
    let gradients = output.last_hidden().sum().backward();
    let norms = traces[0].gradient_norms(of, &gradients).expect("every cell has h, an LSTM c");
    let (colour, stroke) = match name.split([',', ':']).next() {
        Some("IRNN") => ("#e09f3e", Stroke::Dotted),
        Some("RNN") => ("#c1121f", Stroke::Solid),
        Some("GRU") => ("#2a9d8f", Stroke::Solid),
        _ if of == "h" => ("#7fb3e6", Stroke::Solid),
        _ => ("#1d3f8e", Stroke::Dashed),
    };
    let values: Vec<f64> = norms.iter().map(|norm| norm / norms[TIME - 1]).collect();
    let points = values.iter().enumerate().map(|(i, value)| (i as f64 + 1.0, *value));
    Curve { line: Line { colour: Some(colour), stroke, ..Line::new(name, points) }, values }
}

fn main() -> std::io::Result<()> {
    let (rnn, lstm) = (RnnConfig::new(D_INPUT, D_HIDDEN), LstmConfig::new(D_INPUT, D_HIDDEN));
    let gru = GruConfig::new(D_INPUT, D_HIDDEN);
    let [keras, pytorch] = [Preset::Keras, Preset::Pytorch].map(|preset| {
        let rnn = curve("RNN", rnn.clone().with_preset(preset), &[], "h");
        let gru = curve("GRU", gru.clone().with_preset(preset), &[], "h");
        let lstm = |name, of| curve(name, lstm.clone().with_preset(preset), &[], of);
        [rnn, gru, lstm("LSTM: h", "h"), lstm("LSTM: c", "c")]
    });
    let recurrent = |recurrent| Initializers { recurrent, ..Initializers::KERAS };
    let large = rnn.clone().with_initializers(recurrent(Initializer::Uniform(4.0 / (D_HIDDEN as f64).sqrt())));
    let irnn = rnn.with_initializers(recurrent(Initializer::Identity(1.0))).with_hidden_activation(Activation::Relu);
    // Chrono initialisation (Tallec and Ollivier, 2018), here one value for all units: σ(ln T) = T/(T+1) is kept a
    // step.
    let ln_t = (TIME as f64).ln();
    let chosen = [
        curve("RNN, W_hh uniform ±4/√32", large, &[], "h"),
        curve("GRU, bias of z = ln 100", gru, &[(1, ln_t)], "h"),
        curve("IRNN: W_hh = 1, relu", irnn, &[], "h"),
        curve("LSTM: h, biases of f, i = ±ln 100", lstm.clone(), &[(0, -ln_t), (1, ln_t)], "h"),
        curve("LSTM: c, biases of f, i = ±ln 100", lstm, &[(0, -ln_t), (1, ln_t)], "c"),
    ];
    // What the text says of t = 1.
    let [k, p, c] =
        [&keras[..], &pytorch, &chosen].map(|curves| curves.iter().map(|c| c.values[0]).collect::<Vec<f64>>());
    assert!(k.iter().chain(&p).all(|left| *left < 1e-7));
    assert!(k[1] < k[0] && k[0] < k[2] && k[2] < k[3] && p[1..].iter().all(|left| p[0] < *left));
    assert!(c[0] > 1e4 && [c[1], c[2], c[4]].iter().all(|left| *left > 0.2));
    assert!(chosen[3].values[89] < 1e-2 && c[3] > chosen[3].values[89] / 10.0);

    let panels: [(&str, &[Curve]); 3] =
        [("Keras' initialisation", &keras), ("PyTorch's", &pytorch), ("Chosen for 100 steps", &chosen)];
    let [k, p, c] = panels.map(|(_, curves)| table(curves, 10));
    print!(include_str!("pages/vanishing-gradients.md"), keras = k, pytorch = p, chosen = c);
    if let Some(path) = std::env::args().nth(1) {
        let panel = |(title, curves): &(&str, &[Curve])| Panel {
            title: title.to_string(),
            lines: curves.iter().map(|curve| curve.line.clone()).collect(),
        };
        let y = "‖∂L/∂h_t‖ / ‖∂L/∂h_100‖, for c likewise (no unit)".into();
        let chart = LineChart {
            title: String::new(),
            x: Axis { label: "t (steps)".into(), ..Axis::default() },
            y: Axis { label: y, scale: Scale::Log, ..Axis::default() },
            panels: panels.iter().map(panel).collect(),
        };
        std::fs::write(path, chart.svg())?;
    }
    Ok(())
}
