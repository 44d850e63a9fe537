#!/usr/bin/env python3
"""Runs the benchmarks, prints one table and writes results/bench-MACHINE.json. Called by run.sh, which says how.

What is compared is measured in turns, so that a busy or throttled machine troubles both sides alike; a ratio is the median
of the turns' ratios, and above 1 crescendo is the better. docs/performance.md explains each row.
"""
import argparse, datetime, json, os, platform, re, signal, socket, statistics, subprocess, sys, tempfile, time

ROUNDS = 11
GROUPS = ["small", "start", "memory", "runs", "step"]


class Report:
    """The rows: a figure of ours, what it is measured beside, their ratio, and what is to be reached."""

    def __init__(self):
        self.rows = []

    def add(self, figure, value, unit, beside="", beside_value=None, ratio=None, goal="", reached=None, **details):
        self.rows.append({"figure": figure, "value": value, "unit": unit, "beside": beside, "beside_value": beside_value,
                          "ratio": ratio, "goal": goal, "reached": reached, **details})
        say(f"{figure}: {number(value)} {unit}")

    def skip(self, figure, why):
        self.rows.append({"figure": figure, "skipped": why})

    def table(self):
        cells = [["", "crescendo", "beside", "", "ratio", "goal", ""]]
        for r in self.rows:
            if "skipped" in r:
                cells.append([r["figure"], "skipped: " + r["skipped"], "", "", "", "", ""])
                continue
            cells.append([r["figure"], f"{number(r['value'])} {r['unit']}",
                          "" if r["beside_value"] is None else f"{number(r['beside_value'])} {r['unit']}", r["beside"],
                          "" if r["ratio"] is None else f"{r['ratio']:.2f}", r["goal"],
                          {None: "", True: "reached", False: "MISSED"}[r["reached"]]])
        shown = [c for c in cells if not c[1].startswith("skipped")]
        widths = [max(len(c[i]) for c in shown) for i in range(len(cells[0]))]
        widths[0] = max(len(c[0]) for c in cells)
        right = (1, 2, 4)
        return "\n".join("  ".join(c.rjust(w) if i in right and not c.startswith("skipped") else c.ljust(w)
                                   for i, (c, w) in enumerate(zip(row, widths))).rstrip() for row in cells)


def number(x):
    return f"{x:,.0f}" if abs(x) >= 1000 else f"{x:.3g}"


def say(text):
    print(f"  {text}", file=sys.stderr, flush=True)


def small(report, build):
    """Google Benchmark's programs; what is compared there is interleaved by --benchmark_enable_random_interleaving."""
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        subprocess.run([f"{build}/benchmarks/small_benchmarks", "--benchmark_enable_random_interleaving=true",
                        "--benchmark_repetitions=9", "--benchmark_min_time=0.2", f"--benchmark_out={out.name}"],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        runs = [b for b in json.load(out)["benchmarks"] if b["run_type"] == "iteration"]
    failed = [b["name"] + ": " + b["error_message"] for b in runs if b.get("error_occurred")]
    if failed:
        raise SystemExit("small_benchmarks: " + "; ".join(failed))
    samples = {}
    for b in runs:
        samples.setdefault(b["run_name"].replace("/process_time", "").replace("/real_time", ""), []).append(b)

    def seconds(name):
        scale = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3}
        return statistics.median(b["real_time"] * scale[b["time_unit"]] for b in samples[name])

    def micros_per_item(name):
        return statistics.median(1e6 / b["items_per_second"] for b in samples[name])

    made = seconds("MakePlan") * 1e3
    report.add("plan of 1e12 examples, 1,000 phases", made, "ms", goal="< 10", reached=made < 10)
    report.add("  setting at any update", seconds("PlanAt") * 1e9, "ns")
    report.add("  next update's setting", seconds("PlanAdvance") * 1e9, "ns")
    for threads in (1, 2):
        name = f"Loader/threads:{threads}"
        report.add(f"loader alone, CIFAR shape, {threads} thread{'s' * (threads > 1)}",
                   statistics.median(b["items_per_second"] for b in samples[name]), "images/s")

    for bits, name in ((32, "fp32"), (16, "bf16")):
        ours, torchs = (seconds(f"NormAndRelu/bits:{bits}/fused:{fused}") * 1e3 for fused in (1, 0))
        report.add(f"batch norm with ReLU, {name}", ours, "ms", "LibTorch's two", torchs, torchs / ours)

    overhead = micros_per_item("Train/batch:16/hidden:0") - micros_per_item("KernelsAlone/batch:16/hidden:0")
    report.add("overhead of an update around its kernels", overhead, "us", goal="< 50", reached=overhead < 50)
    for batch in (16, 32):
        size = f"batch:{batch}/hidden:128"
        ours, by_hand = micros_per_item(f"Train/{size}"), micros_per_item(f"HandWritten/{size}")
        report.add(f"update of the letter net, B={batch}", ours, "us", "loop over GEMMs", by_hand, by_hand / ours,
                   ">= 0.5", by_hand / ours >= 0.5, kernels_alone=micros_per_item(f"KernelsAlone/{size}"))


def timed(command):
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begin


def first_update(command, log):
    """Seconds from the start of a program to its first line about an update in `log`, after which it is asked to end."""
    def updates():
        return sum('"type":"update"' in line for line in open(log)) if os.path.exists(log) else 0
    before = updates()
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while updates() <= before:
        if process.poll() is not None:
            raise SystemExit(f"{' '.join(command)} ended without an update")
        time.sleep(0.002)
    seconds = time.perf_counter() - begin
    process.send_signal(signal.SIGTERM)
    process.wait()
    return seconds


def resume(report, build):
    """WRN-16-4 at the batch of one ghost: what is started again has 22 MB of weights and momentum to read."""
    trained, resumed = [], []
    for _ in range(5):
        with tempfile.TemporaryDirectory() as folder:
            run = f"{folder}/run"
            trained.append(first_update([f"{build}/bin/crescendo", "train", "benchmarks/wide_resnet.toml", "reference.global_batch=16",
                                         "run.micro_batch=16", "--out", run], f"{run}/run.jsonl"))
            resumed.append(first_update([f"{build}/bin/crescendo", "resume", run], f"{run}/run.jsonl"))
    ours, fresh = statistics.median(resumed), statistics.median(trained)
    report.add("crescendo resume, WRN-16-4, to its first update", ours, "s", "crescendo train", fresh, fresh / ours)


def start(report, build):
    crescendo = f"{build}/bin/crescendo"
    version = statistics.median(timed([crescendo, "--version"]) for _ in range(9))
    report.add("crescendo --version", version, "s", goal="< 1.5", reached=version < 1.5)
    with tempfile.TemporaryDirectory() as folder:
        train = statistics.median(
            timed([crescendo, "train", "recipes/letter/decay.toml", "schedule.length=32sp", "reference.shape=constant",
                   "run.micro_batch=32", "run.device=cpu", "--out", f"{folder}/run", "--force"]) for _ in range(5))
    report.add("crescendo train of one update, with its evaluation", train, "s")
    resume(report, build)


def peak_memory(command):
    """In MiB, of the program itself."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: {errors}")
    return usage.ru_maxrss / 1024


def memory(report, build):
    """WRN-10-2, so that the 125 micro-batches of the large batch take seconds; its activations are most of the peak."""
    def of(batch):
        with tempfile.TemporaryDirectory() as folder:
            return peak_memory([f"{build}/bin/crescendo", "train", "benchmarks/wide_resnet.toml", "model.depth=10", "model.width=2",
                                "data.train_examples=16000", f"reference.global_batch={batch}", "schedule.max_batch=none",
                                "schedule.length=16000sp",
                                "run.evaluate_every=1000ep", "--out", f"{folder}/run"])
    large, few = of(16000), of(128)
    report.add("peak memory at B=16,000, micro-batch 128", large, "MiB", "B=128", few, few / large, ">= 0.98", few / large >= 0.98)


def train(build, folder, *options):
    """`crescendo train` with these arguments; the records of its log."""
    run = tempfile.mkdtemp(dir=folder)
    done = subprocess.run([f"{build}/bin/crescendo", "train", *options, "--out", run, "--force"], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"crescendo train {' '.join(options)}: {done.stderr}")
    with open(f"{run}/run.jsonl") as log:
        return [json.loads(line) for line in log]


def speed(records):
    """Examples per second of training, without the first update, which warms up."""
    updates = [r for r in records if r["type"] == "update"]
    return (updates[-1]["examples"] - updates[0]["examples"]) / (updates[-1]["train_seconds"] - updates[0]["train_seconds"])


def in_turns(turns, ours, theirs):
    """The medians of two figures and of their ratios."""
    pairs = []
    for turn in range(turns):
        first, second = (ours, theirs) if turn % 2 == 0 else (theirs, ours)
        pair = first(), second()
        pairs.append(pair if turn % 2 == 0 else pair[::-1])
    return (statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs), statistics.median(a / b for a, b in pairs))


def two_workers(report, build, folder):
    """WRN-10-2, four ghosts of 32 an update: two for each worker."""
    network = ["benchmarks/wide_resnet.toml", "model.depth=10", "model.width=2", "model.ghost_batch=32", "run.micro_batch=64",
               "data.train_examples=2048", "schedule.length=2048sp"]
    waits = []

    def workers():
        records = train(build, folder, *network, "--ranks", "2", "run.threads=1")
        last = [r for r in records if r["type"] == "update"][-1]
        waits.extend(worker["group_wait_seconds"] / last["train_seconds"] for worker in last["workers"])
        return speed(records)

    two, one, ratio = in_turns(5, workers, lambda: speed(train(build, folder, *network, "run.threads=2")))
    report.add("2 workers of one thread, WRN-10-2", two, "images/s", "1 of two", one, ratio, ">= 0.95", ratio >= 0.95)
    report.add("  a worker waits for the other", 100 * statistics.median(waits), "%")


def hidden_sums(report, build):
    """The sums by themselves: backward alone, followed by them, and with them meanwhile (hidden_sum.cpp)."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    workers = [subprocess.Popen([f"{build}/benchmarks/hidden_sum", "32", "30"], stdout=subprocess.PIPE, text=True,
                                env=dict(os.environ, RANK=rank, LOCAL_RANK=rank, **place)) for rank in ("0", "1")]
    outputs = [worker.communicate()[0] for worker in workers]
    alone, after, meanwhile, hidden = map(float, re.findall(r"([-\d.]+) (?:ms|%)", outputs[0]))
    report.add("  of the sums hidden behind backward, WRN-16-4", hidden, "%", alone_ms=alone, after_ms=after, meanwhile_ms=meanwhile)


def checkpoints(report, build, folder):
    """WRN-16-4 with momentum: 22 MB each, ten in a run."""
    records = train(build, folder, "benchmarks/wide_resnet.toml", "schedule.length=5120sp", "checkpoint.every=512sp", "checkpoint.minutes=0")
    end = records[-1]
    share = end["checkpoint_stall_seconds"] / end["checkpoint_write_seconds"]
    report.add(f"training waits for {end['checkpoints']} checkpoints, of their writing", 100 * share, "%", goal="< 5", reached=share < 0.05)


def reproducible(report, build, folder):
    """Each ghost alone and sums in a fixed tree, beside normal mode, on one thread. A ratio of 0.5 is twice the time."""
    rows = {"WRN-16-4, ghosts of 128": (3, ["benchmarks/wide_resnet.toml", "reference.global_batch=512", "run.micro_batch=512",
                                            "schedule.length=2048sp"]),
            "WRN-10-1, ghosts of 32": (3, ["benchmarks/wide_resnet.toml", "model.depth=10", "model.width=1", "model.ghost_batch=32",
                                           "reference.global_batch=512", "run.micro_batch=512", "schedule.length=5120sp"]),
            "letter net, ghosts of 32": (3, ["recipes/letter/decay.toml", "model.ghost_batch=32", "reference.global_batch=512",
                                             "run.micro_batch=512", "schedule.length=5ep", "reference.boundaries=[\"4ep\"]"])}
    for name, (turns, options) in rows.items():
        ours, normal, ratio = in_turns(turns, lambda: speed(train(build, folder, *options, "run.threads=1", "run.reproducible=true")),
                                       lambda: speed(train(build, folder, *options, "run.threads=1")))
        report.add(f"reproducible, {name}", ours, "examples/s", "normal", normal, ratio, ">= 0.5", ratio >= 0.5)


def runs(report, build):
    with tempfile.TemporaryDirectory() as folder:
        two_workers(report, build, folder)
        hidden_sums(report, build)
        checkpoints(report, build, folder)
        reproducible(report, build, folder)


class Program:
    """A program that goes on when it is told to: train_on_request, or pytorch_wrn.py --on-request."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.ready = self.process.stdout.readline().split()
        if self.ready[:1] != ["ready"]:
            errors = self.process.stderr.read().strip()
            raise RuntimeError(f"{command[0]}: {errors.splitlines()[-1] if errors else 'ended'}")

    def seconds(self, steps):
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def step(report, build, pytorch):
    batch = 128
    for precision in ("fp32", "bf16"):
        figure = f"WRN-16-4, {precision}, B={batch}"
        # Where arithmetic is the limit there is little to gain; with AMX the passes over memory are a third of a step.
        goal = 1.4 if precision == "bf16" and "amx_bf16" in cpuinfo() else 1.15
        programs = {"crescendo": Program([f"{build}/benchmarks/train_on_request", "benchmarks/wide_resnet.toml",
                                          f"run.precision={precision}"])}
        threads = programs["crescendo"].ready[1]
        missing = {}
        for mode in ("eager", "compile"):
            say(f"PyTorch {mode}, {precision}: warming up")
            try:
                if not pytorch:
                    raise RuntimeError("benchmarks/peers/fetch_pytorch.sh gets it, or CRESCENDO_PYTHON=PROGRAM names a Python with it")
                programs[mode] = Program([pytorch, "benchmarks/peers/pytorch_wrn.py", "--on-request", "--mode", mode, "--dtype",
                                          precision, "--batch", str(batch), "--threads", threads])
            except RuntimeError as error:
                missing[mode] = str(error)
        seconds = {name: [] for name in programs}
        for turn in range(ROUNDS):
            names = list(programs)
            for name in names[turn % len(names):] + names[:turn % len(names)]:
                seconds[name].append(programs[name].seconds(1))
        for program in programs.values():
            program.close()

        ours = batch / statistics.median(seconds["crescendo"])
        for mode in ("eager", "compile"):
            if mode in missing:
                report.skip(f"{figure}, beside PyTorch {mode}", missing[mode])
                continue
            ratios = sorted(peer / own for peer, own in zip(seconds[mode], seconds["crescendo"]))
            ratio = statistics.median(ratios)
            report.add(figure, ours, "images/s", f"PyTorch {mode}", batch / statistics.median(seconds[mode]), ratio,
                       f">= {goal}", ratio >= goal, threads=int(threads),
                       quartiles=[round(ratios[len(ratios) // 4], 3), round(ratios[-1 - len(ratios) // 4], 3)])
        if len(programs) == 1:
            report.add(figure, ours, "images/s", threads=int(threads))


def cpuinfo():
    with open("/proc/cpuinfo") as file:
        return file.read()


def machine():
    model = re.search(r"model name\s*: (.*)", cpuinfo())
    name = re.sub(r"\((R|TM)\)|CPU|Processor|@.*", "", model.group(1) if model else platform.machine())
    return " ".join(name.split()), len(os.sched_getaffinity(0))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--pytorch", default="", help="a Python that has it")
    parser.add_argument("groups", nargs="*", choices=[[], *GROUPS], help="all without any")
    arguments = parser.parse_args()
    groups = arguments.groups or GROUPS

    load_before = os.getloadavg()[0]
    report = Report()
    if "small" in groups:
        small(report, arguments.build)
    if "start" in groups:
        start(report, arguments.build)
    if "memory" in groups:
        memory(report, arguments.build)
    if "runs" in groups:
        runs(report, arguments.build)
    if "step" in groups:
        step(report, arguments.build, arguments.pytorch)

    model, cores = machine()
    print()
    print(report.table())
    if load_before > 0.5:
        print(f"The machine was busy before this began (load {load_before:.1f} on {cores} cores): only ratios mean something.")
    if groups != GROUPS:
        return
    version = subprocess.run([f"{arguments.build}/bin/crescendo", "--version"], check=True, capture_output=True, text=True).stdout.strip()
    result = {"machine": model, "cores": cores, "load_before": round(load_before, 2), "version": version,
              "date": datetime.date.today().isoformat(), "rows": report.rows}
    os.makedirs("results", exist_ok=True)
    path = f"results/bench-{re.sub('[^a-z0-9]+', '-', model.lower()).strip('-')}-{cores}-cores.json"
    with open(path, "w") as file:
        rows = ",\n  ".join(json.dumps({k: round(v, 4) if isinstance(v, float) else v for k, v in r.items()}) for r in report.rows)
        head = json.dumps({k: v for k, v in result.items() if k != "rows"}, indent=1)[:-2]
        file.write(f'{head},\n "rows": [\n  {rows}\n ]\n}}\n')
    print(path)


main()
