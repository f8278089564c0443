"""lengths-lstm-both-pooled

    from model import load
    model = load()

It needs torch and safetensors, and model.safetensors beside this file.
"""

import pathlib

import torch
from safetensors.torch import load_file
from torch import nn


class Model(nn.Module):
    """ids: whole numbers, [batch, time]. lengths: of each sequence, [batch], 1 at least. Gives logits, [batch, answers]."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(6, 3)
        self.rnn = nn.LSTM(3, 4, num_layers=2, bidirectional=True, batch_first=True)
        self.dense = nn.Linear(16, 2)

    def forward(self, ids, lengths):
        packed = nn.utils.rnn.pack_padded_sequence(self.embedding(ids), lengths.cpu(), batch_first=True, enforce_sorted=False)
        h, _ = self.rnn(packed)
        h, _ = nn.utils.rnn.pad_packed_sequence(h, batch_first=True)
        steps = torch.arange(h.shape[1], device=h.device)
        padding = steps[None, :, None] >= lengths.to(h.device)[:, None, None]
        high = h.masked_fill(padding, -1e9)
        return self.dense(torch.cat([high.amax(1), h.sum(1) / lengths.to(h.device)[:, None]], dim=1))


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
