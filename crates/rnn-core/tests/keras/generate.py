"""Makes the fixtures of this folder: what Keras' recurrent layers give, forward and backward.

    python3 -m venv venv && venv/bin/pip install -r requirements.txt
    venv/bin/python generate.py

`cargo xtask parity --regenerate` does that. Input, initial states and the weights of the loss are formulas (see `wave`),
which main.rs repeats.

cases.json, cases.safetensors   the cases, their outputs, final states and gradients
weights/*.npz                   np.savez of get_weights(), one file for all cases with the same layers
model.weights.h5                save_weights of one model with several layers
model.safetensors               the same arrays by layer
"""

import itertools
import json
import math
import os
import pathlib
import shutil

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
# oneDNN's sums depend on the CPU more than the plain kernels' do.
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

import keras
import numpy as np
import tensorflow as tf
from keras.layers import GRU, LSTM, Bidirectional, SimpleRNN
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).parent

# The layers, by the names that main.rs knows; another option is one more line here and there.
LAYERS = {
    "rnn": (SimpleRNN, {}),
    "relu": (SimpleRNN, {"activation": "relu"}),
    "lstm": (LSTM, {}),
    "gru": (GRU, {"reset_after": True}),
    "gru-before": (GRU, {"reset_after": False}),
}

# Each in a SimpleRNN; relu has more cases above.
ACTIVATIONS = [
    "linear",
    "sigmoid",
    "hard_sigmoid",
    "hard_tanh",
    "leaky_relu",
    "elu",
    "softsign",
    "softplus",
    "silu",
    "gelu",
]

# Three rows of four steps.
MASKS = {
    "front": [[0, 0, 1, 1], [1, 1, 1, 1], [0, 1, 1, 1]],
    "holes": [[0, 1, 0, 1], [1, 0, 0, 1], [1, 1, 1, 0]],
}


def wave(shape, phase):
    """sin(0.7 i + phase) at the i-th element, counted row by row."""
    values = [math.sin(0.7 * i + phase) for i in range(math.prod(shape))]
    return np.array(values, dtype=np.float64).astype(np.float32).reshape(shape)


def cases():
    def case(layer, **options):
        default = dict(
            activation=None,
            recurrent_activation=None,
            units=[3],
            direction="forward",
            bias=True,
            mask=None,
            zero=False,
            state=True,
            batch=3,
            time=4,
            input=2,
        )
        return dict(layer=layer, **(default | options))

    for layer in LAYERS:
        for direction, bias in itertools.product(["forward", "backward", "both"], [True, False]):
            yield case(layer, direction=direction, bias=bias)
        yield case(layer, state=False)
        # Bidirectional sets zero_output_for_mask in its layers, whatever they were made with.
        yield case(layer, mask="front")
        yield case(layer, mask="front", zero=True)
        yield case(layer, mask="holes", direction="backward")
        yield case(layer, mask="holes", direction="both", zero=True)
        yield case(layer, batch=1, direction="both")
        yield case(layer, time=1, direction="both")
        yield case(layer, units=[1], direction="both")
        yield case(layer, units=[3, 2])
        yield case(layer, units=[3, 2], direction="both", bias=False)
        yield case(layer, units=[3, 2], mask="front")
    for activation in ACTIVATIONS:
        # With three rows hard_sigmoid's bias has such a gradient as PHASE is there to avoid.
        yield case("rnn", activation=activation, batch=2)
    for layer in ["lstm", "gru", "gru-before"]:
        yield case(layer, activation="softsign")
        yield case(layer, recurrent_activation="hard_sigmoid")
        yield case(layer, activation="elu", recurrent_activation="hard_sigmoid", direction="both")


# Of the input. From this phase on no gradient is a near-complete cancellation, which no two orders of summation agree on to
# five digits.
PHASE = 1.0


def stack(case):
    """The layers of a case, each with its states, unbuilt."""
    kind, options = LAYERS[case["layer"]]
    options = options | {name: case[name] for name in ["activation", "recurrent_activation"] if case[name]}
    layers = []
    for units in case["units"]:
        layer = kind(
            units,
            use_bias=case["bias"],
            go_backwards=case["direction"] == "backward",
            return_sequences=True,
            return_state=True,
            zero_output_for_mask=case["zero"],
            **options,
        )
        layers.append(Bidirectional(layer) if case["direction"] == "both" else layer)
    return layers


def fill(layer, random):
    """Weights between -0.6 and 0.6, biases too: Keras' own biases are zero."""
    layer.set_weights([random.uniform(-0.6, 0.6, w.shape).astype(np.float32) for w in layer.get_weights()])


def weights_name(case):
    """All cases of these layers have the same weights: a backward layer those of the forward one."""
    both = "-both" if case["direction"] == "both" else ""
    return "-".join([case["layer"], *map(str, case["units"])]) + both + ("" if case["bias"] else "-nobias")


def run(case, weights):
    layers = stack(case)
    x = tf.Variable(wave((case["batch"], case["time"], case["input"]), PHASE))
    mask = None if case["mask"] is None else np.array(MASKS[case["mask"]], dtype=bool)
    directions = 2 if case["direction"] == "both" else 1
    tensors = 2 if case["layer"].startswith("lstm") else 1
    starts = [
        [
            tf.Variable(wave((case["batch"], units), 0.2 + 0.1 * t + 0.3 * (number * directions + d)))
            for d in range(directions)
            for t in range(tensors)
        ]
        for number, units in enumerate(case["units"])
    ]
    d_input = case["input"]
    for layer, units in zip(layers, case["units"]):
        layer.build((case["batch"], case["time"], d_input))
        d_input = directions * units
    name = weights_name(case)
    if name not in weights:
        random = np.random.RandomState(len(weights))
        for layer in layers:
            fill(layer, random)
        weights[name] = [w for layer in layers for w in layer.get_weights()]
    given = iter(weights[name])
    for layer in layers:
        layer.set_weights([next(given) for _ in layer.get_weights()])
    with tf.GradientTape() as tape:
        y, ends = x, []
        for layer, start in zip(layers, starts):
            y, *end = layer(y, initial_state=start if case["state"] else None, mask=mask)
            ends += end
        loss = tf.reduce_sum(y * wave(y.shape, 0.4))
        for i, end in enumerate(ends):
            loss += tf.reduce_sum(end * wave(end.shape, 0.5 + i))
    out = {"y": y} | {f"end.{i}": end for i, end in enumerate(ends)}
    sources = {"x": x}
    if case["state"]:
        sources |= {f"start.{i}": s for i, s in enumerate(s for start in starts for s in start)}
    variables = [v.value for layer in layers for v in layer.trainable_variables]
    sources |= {f"arr_{i}": v for i, v in enumerate(variables)}
    out |= {f"grad.{name}": g for name, g in tape.gradient(loss, sources).items()}
    return {name: np.array(tensor) for name, tensor in out.items()}


def model():
    """Layers as a user names them: a stack, both directions, models in the model, dropout, something else between."""
    keras.utils.clear_session()
    twice = [LSTM(2, return_sequences=True, name="twice") for _ in range(2)]
    inner = keras.Sequential([GRU(2, return_sequences=True, name="inner_gru"), twice[0]], name="inner")
    again = keras.Sequential([twice[1]], name="again")
    layers = [
        LSTM(3, return_sequences=True, dropout=0.1, recurrent_dropout=0.1),
        LSTM(2, return_sequences=True, name="second"),
        Bidirectional(GRU(2, return_sequences=True), name="both"),
        keras.layers.Dense(2),
        inner,
        again,
        Bidirectional(SimpleRNN(2, return_sequences=True, use_bias=False)),
        GRU(2, reset_after=False, name="last"),
    ]
    whole = keras.Sequential([keras.Input((4, 2)), *layers])
    fill(whole, np.random.RandomState(1000))
    return whole, {layer.name: layer for layer in [*layers, inner.layers[0]]}


def put(path, write):
    """Writes in a folder of its own, then renames: Keras wants the ending as it is."""
    new = path.parent / "new"
    new.mkdir(exist_ok=True)
    write(new / path.name)
    (new / path.name).replace(path)
    new.rmdir()


def main():
    weights, tensors = {}, {}
    all_cases = list(cases())
    for number, case in enumerate(all_cases):
        tensors |= {f"case{number}.{name}": tensor for name, tensor in run(case, weights).items()}
        case["weights"] = weights_name(case)
    put(HERE / "cases.safetensors", lambda path: save_file(tensors, path))
    shutil.rmtree(HERE / "weights", ignore_errors=True)
    (HERE / "weights").mkdir()
    for name, arrays in weights.items():
        put(HERE / "weights" / f"{name}.npz", lambda path: np.savez(path, *arrays))
    whole, layers = model()
    put(HERE / "model.weights.h5", whole.save_weights)
    by_layer = {f"{name}.{i}": w for name, layer in layers.items() for i, w in enumerate(layer.get_weights())}
    put(HERE / "model.safetensors", lambda path: save_file(by_layer, path))
    fixture = {"keras": keras.__version__, "tensorflow": tf.__version__, "masks": MASKS, "cases": all_cases}
    put(HERE / "cases.json", lambda path: path.write_text(json.dumps(fixture) + "\n"))


if __name__ == "__main__":
    main()
