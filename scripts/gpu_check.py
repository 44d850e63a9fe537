#!/usr/bin/env python3
"""Runs the tests on a GPU and measures training on it beside PyTorch. Called by gpu_check.sh, which says how.

Ours and PyTorch's are measured in turns, so that a machine that is busy or throttles troubles both alike. Modes of PyTorch that
take minutes to compile come last, and only while there is time: what was left out is in the file, by name.
"""
import argparse, datetime, json, os, pathlib, statistics, subprocess, sys, tempfile, time

STARTED = int(os.environ.get("CRESCENDO_STARTED", time.time()))
TIME_LIMIT = 8 * 60
TESTS = ["crescendo/device/device_test", "crescendo/data/data_test", "crescendo/nn/nn_test", "crescendo/optim/optim_test",
         "crescendo/distributed/distributed_test", "tests/equivalence/equivalence_test"]
PEER = pathlib.Path(__file__).parent.parent / "benchmarks/peers/pytorch_wrn.py"

CONFIG = """
[data]
name = "synthetic"
train_examples = {train_examples}
test_examples = 128
[model]
name = "wide_resnet"
depth = {depth}
width = {width}
[optimizer]
name = "momentum"
weight_decay = 5e-4
[reference]
global_batch = {batch}
learning_rate = 0.1
momentum = 0.9
shape = "constant"
[schedule]
length = "{examples}sp"
policy = "decay"
[run]
device = "{device}"
precision = "{precision}"
micro_batch = "auto"
gpu_norm_kernels = {kernels}
gpu_graphs = {graphs}
log_every = {log_every}
evaluate_every = "1000ep"
{threads}
"""


def elapsed():
    return time.time() - STARTED


def say(text):
    print(f"[{elapsed():4.0f} s] {text}", flush=True)


class Check:
    def __init__(self, arguments):
        self.a = arguments
        self.small = arguments.device == "cpu"
        self.net = {"depth": 10, "width": 1} if self.small else {"depth": 16, "width": 4}
        self.environment = dict(os.environ, LD_LIBRARY_PATH=arguments.libraries)

    def run_ours(self, command, timeout, **environment):
        return subprocess.run(command, env=dict(self.environment, **environment), capture_output=True, text=True, timeout=timeout)

    def tests(self):
        """Per program: how many tests ran, which failed and how, which were skipped."""
        results = {}
        for name in TESTS:
            with tempfile.NamedTemporaryFile(suffix=".json") as out:
                begin = time.time()
                try:
                    done = self.run_ours([f"{self.a.build}/{name}", f"--gtest_output=json:{out.name}"], 180,
                                         CRESCENDO_TEST_DEVICE=self.a.device)
                    text = pathlib.Path(out.name).read_text()
                    cases = [t for s in json.loads(text)["testsuites"] for t in s["testsuite"]] if text else []
                    ended = done.returncode
                    said = (done.stdout + done.stderr)[-2000:]
                except subprocess.TimeoutExpired:
                    cases, ended, said = [], "more than 180 s", ""
            failed = {f"{t['classname']}.{t['name']}": t["failures"][0]["failure"][:500] for t in cases if "failures" in t}
            result = {"tests": len(cases), "failed": failed,
                      "skipped": [f"{t['classname']}.{t['name']}" for t in cases if t.get("result") == "SKIPPED"],
                      "seconds": round(time.time() - begin, 1)}
            # Without its list of tests a program did not come to its end.
            if not cases or (ended != 0 and not failed):
                result["ended"] = ended
                result["said"] = said
            results[name] = result
            say(f"{name}: {len(cases)} tests, {len(failed)} failed, {len(result['skipped'])} skipped" +
                (f"; ended with {ended}" if "ended" in result else ""))
            for test, why in failed.items():
                print(f"    {test}: {why.splitlines()[0] if why else ''}")
        return results

    def train(self, batch, precision, updates, kernels=False, graphs=False):
        """images/s of `crescendo train`, of the second half of its updates."""
        with tempfile.TemporaryDirectory() as folder:
            config = pathlib.Path(folder) / "config.toml"
            config.write_text(CONFIG.format(batch=batch, precision=precision, device=self.a.device, examples=batch * updates,
                                            kernels="true" if kernels else "false", graphs="true" if graphs else "false",
                                            log_every=max(1, updates // 8),  # with graphs nothing waits between two records
                                            threads="threads = 1" if self.small else "",
                                            train_examples=max(10 * batch, 1000 if self.small else 50000), **self.net))
            begin = time.time()
            try:
                done = self.run_ours([f"{self.a.build}/bin/crescendo", "train", str(config), "--out", f"{folder}/run"], 120)
            except subprocess.TimeoutExpired:
                return {"failed": "more than 120 s"}
            seconds = time.time() - begin
            if done.returncode != 0:
                return {"failed": (done.stderr or done.stdout)[-1000:]}
            records = [json.loads(line) for line in pathlib.Path(f"{folder}/run/run.jsonl").read_text().splitlines()]
        header = records[0]
        steps = [r for r in records if r["type"] == "update"]
        half = steps[len(steps) // 2:]
        rate = (half[-1]["examples"] - half[0]["examples"]) / (half[-1]["train_seconds"] - half[0]["train_seconds"])
        waited = half[-1]["loader_wait_seconds"] - half[0]["loader_wait_seconds"]
        return {"images_per_second": round(rate, 1), "device": header["device"], "micro_batch": header["micro_batch"],
                "loader_wait_seconds": round(waited, 4), "whole_program_seconds": round(seconds, 1), "loss": steps[-1]["loss"]}

    def peer(self, mode, batch, precision):
        """images/s of pytorch_wrn.py, whose data are on the device already."""
        command = [sys.executable, str(PEER), "--depth", str(self.net["depth"]), "--width", str(self.net["width"]), "--batch",
                   str(batch), "--dtype", precision, "--device", self.a.device, "--mode", mode, "--steps", "5" if self.small else "20",
                   "--group", "1" if self.small else "5", "--threads", "1" if self.small else "0"]
        exact = dict(os.environ, NVIDIA_TF32_OVERRIDE="0")  # fp32 is fp32, as in crescendo
        try:
            done = subprocess.run(command, env=exact, capture_output=True, text=True, timeout=max(30, TIME_LIMIT - elapsed()))
        except subprocess.TimeoutExpired:
            return {"left_out": "no time left"}
        if done.returncode != 0:
            return {"failed": done.stderr[-1000:]}
        return {"images_per_second": json.loads(done.stdout.splitlines()[-1])["img_per_s"]}

    def updates(self, batch):
        return 10 if self.small else max(40, 51200 // batch)

    def throughput(self):
        batches = [32, 128] if self.small else [128, 5120]
        rows = [{"batch": batch, "precision": precision, "crescendo": [], "gpu_norm_kernels": None, "gpu_graphs": None, "pytorch": {}}
                for precision in ("bf16", "fp32") for batch in batches]
        for row in rows:
            updates = self.updates(row["batch"])
            for mode in ("eager", None):  # ours, theirs, ours
                row["crescendo"].append(self.train(row["batch"], row["precision"], updates))
                if mode:
                    row["pytorch"][mode] = self.peer(mode, row["batch"], row["precision"])
            row["gpu_norm_kernels"] = self.train(row["batch"], row["precision"], updates, kernels=True)
            row["gpu_graphs"] = self.train(row["batch"], row["precision"], updates, kernels=True, graphs=True)
            say(describe(row))
        for mode, needs in (("compile", 60), ("max-autotune", 120)):
            for row in rows[:len(batches)]:  # bf16: what the goals are about
                left = TIME_LIMIT - elapsed()
                row["pytorch"][mode] = self.peer(mode, row["batch"], row["precision"]) if left > needs else {
                    "left_out": f"{left:.0f} s left"}
                if "images_per_second" in row["pytorch"][mode]:
                    row["crescendo"].append(self.train(row["batch"], row["precision"], self.updates(row["batch"])))
                say(describe(row))
        return rows


def describe(row):
    ours = [r["images_per_second"] for r in row["crescendo"] if "images_per_second" in r]
    text = f"batch {row['batch']}, {row['precision']}: crescendo " + (f"{statistics.median(ours):,.0f} images/s" if ours else "FAILED")
    for option, name in (("gpu_norm_kernels", "its norm kernels"), ("gpu_graphs", "these and CUDA graphs")):
        rate = row[option].get("images_per_second")
        text += f", with {name} " + (f"{rate:,.0f}" if rate else "FAILED")
    for mode, result in row["pytorch"].items():
        if "images_per_second" in result:
            text += f", pytorch {mode} {result['images_per_second']:,.0f}"
            if ours:
                text += f" (ratio {statistics.median(ours) / result['images_per_second']:.2f})"
        else:
            text += f", pytorch {mode} " + ("failed" if "failed" in result else "left out: " + result["left_out"])
    return text


def output_of(command, **options):
    try:
        return subprocess.run(command, capture_output=True, text=True, **options).stdout.strip()
    except OSError:
        return ""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--libraries", required=True)
    parser.add_argument("--device", required=True)
    parser.add_argument("--out", required=True)
    arguments = parser.parse_args()
    check = Check(arguments)
    result = {"started": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
              "version": check.run_ours([f"{arguments.build}/bin/crescendo", "--version"], 60).stdout.strip(),
              "gpu": output_of(["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]),
              "device": arguments.device, "tests": check.tests()}
    result["throughput"] = check.throughput()
    result["seconds"] = round(elapsed())
    out = pathlib.Path(arguments.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n")
    bad = [name for name, r in result["tests"].items() if r["failed"] or "ended" in r]
    bad += [f"training, batch {r['batch']} {r['precision']}" for r in result["throughput"] if any("failed" in o for o in [*r["crescendo"], r["gpu_norm_kernels"], r["gpu_graphs"]])]
    say(f"written: {out}" + (f"; FAILED: {', '.join(bad)}" if bad else "; all tests passed"))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
