"""PyTorch on CUDA as one writes it: nn.LSTM, nn.GRU, nn.RNN on cuDNN, fused Adam. Prints the least seconds of a call."""

import sys
import time

import torch
from torch import nn

torch.backends.cuda.matmul.allow_tf32 = False
torch.backends.cudnn.allow_tf32 = False
LAYERS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
DEVICE = "cuda"


def least(work, seconds=2.0):
    for _ in range(5):
        work()
    torch.cuda.synchronize()
    best, begin = float("inf"), time.perf_counter()
    while time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        for _ in range(10):
            work()
        torch.cuda.synchronize()
        best = min(best, (time.perf_counter() - start) / 10)
    return best


def layer(cell, shape, backward, ragged):
    batch, steps, d_input, d_hidden = (int(n) for n in shape.split(","))
    module = LAYERS[cell](d_input, d_hidden, batch_first=True).to(DEVICE)
    x = torch.randn(batch, steps, d_input, device=DEVICE, requires_grad=backward == "true")
    lengths = torch.tensor([1 + row * (steps - 1) // max(batch - 1, 1) for row in range(batch)])

    def forward():
        if ragged == "true":
            packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            return module(packed)[0].data
        return module(x)[0]

    def both():
        x.grad = None
        module.zero_grad(set_to_none=True)
        forward().sum().backward()

    if backward == "true":
        return least(both)
    with torch.inference_mode():
        return least(forward)


class Sentiment(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(20_000, 128)
        self.layer = nn.LSTM(128, 128, batch_first=True)
        self.dense = nn.Linear(128, 1)
        self.dropout = nn.Dropout(0.2)

    def forward(self, ids):
        x = self.embedding(ids)
        x = x * self.dropout(torch.ones(x.shape[0], 1, x.shape[2], device=DEVICE))
        return self.dense(self.layer(x)[1][0][0]).squeeze(1)


class Chargen(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.GRU(55, 128, batch_first=True)
        self.dense = nn.Linear(128, 55)

    def forward(self, x):
        return self.dense(self.layer(x)[1][0])


def steps(model, optimizer, inputs, targets, loss_of):
    def step():
        optimizer.zero_grad(set_to_none=True)
        loss_of(model(inputs()), targets).backward()
        optimizer.step()

    return least(step)


def sentiment():
    model = Sentiment().to(DEVICE)
    ids = torch.randint(20_000, (50, 80), device=DEVICE)
    labels = torch.randint(2, (50,), device=DEVICE).float()
    adam = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    return steps(model, adam, lambda: ids, labels, nn.BCEWithLogitsLoss())


def chargen():
    model, eye = Chargen().to(DEVICE), torch.eye(55, device=DEVICE)
    windows = torch.randint(55, (128, 10), device=DEVICE)
    targets = torch.randint(55, (128,), device=DEVICE)
    rmsprop = torch.optim.RMSprop(model.parameters(), lr=1e-3, alpha=0.9)
    return steps(model, rmsprop, lambda: eye[windows], targets, nn.CrossEntropyLoss())


def about():
    return f"PyTorch {torch.__version__}, cuDNN {torch.backends.cudnn.version()}, {torch.cuda.get_device_name()}"


print({"about": about, "layer": layer, "sentiment": sentiment, "chargen": chargen}[sys.argv[1]](*sys.argv[2:]))
