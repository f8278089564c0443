//! Gradients against differences, and fused against step by step.

use super::*;

/// A scalar that depends on every output and every final state with weights of its own.
fn loss<C: Cell>(layer: &Recurrent<C>, x: Tensor<3>, s: States<C::State>) -> Tensor<1> {
    let lengths = [5, 2, 4];
    let args = ForwardArgs::default().with_state(s).with_lengths(&lengths).with_dropout_key(Some(Key::new(3)));
    let out = layer.forward_with(x, args);
    let weigh = |number: usize, n: usize| values(Key::new(21 + number as u64), n);
    let shape = out.sequence.dims();
    let mut sum = (out.sequence * tensor(&weigh(0, shape.iter().product()), shape)).sum();
    for (number, t) in tensors(&out.state).into_iter().enumerate() {
        let shape = t.dims();
        sum = sum + (t * tensor(&weigh(number + 1, shape.iter().product()), shape)).sum();
    }
    sum
}

/// The largest difference between `gradient` and (f(v+e) − f(v−e)) / 2e, over the gradient's largest value. At most
/// eight elements are tried, from all over `v`.
fn from_differences(gradient: &[f64], v: &[f64], f: impl Fn(&[f64]) -> f64) -> f64 {
    assert_eq!(gradient.len(), v.len());
    let e = 1e-6;
    let difference = |i: usize| {
        let mut w = v.to_vec();
        w[i] += e;
        let up = f(&w);
        w[i] -= 2.0 * e;
        (up - f(&w)) / (2.0 * e)
    };
    let scale = gradient.iter().fold(1e-300, |m: f64, x| m.max(x.abs()));
    let tried = (0..v.len()).step_by(v.len().div_ceil(8));
    largest(tried.map(|i| difference(i) - gradient[i])) / scale
}

pub const PARAMETERS: [&str; 12] =
    ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr", "norm_ih", "norm_hh", "0", "1", "2", "3", "4"];

/// The values and the gradient of a parameter, if the layer has it.
pub fn parameter(layer: &Layer, name: &str, grads: &Gradients) -> Option<(Vec<f64>, Vec<f64>)> {
    fn both<const D: usize>(param: &Param<Tensor<D>>, grads: &Gradients) -> (Vec<f64>, Vec<f64>) {
        (to_vec(param.val()), to_vec(param.val().grad(grads).expect("gradient")))
    }
    match name {
        "weight_ih" => Some(both(&layer.weight_ih, grads)),
        "weight_hh" => layer.weight_hh.as_ref().map(|weight| both(weight, grads)),
        "bias_ih" => layer.bias_ih.as_ref().map(|bias| both(bias, grads)),
        "bias_hh" => layer.bias_hh.as_ref().map(|bias| both(bias, grads)),
        "weight_hr" => layer.weight_hr.as_ref().map(|weight| both(weight, grads)),
        "norm_ih" => layer.norm_ih.as_ref().map(|gain| both(gain, grads)),
        "norm_hh" => layer.norm_hh.as_ref().map(|gain| both(gain, grads)),
        own => layer.vectors.get(own.parse::<usize>().expect("a number")).map(|vector| both(vector, grads)),
    }
}

fn set(layer: &mut Layer, name: &str, v: &[f64]) {
    fn replace<const D: usize>(param: &mut Param<Tensor<D>>, v: &[f64]) {
        *param = Param::from_tensor(tensor(v, param.val().dims()));
    }
    let there = "what has a gradient is there";
    match name {
        "weight_ih" => replace(&mut layer.weight_ih, v),
        "weight_hh" => replace(layer.weight_hh.as_mut().expect(there), v),
        "bias_ih" => replace(layer.bias_ih.as_mut().expect(there), v),
        "bias_hh" => replace(layer.bias_hh.as_mut().expect(there), v),
        "weight_hr" => replace(layer.weight_hr.as_mut().expect(there), v),
        "norm_ih" => replace(layer.norm_ih.as_mut().expect(there), v),
        "norm_hh" => replace(layer.norm_hh.as_mut().expect(there), v),
        own => replace(&mut layer.vectors[own.parse::<usize>().expect("a number")], v),
    }
}

fn check_gradients<C: Cell + Naive>(layer: Recurrent<C>) {
    let x = values(Key::new(1), BATCH * TIME * INPUT);
    let s = values(Key::new(2), state_size(&layer));
    let scalar = |layer: &Recurrent<C>, x: &[f64], s: &[f64]| {
        loss(layer, tensor(x, [BATCH, TIME, INPUT]), states(layer, s)).into_scalar::<f64>()
    };
    let input = tensor(&x, [BATCH, TIME, INPUT]).require_grad();
    let start = states(&layer, &s);
    let grads = loss(&layer, input.clone(), start.clone()).backward();

    // Fused kernels, where there are any, and the steps one by one give the same.
    let step_by_step = probe::record(|| loss(&layer, input.clone(), start.clone())).0.backward();
    let same = |what: &str, a: &[f64], b: &[f64]| assert!(worst(a, b) < 1e-12, "{what} of {:?}", layer.config);
    let of_input = |grads| to_vec(input.grad(grads).expect("input gradient"));
    same("input", &of_input(&grads), &of_input(&step_by_step));
    for t in tensors(&start) {
        let of_state = |grads| to_vec(t.grad(grads).expect("state gradient"));
        same("initial state", &of_state(&grads), &of_state(&step_by_step));
    }
    for (weights, name) in layer.layers.iter().flat_map(|weights| PARAMETERS.map(|name| (weights, name))) {
        if let (Some(a), Some(b)) = (parameter(weights, name, &grads), parameter(weights, name, &step_by_step)) {
            same(name, &a.1, &b.1);
        }
    }

    let found = to_vec(input.grad(&grads).expect("input gradient"));
    let error = from_differences(&found, &x, |x| scalar(&layer, x, &s));
    assert!(error < 1e-7, "input of {:?}", layer.config);

    let found: Vec<f64> =
        tensors(&start).iter().flat_map(|t| to_vec(t.grad(&grads).expect("state gradient"))).collect();
    let error = from_differences(&found, &s, |s| scalar(&layer, &x, s));
    assert!(error < 1e-7, "initial states of {:?}", layer.config);

    for number in 0..layer.layers.len() {
        for name in PARAMETERS {
            let Some((v, found)) = parameter(&layer.layers[number], name, &grads) else { continue };
            let error = from_differences(&found, &v, |v| {
                let mut changed = layer.clone();
                set(&mut changed.layers[number], name, v);
                scalar(&changed, &x, &s)
            });
            assert!(error < 1e-7, "{name} of layer {number} of {:?}", layer.config);
        }
    }
}

#[test]
fn gradients_equal_differences() {
    each_layer(rnn(Activation::Tanh), check_gradients);
    each_layer(lstm, check_gradients);
    each_layer(gru(true), check_gradients);
    each_layer(gru(false), check_gradients);
    each_config(own_rnns(), check_gradients);
    each_config(own_lstms(), check_gradients);
    each_config(own_grus(), check_gradients);
    each_config(min_grus(), check_gradients);
    each_config(min_lstms(), check_gradients);
}
