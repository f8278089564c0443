"""gru-max

    from model import load
    model = load()

It needs torch and safetensors, and model.safetensors beside this file.
"""

import pathlib

import torch
from safetensors.torch import load_file
from torch import nn


class Model(nn.Module):
    """x: numbers, [batch, time, 3]. Gives logits, [batch, answers]."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(3, 4, batch_first=True)
        self.dense = nn.Linear(4, 2)

    def forward(self, x):
        h, _ = self.rnn(x)
        return self.dense(h.amax(1))


def load(path=pathlib.Path(__file__).with_name("model.safetensors")):
    """The trained model. Weights that are int8 in the file are multiplied by the scales of their rows."""
    tensors, weights = load_file(path), {}
    for name, tensor in tensors.items():
        if name.endswith(".int8"):
            name = name.removesuffix(".int8")
            tensor = tensor.float() * tensors[name + ".scale"][:, None]
        if not name.endswith(".scale"):
            weights[name] = tensor
    model = Model()
    model.load_state_dict(weights)
    return model.eval()
