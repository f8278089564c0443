//! The equations, one number at a time.

use super::case::{Case, Zoneout};
use super::kernel;
use super::tape::{Tape, Var};
use rnn_kernels::{Activation, Candidate, Cell, MaskedOutput, Nonlinearity};

/// A tensor, and the scale of its rounding errors: its largest value; but where gradients cancel to less than a tenth
/// of their terms, a tenth of the largest sum of absolute terms.
pub struct Expected {
    pub name: &'static str,
    pub values: Vec<f64>,
    pub scale: f64,
}

/// What forward and backward must give.
pub fn run(case: &Case) -> Vec<Expected> {
    let tape = Tape::default();
    let &Case { batch, time, d_input, d_hidden, .. } = case;
    let (width, h_features) = (case.cell.gates() * d_hidden, case.h_features());
    let (w_ih, w_hh) = (tape.leaves(&case.w_ih), tape.leaves(&case.w_hh));
    let (b_ih, b_hh) = (tape.leaves(&case.b_ih), tape.leaves(&case.b_hh));
    let x = tape.leaves(&case.x);
    let (h0, c0) = (tape.leaves(&case.h0), tape.leaves(&case.c0));
    let zero = tape.leaf(0.0);
    let options = &case.options;
    let learned = kernel::learned(options).map(|(name, values)| (name, tape.leaves(values)));
    let [p_i, p_f, p_o, norm_ih, norm_hh, gamma_c, beta_c, w_hr] = learned.each_ref().map(|(_, vars)| vars);
    let sigma = options.gate.unwrap_or(Activation::Sigmoid);
    let phi = options.candidate.unwrap_or(match case.cell {
        Cell::Rnn(Nonlinearity::Relu) => Activation::Relu,
        _ => Activation::Tanh,
    });
    let psi = options.hidden.unwrap_or(Activation::Tanh);
    let clip = |x: Var| options.clip.map_or(x, |clip| tape.clamp(x, clip));

    let mut sequence = vec![zero; batch * time * h_features];
    let (mut h_last, mut c_last) = (Vec::new(), Vec::new());
    for b in 0..batch {
        let row = |state: &[Var], n: usize| state.get(b * n..(b + 1) * n).map(<[Var]>::to_vec).unwrap_or_default();
        let (mut h, mut c) = (row(&h0, h_features), row(&c0, d_hidden));
        let mut previous = vec![zero; h_features];
        let mut steps: Vec<usize> = (0..time).collect();
        if case.reverse {
            steps.reverse();
        }
        for t in steps {
            let output = &mut sequence[(b * time + t) * h_features..][..h_features];
            if !case.counts(b, t) {
                if case.masked_output == MaskedOutput::Previous {
                    output.copy_from_slice(&previous);
                }
                continue;
            }
            if case.resets.get(b * time + t) == Some(&true) {
                h.fill(zero);
                c.fill(zero);
            }
            // γ∘norm of some gates' products, or the products themselves, and the bias.
            let finish = |products: &[Var], gain: &[Var], bias: Option<&[Var]>, first: usize| -> Vec<Var> {
                let products = match gain.is_empty() {
                    true => products.to_vec(),
                    false => {
                        let gains = &gain[first..first + products.len()];
                        tape.normalize(products).iter().zip(gains).map(|(&x, &gain)| tape.mul(x, gain)).collect()
                    }
                };
                let biased = |(i, sum): (usize, Var)| bias.map_or(sum, |bias| tape.add(sum, bias[first + i]));
                products.into_iter().enumerate().map(biased).collect()
            };
            let x_product = |column: usize| match case.indices.get(b * time + t) {
                Some(&symbol) => w_ih[symbol as usize * width + column],
                None => tape.dot((0..d_input).map(|k| {
                    let x = x[(b * time + t) * d_input + k];
                    let x = masked(&tape, &case.input_masks, column / d_hidden, b * d_input + k, x);
                    (x, w_ih[k * width + column])
                })),
            };
            let x_products: Vec<Var> = (0..width).map(x_product).collect();
            let x_sums = finish(&x_products, norm_ih, case.biases[0].then_some(&b_ih[..]), 0);
            let x_sum = |gate: usize, j: usize| x_sums[gate * d_hidden + j];
            let h_sums_of = |gates: std::ops::Range<usize>, h: &[Var]| -> Vec<Var> {
                let products = (gates.start * d_hidden..gates.end * d_hidden).map(|column| {
                    tape.dot((0..h_features).map(|k| {
                        let gate = column / d_hidden;
                        let h = masked(&tape, &case.recurrent_masks, gate, b * h_features + k, h[k]);
                        (h, w_hh[k * width + column])
                    }))
                });
                let products: Vec<Var> = products.collect();
                finish(&products, norm_hh, case.biases[1].then_some(&b_hh[..]), gates.start * d_hidden)
            };
            let of_h = match case.cell {
                Cell::Gru { reset_after: false } => 2,
                cell => {
                    if cell.has_w_hh() {
                        cell.gates()
                    } else {
                        0
                    }
                }
            };
            let h_sums = h_sums_of(0..of_h, &h);
            let h_sum = |gate: usize, j: usize| h_sums[gate * d_hidden + j];
            let sum = |gate, j| tape.add(x_sum(gate, j), h_sum(gate, j));
            let units = 0..d_hidden;
            let (h_new, c_new): (Vec<Var>, Vec<Var>) = match case.cell {
                Cell::Rnn(_) => (units.map(|j| clip(tape.apply(phi, sum(0, j)))).collect(), Vec::new()),
                Cell::Lstm | Cell::LstmCoupled => {
                    let new = units.map(|j| {
                        let peep = |sum: Var, p: &[Var], c: Var| match p.get(j) {
                            Some(&p) => tape.add(sum, tape.mul(p, c)),
                            None => sum,
                        };
                        let coupled = case.cell == Cell::LstmCoupled;
                        let (g, o) = if coupled { (1, 2) } else { (2, 3) };
                        let i = tape.apply(sigma, peep(sum(0, j), p_i, c[j]));
                        let f = match coupled {
                            true => tape.add(tape.leaf(1.0), tape.scale(i, -1.0)),
                            false => tape.apply(sigma, peep(sum(1, j), p_f, c[j])),
                        };
                        let g = tape.apply(phi, sum(g, j));
                        let c = clip(tape.add(tape.mul(f, c[j]), tape.mul(i, g)));
                        let o = tape.apply(sigma, peep(sum(o, j), p_o, c));
                        (o, c)
                    });
                    let (o, c): (Vec<Var>, Vec<Var>) = new.unzip();
                    let shown = match gamma_c.is_empty() {
                        true => c.clone(),
                        false => {
                            let scaled = tape.normalize(&c).into_iter().zip(gamma_c).map(|(x, &g)| tape.mul(x, g));
                            scaled.zip(beta_c).map(|(x, &b)| tape.add(x, b)).collect()
                        }
                    };
                    let shown: Vec<Var> =
                        o.iter().zip(shown).map(|(&o, shown)| tape.mul(o, tape.apply(psi, shown))).collect();
                    if w_hr.is_empty() {
                        (shown, c)
                    } else {
                        let column = |j: usize| (0..d_hidden).map(move |k| (k, k * h_features + j));
                        let product = |j: usize| tape.dot(column(j).map(|(k, at)| (shown[k], w_hr[at])));
                        ((0..h_features).map(product).collect(), c)
                    }
                }
                Cell::Gru { reset_after } => {
                    let r: Vec<Var> = units.clone().map(|j| tape.apply(sigma, sum(0, j))).collect();
                    let reset: Vec<Var> = units.clone().map(|j| tape.mul(r[j], h[j])).collect();
                    let reset_sums = if reset_after { Vec::new() } else { h_sums_of(2..3, &reset) };
                    let h_new = units.map(|j| {
                        let z = tape.apply(sigma, sum(1, j));
                        let n_h = if reset_after { tape.mul(r[j], h_sum(2, j)) } else { reset_sums[j] };
                        let n = tape.apply(phi, tape.add(x_sum(2, j), n_h));
                        let one_less_z = tape.add(tape.leaf(1.0), tape.scale(z, -1.0));
                        clip(tape.add(tape.mul(one_less_z, n), tape.mul(z, h[j])))
                    });
                    (h_new.collect(), Vec::new())
                }
                Cell::MinGru(n) | Cell::MinLstm(n) => {
                    let is_gru = matches!(case.cell, Cell::MinGru(_));
                    let h_new = units.map(|j| {
                        let n_sum = x_sum(case.cell.gates() - 1, j);
                        let n = if n == Candidate::Positive { tape.positive(n_sum) } else { n_sum };
                        let first = tape.sigmoid(x_sum(0, j));
                        let (new, old) = if is_gru {
                            (first, tape.add(tape.leaf(1.0), tape.scale(first, -1.0)))
                        } else {
                            let f = tape.sigmoid(x_sum(1, j));
                            let both = tape.add(f, first);
                            (tape.div(first, both), tape.div(f, both))
                        };
                        tape.add(tape.mul(old, h[j]), tape.mul(new, n))
                    });
                    (h_new.collect(), Vec::new())
                }
            };
            h = stay(&tape, &case.zoneout_h, (t * batch + b) * h_features, &h_new, &h);
            c = stay(&tape, &case.zoneout_c, (t * batch + b) * d_hidden, &c_new, &c);
            output.copy_from_slice(&h);
            previous.clone_from(&h);
        }
        h_last.extend(h);
        c_last.extend(c);
    }

    let given = [(&sequence, &case.d_sequence), (&h_last, &case.d_h), (&c_last, &case.d_c)];
    let pairs = given.into_iter().flat_map(|(vars, gradients)| vars.iter().copied().zip(gradients.iter().copied()));
    let gradients = tape.backward(pairs);
    let largest = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, |max: f64, x| max.max(x.abs()));
    let value = |name, vars: &[Var]| {
        let values: Vec<f64> = vars.iter().map(|&var| tape.value(var)).collect();
        let scale = largest(&mut values.iter().copied());
        Expected { name, values, scale }
    };
    let gradient = |name, vars: &[Var]| {
        let gradients: Vec<[f64; 2]> = vars.iter().map(|var| gradients[var.0]).collect();
        let values: Vec<f64> = gradients.iter().map(|g| g[0]).collect();
        let terms = largest(&mut gradients.iter().map(|g| g[1]));
        let scale = largest(&mut values.iter().copied()).max(0.1 * terms);
        Expected { name, values, scale }
    };
    let mut results = vec![
        value("sequence", &sequence),
        value("h", &h_last),
        value("c", &c_last),
        gradient("d_w_ih", &w_ih),
        gradient("d_w_hh", &w_hh),
        gradient("d_h0", &h0),
        gradient("d_c0", &c0),
    ];
    if case.indices.is_empty() {
        let mut d_x = gradient("d_x", &x);
        case.add_repeats(&mut d_x.values);
        d_x.scale = largest(&mut d_x.values.iter().copied()).max(d_x.scale);
        results.push(d_x);
    }
    for (given, name, bias) in [(case.biases[0], "d_b_ih", &b_ih), (case.biases[1], "d_b_hh", &b_hh)] {
        if given {
            results.push(gradient(name, bias));
        }
    }
    for (name, vector) in &learned {
        if !vector.is_empty() {
            results.push(gradient(name, vector));
        }
    }
    results
}

fn masked(tape: &Tape, masks: &[Vec<f64>], gate: usize, place: usize, x: Var) -> Var {
    match masks {
        [] => x,
        [mask] => tape.scale(x, mask[place]),
        masks => tape.scale(x, masks[gate][place]),
    }
}

fn stay(tape: &Tape, zoneout: &Zoneout, place: usize, new: &[Var], old: &[Var]) -> Vec<Var> {
    let keep = |j: usize| match zoneout {
        Zoneout::Mean(p) => *p,
        Zoneout::Drawn(keep) => keep[place + j],
        Zoneout::Off => 0.0,
    };
    let mix = |(j, (&new, &old))| match zoneout {
        // A product with 0 would be NaN of an infinite value.
        Zoneout::Off => new,
        _ => tape.add(tape.scale(new, 1.0 - keep(j)), tape.scale(old, keep(j))),
    };
    new.iter().zip(old).enumerate().map(mix).collect()
}
