"""Makes cases.json and cases.safetensors: what PyTorch's recurrent layers give, forward and backward.

    python3 -m venv venv && venv/bin/pip install -r requirements.txt
    venv/bin/python generate.py

`cargo xtask parity --regenerate` does that. Input, initial states and the weights of the loss are formulas (see `wave_of`), which main.rs repeats.
"""

import copy
import itertools
import json
import math
import pathlib

import torch
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent


def wave_of(shape, phase):
    """sin(0.7 i + phase) at the i-th element, counted row by row."""
    values = [math.sin(0.7 * i + phase) for i in range(math.prod(shape))]
    return torch.tensor(values, dtype=torch.float64).to(torch.float32).reshape(shape)


def case(cell, **options):
    default = dict(layers=1, both=False, bias=True, lengths=None, batch=3, time=4, input=2, hidden=3, proj=None)
    return dict(cell=cell, **(default | options))


def cases():
    cells = ["rnn", "relu", "lstm", "gru"]
    for cell, layers, both, bias, lengths in itertools.product(
        cells, [1, 3], [False, True], [True, False], [None, [4, 1, 3]]
    ):
        yield case(cell, layers=layers, both=both, bias=bias, lengths=lengths)
    for cell, (batch, time, hidden) in itertools.product(cells, [(1, 4, 3), (3, 1, 3), (3, 4, 1)]):
        yield case(cell, layers=2, both=True, batch=batch, time=time, hidden=hidden)
    # The projections come last: the cases before them keep their weights.
    for layers, both, bias, lengths in itertools.product(
        [1, 2], [False, True], [True, False], [None, [4, 1, 3]]
    ):
        yield case("lstm", layers=layers, both=both, bias=bias, lengths=lengths, proj=2)


# float32 and float64 agree to this in every tensor of a case. With one hidden unit a gradient is one sum, and where that
# nearly cancels no two ways of computing it agree to five digits; the phase of the input is chosen so that none does.
WELL_CONDITIONED = 1.5e-6


def run(case):
    kind = {"rnn": torch.nn.RNN, "relu": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[case["cell"]]
    options = {"nonlinearity": "relu"} if case["cell"] == "relu" else {}
    if case["proj"]:
        options["proj_size"] = case["proj"]
    layer = kind(
        case["input"],
        case["hidden"],
        num_layers=case["layers"],
        bidirectional=case["both"],
        bias=case["bias"],
        batch_first=True,
        **options,
    )
    for case["phase"] in (round(1 + 0.1 * i, 1) for i in range(60)):
        single, double = forward_and_backward(case, layer), forward_and_backward(case, copy.deepcopy(layer).double())
        error = max(((single[n] - d).abs().max() / d.abs().max()).item() for n, d in double.items())
        if error <= WELL_CONDITIONED:
            return single
    raise SystemExit(f"no input is well-conditioned for {case}")


def forward_and_backward(case, layer):
    dtype = next(layer.parameters()).dtype

    def wave(shape, phase):
        return wave_of(shape, phase).to(dtype)

    x = wave((case["batch"], case["time"], case["input"]), case["phase"]).requires_grad_()
    states = case["layers"] * (2 if case["both"] else 1)
    start = [wave((states, case["batch"], case["proj"] or case["hidden"]), 0.2).requires_grad_()]
    if case["cell"] == "lstm":
        start.append(wave((states, case["batch"], case["hidden"]), 0.3).requires_grad_())
    given = tuple(start) if len(start) == 2 else start[0]
    if case["lengths"] is None:
        y, end = layer(x, given)
    else:
        packed = torch.nn.utils.rnn.pack_padded_sequence(x, case["lengths"], batch_first=True, enforce_sorted=False)
        y, end = layer(packed, given)
        y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, batch_first=True, total_length=case["time"])
    end = list(end) if isinstance(end, tuple) else [end]
    loss = (y * wave(y.shape, 0.4)).sum() + sum((s * wave(s.shape, 0.5 + i)).sum() for i, s in enumerate(end))
    layer.zero_grad()
    loss.backward()
    tensors = {"y": y, "grad.x": x.grad}
    for i, (s, e) in enumerate(zip(start, end)):
        tensors[f"end.{i}"] = e
        tensors[f"grad.start.{i}"] = s.grad
    for name, value in layer.named_parameters():
        tensors[f"layer.{name}"] = value
        tensors[f"grad.{name}"] = value.grad
    return {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}


def put(path, write):
    """Writes in a folder of its own, then renames: torch.save puts the file's name into the file."""
    new = path.parent / "new"
    new.mkdir(exist_ok=True)
    write(new / path.name)
    (new / path.name).replace(path)
    new.rmdir()


def main():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    all_cases, tensors = list(cases()), {}
    for number, case in enumerate(all_cases):
        tensors |= {f"case{number}.{name}": tensor for name, tensor in run(case).items()}
    put(HERE / "cases.safetensors", lambda path: save_file(tensors, path))
    # The same weights as torch.save writes them, for one case with everything.
    number = next(n for n, c in enumerate(all_cases) if c["cell"] == "lstm" and c["layers"] == 3 and c["both"])
    prefix = f"case{number}.layer."
    of_case = {"model." + n[len(prefix) :]: t for n, t in tensors.items() if n.startswith(prefix)}
    put(HERE / "lstm.pt", lambda path: torch.save(of_case, path))
    fixture = {"torch": torch.__version__, "pt": number, "cases": all_cases}
    put(HERE / "cases.json", lambda path: path.write_text(json.dumps(fixture) + "\n"))


if __name__ == "__main__":
    main()
