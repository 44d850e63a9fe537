#!/usr/bin/env python3
"""Runs the tests on a GPU and measures training on it beside PyTorch. Called by gpu_check.sh, which says how.

The tests run beside each other as far as there are cores, and beside them PyTorch compiles what will be measured, which it then
finds again. Ours and PyTorch's are measured in turns and alone, so that a machine that throttles troubles both alike. What there was no
time for is in the file, by name.
"""
import argparse, concurrent.futures, datetime, json, os, pathlib, statistics, subprocess, sys, tempfile, time

STARTED = int(os.environ.get("CRESCENDO_STARTED", time.time()))
TEST_LIMIT = 300
COMPILED = ("compile", "reduce-overhead")  # modes of torch.compile: its default, and with CUDA graphs
MICRO_BATCH = 1280  # at most, so that no time goes into choosing one
TESTS = ["crescendo/device/device_test", "crescendo/data/data_test", "crescendo/nn/nn_test", "crescendo/optim/optim_test",
         "crescendo/distributed/distributed_test", "tests/equivalence/equivalence_test"]
PEER = pathlib.Path(__file__).parent.parent / "benchmarks/peers/pytorch_wrn.py"

# What `crescendo train` is measured with.
OURS = {"plain": {}, "norm_kernels": {"kernels": True}, "graphs": {"kernels": True, "graphs": True}}

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
micro_batch = {micro_batch}
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
        self.began = time.time()  # after the build, which STARTED may be before
        self.small = arguments.device == "cpu"
        self.net = {"depth": 10, "width": 1} if self.small else {"depth": 16, "width": 4}
        self.batches = [32, 128] if self.small else [128, 5120]
        others = os.environ.get("LD_LIBRARY_PATH", "")
        self.environment = dict(os.environ, LD_LIBRARY_PATH=arguments.libraries + (":" + others if others else ""))

    def run_ours(self, command, timeout, **environment):
        return subprocess.run(command, env=dict(self.environment, **environment), capture_output=True, text=True, timeout=timeout)

    def tests(self):
        """Per program: how many tests ran, which failed and how, which were skipped."""
        first = {TESTS[0]: self.test(TESTS[0])}  # alone: it measures the memory that is free
        compilers = [] if self.small else self.compile_ahead()
        at_once = max(1, (os.cpu_count() or 1) // 4)
        with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
            results = first | dict(zip(TESTS[1:], pool.map(self.test, TESTS[1:])))
        end = time.time() + min(60, self.left())
        for compiler in compilers:
            try:
                compiler.wait(max(1, end - time.time()))
            except subprocess.TimeoutExpired:
                compiler.kill()
        return results

    def test(self, name):
        with tempfile.NamedTemporaryFile(suffix=".json") as out:
            begin = time.time()
            try:
                done = self.run_ours([f"{self.a.build}/{name}", f"--gtest_output=json:{out.name}"], TEST_LIMIT,
                                     CRESCENDO_TEST_DEVICE=self.a.device)
                text = pathlib.Path(out.name).read_text()
                cases = [t for s in json.loads(text)["testsuites"] for t in s["testsuite"]] if text else []
                ended = done.returncode
                said = (done.stdout + done.stderr)[-2000:]
            except subprocess.TimeoutExpired as expired:
                cases, ended, said = [], f"more than {TEST_LIMIT} s", (expired.stdout or b"").decode(errors="replace")[-2000:]
        failed = {f"{t['classname']}.{t['name']}": t["failures"][0]["failure"][:500] for t in cases if "failures" in t}
        result = {"tests": len(cases), "failed": failed,
                  "skipped": [f"{t['classname']}.{t['name']}" for t in cases if t.get("result") == "SKIPPED"],
                  "seconds": round(time.time() - begin, 1)}
        # Without its list of tests a program did not come to its end.
        if not cases or (ended != 0 and not failed):
            result["ended"] = ended
            result["said"] = said
        say(f"{name}: {len(cases)} tests, {len(failed)} failed, {len(result['skipped'])} skipped, {result['seconds']} s" +
            (f"; ended with {ended}" if "ended" in result else ""))
        for test, why in failed.items():
            print(f"    {test}: {why.splitlines()[0] if why else ''}")
        return result

    def train(self, batch, precision, updates, kernels=False, graphs=False):
        """images/s of `crescendo train`, of the second half of its updates."""
        with tempfile.TemporaryDirectory() as folder:
            config = pathlib.Path(folder) / "config.toml"
            config.write_text(CONFIG.format(batch=batch, micro_batch=min(batch, MICRO_BATCH), precision=precision, device=self.a.device, examples=batch * updates,
                                            kernels="true" if kernels else "false", graphs="true" if graphs else "false",
                                            log_every=max(1, updates // 8),
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

    def peer_command(self, mode, batch, precision):
        return [sys.executable, str(PEER), "--depth", str(self.net["depth"]), "--width", str(self.net["width"]), "--batch",
                str(batch), "--dtype", precision, "--device", self.a.device, "--mode", mode, "--steps", "5" if self.small else "20",
                "--group", "1" if self.small else "5", "--threads", "1" if self.small else "0"]

    def peer(self, mode, batch, precision):
        """images/s of pytorch_wrn.py, whose data are on the device already."""
        exact = dict(os.environ, NVIDIA_TF32_OVERRIDE="0")  # fp32 is fp32, as in crescendo
        try:
            done = subprocess.run(self.peer_command(mode, batch, precision), env=exact, capture_output=True, text=True,
                                  timeout=max(30, self.left()))
        except subprocess.TimeoutExpired:
            return {"left_out": "no time left"}
        if done.returncode != 0:
            return {"failed": done.stderr[-1000:]}
        return {"images_per_second": json.loads(done.stdout.splitlines()[-1])["img_per_s"]}

    def left(self):
        return 60 * self.a.minutes - (time.time() - self.began)

    def compile_ahead(self):
        """PyTorch keeps on disk what it has compiled."""
        return [subprocess.Popen(self.peer_command(mode, batch, "bf16"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                for mode in COMPILED for batch in self.batches]

    def throughput(self, keep):
        rows = [{"batch": batch, "precision": precision, "crescendo": {name: [] for name in OURS}, "pytorch": {mode: [] for mode in modes}}
                for precision, modes in (("bf16", ("eager", *COMPILED)), ("fp32", ("eager",))) for batch in self.batches]
        for row in rows:
            batch, precision = row["batch"], row["precision"]
            updates = 10 if self.small else max(40, 102400 // batch)
            for turn in range(self.a.turns):
                for measured, measure in ((row["crescendo"], lambda name: self.train(batch, precision, updates, **OURS[name])),
                                          (row["pytorch"], lambda mode: self.peer(mode, batch, precision))):
                    for name in measured:
                        measured[name].append(measure(name) if self.left() > 40 else {"left_out": f"{self.left():.0f} s left"})
            say(describe(row))
            keep("throughput", rows)

    def together(self):
        """images/s of three trainings on the device at once, added up: is one enough to keep it busy?"""
        if self.left() < 60:
            return {"left_out": f"{self.left():.0f} s left"}
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            runs = list(pool.map(lambda _: self.train(self.batches[0], "bf16", 10 if self.small else 1600, kernels=True, graphs=True), range(3)))
        failed = [r for r in runs if "failed" in r]
        result = failed[0] if failed else {"images_per_second": round(sum(r["images_per_second"] for r in runs), 1)}
        say(f"three trainings at once, batch {self.batches[0]}, bf16, with graphs: {result}")
        return result


def describe(row):
    def rate(results):
        rates = [r["images_per_second"] for r in results if "images_per_second" in r]
        return statistics.median(rates) if rates else None

    def said(name, results):
        if rate(results):
            return f"{name} {rate(results):,.0f}"
        return f"{name} FAILED" if any("failed" in r for r in results) else f"{name} left out"

    parts = [said(name, results) for name, results in [*row["crescendo"].items(), *(("pytorch " + m, r) for m, r in row["pytorch"].items())]]
    return f"batch {row['batch']}, {row['precision']}, images/s: " + ", ".join(parts)


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
    parser.add_argument("--minutes", type=float, default=8, help="what is not begun by then is left out")
    parser.add_argument("--turns", type=int, default=2, help="of each measurement")
    arguments = parser.parse_args()
    check = Check(arguments)
    result = {"started": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
              "version": check.run_ours([f"{arguments.build}/bin/crescendo", "--version"], 60).stdout.strip(),
              "gpu": output_of(["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]),
              "device": arguments.device}
    out = pathlib.Path(arguments.out)
    out.parent.mkdir(parents=True, exist_ok=True)

    def keep(name, part):  # at once, so that nothing is lost where this is stopped
        result[name] = part
        result["seconds"] = round(elapsed())
        out.write_text(json.dumps(result, indent=1) + "\n")

    keep("tests", check.tests())
    check.throughput(keep)
    keep("three_at_once", check.together())
    bad = [name for name, r in result["tests"].items() if r["failed"] or "ended" in r]
    bad += [f"training, batch {row['batch']} {row['precision']}, {name}" for row in result["throughput"]
            for name, runs in row["crescendo"].items() if any("failed" in run for run in runs)]
    bad += ["three trainings at once"] if "failed" in result["three_at_once"] else []
    say(f"written: {out}" + (f"; FAILED: {', '.join(bad)}" if bad else "; all tests passed"))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
