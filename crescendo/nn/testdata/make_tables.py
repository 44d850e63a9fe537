"""Writes torch_tables.safetensors: what PyTorch computes with batch norm and with a small wide residual network.

    python3 crescendo/nn/testdata/make_tables.py          (PyTorch 2.11, safetensors)

torch_test.cpp computes the same. Everything is computed in double precision and stored in single, so that the tests' tolerance is our own
rounding. Weights are formulas and not numbers, to keep the file small: see `wave`.
"""

import math
import pathlib

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

torch.set_default_dtype(torch.float64)


def wave(shape, phase, scale):
    """Element i is scale * sin(phase + 1.7 i)."""
    return scale * torch.sin(phase + 1.7 * torch.arange(math.prod(shape), dtype=torch.float64)).reshape(shape)


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.short = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if inputs != outputs else None

    def forward(self, x):
        o = F.relu(self.bn1(x))
        y = self.conv2(F.relu(self.bn2(self.conv1(o))))
        return y + (self.short(o) if self.short is not None else x)


class WideResNet(nn.Module):
    def __init__(self, depth, width, classes):
        super().__init__()
        widths = [16, 16 * width, 32 * width, 64 * width]
        self.conv = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        blocks = []
        for group in range(3):
            for i in range((depth - 4) // 6):
                blocks.append(Block(widths[group + (i > 0)], widths[group + 1], 2 if group > 0 and i == 0 else 1))
        self.blocks = nn.Sequential(*blocks)
        self.bn = nn.BatchNorm2d(widths[3])
        self.fc = nn.Linear(widths[3], classes)

    def forward(self, x):
        x = F.relu(self.bn(self.blocks(self.conv(x))))
        return self.fc(x.mean((2, 3)))


def batch_norm(name, layer, shape):
    with torch.no_grad():
        layer.weight.copy_(1 + wave(layer.weight.shape, 1, 0.5))
        layer.bias.copy_(wave(layer.bias.shape, 2, 0.5))
    table = {}
    for step in range(2):
        inputs = (3 + wave(shape, step, 2)).requires_grad_()
        layer.zero_grad()
        output = layer(inputs)
        (output * wave(shape, 5, 1)).sum().backward()
        table[f"{name}.{step}.output"] = output
        table[f"{name}.{step}.inputs.grad"] = inputs.grad
        table[f"{name}.{step}.weight.grad"] = layer.weight.grad.clone()
        table[f"{name}.{step}.bias.grad"] = layer.bias.grad.clone()
        table[f"{name}.{step}.running_mean"] = layer.running_mean.clone()
        table[f"{name}.{step}.running_var"] = layer.running_var.clone()
    return table


def wide_resnet():
    network = WideResNet(depth=10, width=1, classes=5)
    with torch.no_grad():
        for number, (name, parameter) in enumerate(network.named_parameters()):
            inputs = math.prod(parameter.shape[1:])
            parameter.copy_(wave(parameter.shape, number, math.sqrt(1 / inputs) if parameter.dim() > 1 else 0.5))
            if parameter.dim() == 1 and name.endswith("weight"):
                parameter.add_(1)  # the factors of batch norm
    inputs = wave((6, 3, 8, 8), 0, 1) + wave((6, 3, 8, 8), 1, 1) ** 3
    labels = torch.tensor([0, 1, 2, 3, 4, 1])
    logits = network(inputs)
    loss = F.cross_entropy(logits, labels, reduction="sum")
    loss.backward()
    table = {"wrn.inputs": inputs, "wrn.labels": labels, "wrn.logits": logits, "wrn.loss": loss}
    table |= {f"wrn.{name}.grad": parameter.grad for name, parameter in network.named_parameters()}
    table |= {f"wrn.{name}": buffer.clone() for name, buffer in network.named_buffers() if "num_batches" not in name}
    network.eval()
    table["wrn.evaluated"] = network(inputs)
    return table


tables = batch_norm("rows", nn.BatchNorm1d(3), (5, 3))
tables |= batch_norm("images", nn.BatchNorm2d(3), (2, 3, 2, 2))
tables |= wide_resnet()
tables = {name: t.detach() if t.dtype == torch.int64 else t.detach().float() for name, t in tables.items()}
save_file(tables, pathlib.Path(__file__).with_name("torch_tables.safetensors"), {"torch": torch.__version__})
