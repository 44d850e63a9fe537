#!/usr/bin/env python3
"""The training step a PyTorch user would run instead: WRN-d-k, ghost-free batch norm, SGD with momentum, synthetic data.

One line of JSON per mode, so that crescendo can be measured beside it in the same run:

    python3 pytorch_wrn.py --depth 16 --width 4 --batch 128 --mode eager compile --dtype bf16 --threads 2

img_per_s is the median over the timed steps (forward, backward, optimizer; data already on the device).

With --on-request it is measured in turns with other programs: it prints "ready" once it is warm; for each line "N" on its
standard input it does N steps and prints the seconds they took; at the end of the input it stops.
"""
import argparse, json, statistics, sys, time
import torch
import torch.nn as nn
import torch.nn.functional as F


class Block(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(cin)
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.short = nn.Conv2d(cin, cout, 1, stride, bias=False) if cin != cout else None

    def forward(self, x):
        o = F.relu(self.bn1(x), inplace=True)
        y = self.conv2(F.relu(self.bn2(self.conv1(o)), inplace=True))
        return y + (self.short(o) if self.short is not None else x)


class WideResNet(nn.Module):
    def __init__(self, depth, width, classes=10):
        super().__init__()
        n = (depth - 4) // 6
        widths = [16, 16 * width, 32 * width, 64 * width]
        self.conv = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        blocks = []
        for g in range(3):
            for b in range(n):
                blocks.append(Block(widths[g] if b == 0 else widths[g + 1], widths[g + 1], 2 if g and b == 0 else 1))
        self.blocks = nn.Sequential(*blocks)
        self.bn = nn.BatchNorm2d(widths[3])
        self.fc = nn.Linear(widths[3], classes)

    def forward(self, x):
        x = F.relu(self.bn(self.blocks(self.conv(x))), inplace=True)
        return self.fc(x.mean((2, 3)))


def run(mode, a):
    device = torch.device(a.device)
    torch.manual_seed(0)
    model = WideResNet(a.depth, a.width).to(device)
    x = torch.randn(a.batch, 3, 32, 32, device=device)
    y = torch.randint(10, (a.batch,), device=device)
    if a.channels_last:
        model = model.to(memory_format=torch.channels_last)
        x = x.contiguous(memory_format=torch.channels_last)
    step_model = {"eager": lambda m: m, "compile": torch.compile,
                  "reduce-overhead": lambda m: torch.compile(m, mode="reduce-overhead"),
                  "max-autotune": lambda m: torch.compile(m, mode="max-autotune")}[mode](model)
    opt = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, fused=True)

    def step():
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=a.dtype == "bf16"):
            loss = F.cross_entropy(step_model(x), y)
        loss.backward()
        opt.step()
        opt.zero_grad(set_to_none=True)
        return loss

    sync = torch.cuda.synchronize if device.type == "cuda" else (lambda: None)
    t0 = time.perf_counter()
    for _ in range(a.warmup):
        step()
    sync()
    warm = time.perf_counter() - t0
    if a.on_request:
        print("ready", flush=True)
        for line in sys.stdin:
            t0 = time.perf_counter()
            for _ in range(int(line)):
                step()
            sync()
            print(f"{time.perf_counter() - t0:.6f}", flush=True)
        return
    times = []
    for _ in range(a.steps):
        t0 = time.perf_counter()
        for _ in range(a.group):
            loss = step()
        sync()
        times.append((time.perf_counter() - t0) / a.group)
    print(json.dumps({"system": "pytorch " + torch.__version__, "mode": mode, "net": f"wrn-{a.depth}-{a.width}", "batch": a.batch,
                      "dtype": a.dtype, "channels_last": a.channels_last, "device": str(device), "threads": torch.get_num_threads(),
                      "img_per_s": round(a.batch / statistics.median(times), 2), "best_img_per_s": round(a.batch / min(times), 2),
                      "warmup_s": round(warm, 2), "loss": round(loss.item(), 5)}), flush=True)


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--depth", type=int, default=16)
    p.add_argument("--width", type=int, default=4)
    p.add_argument("--batch", type=int, default=128)
    p.add_argument("--mode", nargs="+", default=["eager"], choices=["eager", "compile", "reduce-overhead", "max-autotune"])
    p.add_argument("--dtype", default="fp32", choices=["fp32", "bf16"])
    p.add_argument("--device", default="cpu")
    p.add_argument("--threads", type=int, default=0)
    p.add_argument("--no-channels-last", dest="channels_last", action="store_false")
    p.add_argument("--warmup", type=int, default=3)
    p.add_argument("--steps", type=int, default=10)
    p.add_argument("--group", type=int, default=1, help="steps between two synchronisations")
    p.add_argument("--on-request", action="store_true", help="of the first mode")
    a = p.parse_args()
    if a.threads:
        torch.set_num_threads(a.threads)
    for m in a.mode[:1] if a.on_request else a.mode:
        run(m, a)
