"""PyTorch as one writes it: nn.LSTM, nn.GRU, nn.RNN and fused Adam."""

import contextlib
import os
import time

import numpy as np
import torch
from torch import nn

THREADS = int(os.environ["OMP_NUM_THREADS"])
torch.set_num_threads(THREADS)
LAYERS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


def onednn(spec):
    """The slot's own switch of oneDNN, to be entered around the timed work."""
    return lambda: torch.backends.mkldnn.flags(enabled=spec["onednn"])


def timed(spec, work, gradients):
    switch, mode = onednn(spec), contextlib.nullcontext if gradients else torch.inference_mode

    def run(calls):
        with switch(), mode():
            start = time.perf_counter()
            for _ in range(calls):
                work()
            return time.perf_counter() - start

    return run


def layer(spec):
    torch.manual_seed(0)
    options = {"proj_size": spec["hidden"] // 2} if spec.get("option") == "projection" else {}
    module = LAYERS[spec["cell"]](spec["input"], spec["hidden"], batch_first=True, **options)
    x = torch.randn(spec["batch"], spec["time"], spec["input"], requires_grad=spec["backward"])

    def forward():
        module(x)

    def both():
        x.grad = None
        module.zero_grad(set_to_none=True)
        module(x)[0].sum().backward()

    return timed(spec, both if spec["backward"] else forward, spec["backward"])


def ragged(spec):
    """Batches packed by their rows' lengths."""
    torch.manual_seed(0)
    module = LAYERS[spec["cell"]](spec["input"], spec["hidden"], batch_first=True)
    batches = [
        (torch.randn(len(lengths), max(lengths), spec["input"], requires_grad=True), torch.tensor(lengths))
        for lengths in spec["batches"]
    ]

    def both():
        module.zero_grad(set_to_none=True)
        for x, lengths in batches:
            x.grad = None
            packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            last = module(packed)[1]
            (last[0] if isinstance(last, tuple) else last).sum().backward()

    return timed({"onednn": True}, both, True)


def step(spec):
    """One step of one row, the state carried."""
    module = LAYERS[spec["cell"]](spec["input"], spec["hidden"], batch_first=True)
    x = torch.randn(1, 1, spec["input"])
    state = [None]

    def one():
        _, state[0] = module(x, state[0])

    return timed(spec, one, False)


class Sentiment(nn.Module):
    def __init__(self, words, masks="sequence"):
        super().__init__()
        self.embedding = nn.Embedding(words, 128)
        self.layer = nn.LSTM(128, 128, batch_first=True)
        self.dense = nn.Linear(128, 1)
        self.dropout = nn.Dropout(0.2)
        self.masks = masks

    def forward(self, ids):
        x = self.embedding(ids)
        if self.masks == "element":  # nn.Dropout on the input, what one types
            x = self.dropout(x)
        else:  # one mask for all steps, what Keras does
            x = x * self.dropout(torch.ones(x.shape[0], 1, x.shape[2]))
        _, (h, _) = self.layer(x)
        return self.dense(h[0]).squeeze(1)


def rows(path, width):
    values = np.fromfile(path, dtype="<i4").astype(np.int64)
    return torch.from_numpy(values.reshape(-1, width) if width else values)


def epochs(spec, model, optimizer, inputs, targets, loss_of):
    batch = spec["batch"]

    def epoch():
        model.train()
        order, total = torch.randperm(len(targets)), torch.zeros(())
        for chosen in order.split(batch):
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(model(inputs(chosen)), targets[chosen])
            loss.backward()
            optimizer.step()
            total += loss.detach()
        total.item()

    return timed(spec, epoch, True)


def sentiment(spec):
    torch.manual_seed(0)
    ids, labels = rows(spec["ids"], spec["tokens"]), rows(spec["labels"], None).float()
    model = Sentiment(spec["words"], spec["masks"])
    adam = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    return epochs(spec, model, adam, lambda chosen: ids[chosen], labels, nn.BCEWithLogitsLoss())


def evaluation(spec):
    ids, labels = rows(spec["ids"], spec["tokens"]), rows(spec["labels"], None).float()
    model, loss_of = Sentiment(spec["words"]).eval(), nn.BCEWithLogitsLoss()
    model.masks = "element"  # in evaluation nn.Dropout is nothing at all

    def whole():
        total, right = torch.zeros(()), torch.zeros(())
        for x, y in zip(ids.split(spec["batch"]), labels.split(spec["batch"])):
            logits = model(x)
            total += loss_of(logits, y)
            right += ((logits > 0) == (y > 0.5)).sum()
        total.item(), right.item()

    return timed(spec, whole, False)


class Chargen(nn.Module):
    def __init__(self, symbols):
        super().__init__()
        self.layer = nn.GRU(symbols, 128, batch_first=True)
        self.dense = nn.Linear(128, symbols)

    def forward(self, x):
        return self.dense(self.layer(x)[1][0])


def chargen(spec):
    torch.manual_seed(0)
    text, window, symbols = rows(spec["ids"], None), spec["window"], spec["symbols"]
    windows, following, eye = text.unfold(0, window, 1)[:-1], text[window:], torch.eye(symbols)
    model = Chargen(symbols)
    rmsprop = torch.optim.RMSprop(model.parameters(), lr=1e-3, alpha=0.9)
    return epochs(spec, model, rmsprop, lambda chosen: eye[windows[chosen]], following, nn.CrossEntropyLoss())


def generation(spec):
    """A character a call: one-hot, GRUCell, Dense, argmax."""
    symbols, hidden = spec["symbols"], spec["hidden"]
    cell, dense, eye = nn.GRUCell(symbols, hidden), nn.Linear(hidden, symbols), torch.eye(symbols)
    carried = [0, torch.zeros(1, hidden)]

    def character():
        symbol, h = carried
        h = cell(eye[symbol : symbol + 1], h)
        carried[:] = int(dense(h).argmax()), h

    return timed(spec, character, False)


def prepare(spec):
    tasks = (layer, ragged, step, sentiment, evaluation, chargen, generation)
    return ({task.__name__: task for task in tasks} | {"optional": layer})[spec["task"]](spec)


def startup(what, path):
    model = Sentiment(20_000).eval()
    if what == "save":
        torch.save(model.state_dict(), path)
        return
    model.load_state_dict(torch.load(path))
    with torch.inference_mode():
        model.masks = "element"
        torch.sigmoid(model(torch.ones(1, 80, dtype=torch.int64))).item()
