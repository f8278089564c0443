//! What a cell may have beyond its plain form.

use super::LayerWeights;

/// A function that is applied element by element to a gate's sum or to a state.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    /// x.
    Linear,
    /// 1/(1+e⁻ˣ).
    Sigmoid,
    /// `slope·x + ½`, held in `[0, 1]`.
    HardSigmoid {
        /// At 0.
        slope: f64,
    },
    /// tanh(x).
    Tanh,
    /// x, held in `[−1, 1]`.
    HardTanh,
    /// max(0, x).
    Relu,
    /// x where it is positive, `slope·x` elsewhere.
    LeakyRelu {
        /// Below 0.
        slope: f64,
    },
    /// x where it is positive, `eˣ − 1` elsewhere.
    Elu,
    /// x/(1+|x|).
    Softsign,
    /// ln(1+eˣ).
    Softplus,
    /// x·σ(x).
    Silu,
    /// x·Φ(x), with Φ the normal distribution.
    Gelu,
    /// x + ½ where x is positive, σ(x) elsewhere.
    Positive,
}

/// The options of a cell; without any it is the plain one. They go together as the equations say.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a, T> {
    /// σ of the gates; the logistic function without it.
    pub gate: Option<Activation>,
    /// φ: of the LSTM's g, of the GRU's n, of the RNN's h. What the cell has without it.
    pub candidate: Option<Activation>,
    /// ψ, of the LSTM's c on its way to h; tanh without it.
    pub hidden: Option<Activation>,
    /// Holds the LSTM's c, or the h of the others, in `[−clip, clip]`; above 0.
    pub clip: Option<f64>,
    /// The LSTM's peephole from c to i: `p_i∘c` is added to the sum; `[d_hidden]`.
    pub p_i: Option<&'a [T]>,
    /// From c to f, `[d_hidden]`; there is none with coupled gates.
    pub p_f: Option<&'a [T]>,
    /// From the new c to o, `[d_hidden]`.
    pub p_o: Option<&'a [T]>,
    /// Layer normalisation: γ_ih of `γ_ih∘norm(x·W_ih)`, over all gates, `[G·d_hidden]`; the biases are added after it.
    pub norm_ih: Option<&'a [T]>,
    /// γ_hh of `γ_hh∘norm(h·W_hh)`, over all gates; the product on r∘h of a GRU for itself. It goes with `norm_ih`
    /// where the cell has `W_hh`.
    pub norm_hh: Option<&'a [T]>,
    /// γ_c of the LSTM's `h' = o∘ψ(γ_c∘norm(c') + β_c)`, `[d_hidden]`. It goes with `norm_ih`.
    pub gamma_c: Option<&'a [T]>,
    /// β_c.
    pub beta_c: Option<&'a [T]>,
    /// The LSTM's projection (Sak, Senior and Beaufays, 2014): `h' = (o∘ψ(c'))·W_hr`, `[d_hidden, h_features]`. Whatever has
    /// the width of h then has that of h_features.
    pub w_hr: Option<&'a [T]>,
}

impl<T> Default for Options<'_, T> {
    fn default() -> Self {
        Options {
            gate: None,
            candidate: None,
            hidden: None,
            clip: None,
            p_i: None,
            p_f: None,
            p_o: None,
            norm_ih: None,
            norm_hh: None,
            gamma_c: None,
            beta_c: None,
            w_hr: None,
        }
    }
}

impl<T> Options<'_, T> {
    /// Whether the cell is the plain one.
    fn is_plain(&self) -> bool {
        let Options { gate, candidate, hidden, clip, p_i, p_f, p_o, norm_ih, norm_hh, gamma_c, beta_c, w_hr } = self;
        let functions = [gate, candidate, hidden].into_iter().all(Option::is_none);
        let learned = [p_i, p_f, p_o, norm_ih, norm_hh, gamma_c, beta_c, w_hr];
        functions && clip.is_none() && learned.into_iter().all(Option::is_none)
    }
}

impl<T> LayerWeights<'_, T> {
    /// Whether the kernel with options is needed.
    pub(crate) fn has_options(&self) -> bool {
        !self.options.is_plain()
    }

    /// Features of h: d_hidden, or fewer where it is projected.
    pub fn h_features(&self) -> usize {
        self.options.w_hr.map_or(self.d_hidden, |w_hr| w_hr.len() / self.d_hidden.max(1))
    }

    /// Rows of `W_hh`.
    pub(crate) fn w_hh_rows(&self) -> usize {
        if self.cell.has_w_hh() { self.h_features() } else { 0 }
    }
}

/// Where backward writes the gradients of what the options learn; each is overwritten.
#[derive(Debug)]
pub struct OptionGradients<'a, T> {
    /// Of the peephole from c to i, `[d_hidden]`.
    pub p_i: Option<&'a mut [T]>,
    /// Of that to f.
    pub p_f: Option<&'a mut [T]>,
    /// Of that to o.
    pub p_o: Option<&'a mut [T]>,
    /// Of γ_ih, `[G·d_hidden]`.
    pub norm_ih: Option<&'a mut [T]>,
    /// Of γ_hh.
    pub norm_hh: Option<&'a mut [T]>,
    /// Of γ_c, `[d_hidden]`.
    pub gamma_c: Option<&'a mut [T]>,
    /// Of β_c.
    pub beta_c: Option<&'a mut [T]>,
    /// Of `W_hr`, `[d_hidden, h_features]`.
    pub w_hr: Option<&'a mut [T]>,
}

impl<T> Default for OptionGradients<'_, T> {
    fn default() -> Self {
        OptionGradients {
            p_i: None,
            p_f: None,
            p_o: None,
            norm_ih: None,
            norm_hh: None,
            gamma_c: None,
            beta_c: None,
            w_hr: None,
        }
    }
}
