"""Makes cases.json: what onnxruntime gives for the files of this folder. PyTorch must give the same, to 1e-5.

    RNN_WRITE_FIXTURES=1 cargo test --workspace --test onnx
    python3 -m venv venv && venv/bin/pip install -r requirements.txt
    venv/bin/python generate.py

`cargo xtask parity --regenerate` does that. The inputs are formulas, which main.rs repeats.
"""

import importlib.util
import json
import math
import pathlib

import numpy as np
import onnx
import onnxruntime
import torch

HERE = pathlib.Path(__file__).parent
BATCH, TIME = 3, 5


def wave(shape, phase):
    values = [math.sin(0.7 * i + phase) for i in range(math.prod(shape))]
    return (np.round(np.array(values) * 4096) / 4096).astype(np.float32).reshape(shape)


IDS = np.array([(i * 7 + i // 4) % 6 for i in range(BATCH * TIME)], dtype=np.int64).reshape(BATCH, TIME)
INPUTS = {"ids": IDS, "features": wave((BATCH, TIME, 3), 0.1), "lengths": np.array([5, 2, 3], dtype=np.int64)}


def close(name, a, b):
    error = np.abs(a - b).max()
    if not error < 1e-5:
        raise SystemExit(f"{name}: differs by {error}")
    return error


def case(path):
    onnx.checker.check_model(str(path), full_check=True)
    session = onnxruntime.InferenceSession(str(path))
    inputs, states = {}, []
    for value in session.get_inputs():
        if value.name in INPUTS:
            inputs[value.name] = INPUTS[value.name]
        else:
            states.append(value.name)
            inputs[value.name] = np.zeros([BATCH if d == "batch" else d for d in value.shape], np.float32)
    names = [value.name for value in session.get_outputs()]
    out = dict(zip(names, session.run(names, inputs)))
    x = next(name for name in INPUTS if name in inputs)
    one_way = "both" not in path.stem
    if states and one_way:
        # In two pieces, with the state between them, and with another batch.
        parts, carried = [], {name: inputs[name][:, :2] for name in states}
        for piece in (slice(0, 2), slice(2, TIME)):
            given = dict(zip(names, session.run(names, {x: inputs[x][:2, piece]} | carried)))
            parts.append(given["logits"])
            carried = {name: given[name.replace("0", "n")] for name in states}
        close(path.stem, np.concatenate(parts, 1), out["logits"][:2])
    said = f"{path.stem}: onnxruntime {session.get_providers()[0]}"
    python = path.with_suffix(".py")
    if python.exists():
        spec = importlib.util.spec_from_file_location(f"case_{path.stem.replace('-', '_')}", python)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        model = module.load(path.with_suffix(".safetensors"))
        with torch.no_grad():
            logits = model(*[torch.from_numpy(inputs[name]) for name in (x, "lengths") if name in inputs])
        logits = logits[0] if isinstance(logits, tuple) else logits
        said += f", PyTorch differs by {close(path.stem, logits.numpy(), out['logits']):.1e}"
    print(said)
    return out["logits"].astype(float).ravel().tolist()


logits = {path.stem: case(path) for path in sorted(HERE.glob("*.onnx"))}
fixture = {"onnxruntime": onnxruntime.__version__, "logits": logits}
new = HERE / "cases.json.new"
new.write_text(json.dumps(fixture) + "\n")
new.replace(HERE / "cases.json")
