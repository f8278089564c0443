"""Makes the files beside this one, with PyTorch 2.15."""

import os

import torch
from safetensors.torch import save_file
from torch import nn

os.chdir(os.path.dirname(os.path.abspath(__file__)))


class M(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Module()
        self.encoder.lstm = nn.LSTM(3, 4)


sd = M().state_dict()
torch.save({"epoch": 3, "model_state_dict": sd, "optimizer": {"lr": 0.1}}, "c.pt")
torch.save({"module." + k: v for k, v in sd.items()}, "m.pt")
save_file({"module." + k: v for k, v in sd.items()}, "m.safetensors")
torch.save(nn.LSTM(3, 4), "whole.pt")
torch.save({"a": nn.LSTM(3, 4).state_dict(), "b": nn.GRU(3, 4).state_dict()}, "two.pt")


# Numbers with gaps, where layers without parameters stand between.
def gaps(prefix, layers):
    return {f"{prefix}.{i}.{k}": v for i, layer in layers.items() for k, v in layer.state_dict().items()}


torch.save(gaps("layers", {i: nn.LSTM(3, 3) for i in (0, 2, 4)}), "stack.pt")
torch.save(gaps("seq", {i: nn.LSTM(2, 3) for i in (1, 3)}), "seq.pt")
