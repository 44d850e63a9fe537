"""Writes torch_tables.json: where PyTorch's optimizers take three parameters in ten steps, in double precision.

    python3 crescendo/optim/testdata/make_tables.py          (PyTorch 2.11)

torch_test.cpp takes the same steps. Weights and gradients are formulas and not numbers, so that the table holds only
results: element i of parameter p begins as sin(1 + i + 10 p), and its gradient at step k is cos(0.7 i + p + k) + w/10,
which makes each step depend on the one before.
"""

import json
import math
import pathlib

import torch

SHAPES = [[2, 1, 3, 3], [4, 3], [4]]  # a convolution, a matrix, a bias; lengths that vector kernels do not divide
RATES = [0.1, 0.1, 0.2, 0.05, 0.05, 0.0, 0.3, 0.01, 0.1, 0.02]
OURS_AND_TORCHS = {
    "sgd": (torch.optim.SGD, lambda momentum: {}),
    "momentum": (torch.optim.SGD, lambda momentum: {"momentum": momentum}),
    "nesterov": (torch.optim.SGD, lambda momentum: {"momentum": momentum, "nesterov": True}),
    "adam": (torch.optim.Adam, lambda momentum: {"betas": (momentum, 0.99), "eps": 1e-6}),
    "adam_decoupled": (
        torch.optim.Adam,
        lambda momentum: {"betas": (momentum, 0.99), "eps": 1e-6, "decoupled_weight_decay": True},
    ),
    "adamw": (torch.optim.AdamW, lambda momentum: {"betas": (momentum, 0.99), "eps": 1e-6}),
    "rmsprop": (torch.optim.RMSprop, lambda momentum: {"momentum": momentum, "alpha": 0.9, "eps": 1e-6}),
}


def run(rule, arguments, weight_decay, bias_decays):
    weights = []
    for p, shape in enumerate(SHAPES):
        values = [math.sin(1 + i + 10 * p) for i in range(math.prod(shape))]
        weights.append(torch.tensor(values, dtype=torch.float64).reshape(shape))
    groups = [
        {"params": weights[:2], "weight_decay": weight_decay},
        {"params": weights[2:], "weight_decay": weight_decay if bias_decays else 0.0},
    ]
    optimizer = rule(groups, lr=1.0, foreach=False, **arguments)
    for k, rate in enumerate(RATES):
        for p, weight in enumerate(weights):
            values = [math.cos(0.7 * i + p + k) for i in range(weight.numel())]
            weight.grad = torch.tensor(values, dtype=torch.float64).reshape(weight.shape) + weight / 10
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
    return [round(value, 15) for weight in weights for value in weight.flatten().tolist()]


def main():
    cases = []
    for name, (rule, arguments) in OURS_AND_TORCHS.items():
        for momentum in {"sgd": [0.0], "rmsprop": [0.0, 0.9], "adam": [0.0, 0.9]}.get(name, [0.9]):
            for weight_decay, bias_decays in [(0.0, True), (0.1, True), (0.1, False)]:
                cases.append(
                    {
                        "optimizer": name,
                        "momentum": momentum,
                        "weight_decay": weight_decay,
                        "bias_decays": bias_decays,
                        "weights": run(rule, arguments(momentum), weight_decay, bias_decays),
                    }
                )
    tables = {"torch": torch.__version__.split("+")[0], "rates": RATES, "shapes": SHAPES}
    text = json.dumps(tables)[:-1] + ', "cases": [\n' + ",\n".join(json.dumps(case) for case in cases) + "\n]}\n"
    pathlib.Path(__file__).with_name("torch_tables.json").write_text(text)


main()
