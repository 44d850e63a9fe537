#!/usr/bin/env python3
"""Makes the tables of docs/results.md from runs. Standard library only.

    scripts/results_table.py collect TABLE...   runs/results/TABLE/SCHEDULE-SEED/run.jsonl -> results/TABLE.jsonl, a line per finished run
    scripts/results_table.py write              results/*.jsonl -> docs/results.md, between <!-- table TABLE --> and <!-- end -->

scripts/results.sh makes the runs.
"""

import hashlib
import json
import math
import pathlib
import re
import statistics
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SCHEDULES = ["decay", "hybrid", "grow", "constant"]
# Student's t, two-sided 95 %, by degrees of freedom.
T95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


def digest(config_toml):
    """Of the resolved config but for the seed and where files are: equal in all runs of a schedule."""
    lines = [line for line in config_toml.splitlines() if not re.match(r"(seed|folder|train_file|test_file) = ", line)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def read_run(folder):
    """What is kept of a run; None where it did not finish."""
    records = [json.loads(line) for line in (folder / "run.jsonl").read_text().splitlines()]
    header, footer = records[0], records[-1]
    if footer.get("type") != "footer" or footer["end"] != "finished":
        return None
    schedule, seed = folder.name.rsplit("-", 1)
    of_header = ["commit", "started", "machine", "threads", "micro_batch", "parameters", "train_examples", "test_examples"]
    final = footer["final_evaluation"]
    return {
        "schedule": schedule,
        "seed": int(seed),
        "updates": footer["updates"],
        "examples": footer["examples"],
        "test_accuracy": final["test_accuracy"],
        "test_loss": final["test_loss"],
        "train_seconds": round(footer["train_seconds"], 2),
        "config_digest": digest(header["config_toml"]),
        **{key: header[key] for key in of_header},
        "accuracy_by_epoch": [
            [round(r["epoch"], 4), round(r["test_accuracy"], 5)] for r in records if r["type"] == "evaluation"
        ],
    }


def collect(table):
    runs = []
    for folder in (ROOT / "runs/results" / table).iterdir():
        if (folder / "run.jsonl").exists() and (run := read_run(folder)):
            runs.append(run)
    runs.sort(key=lambda run: (SCHEDULES.index(run["schedule"]), run["seed"]))
    path = ROOT / "results" / f"{table}.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(run) + "\n" for run in runs))
    print(f"{path.relative_to(ROOT)}: {len(runs)} runs")


def mean_and_deviation(values, digits=2):
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return f"{statistics.mean(values):.{digits}f} ± {statistics.stdev(values):.{digits}f}"


def difference(runs, reference, key, factor, digits):
    """Of a number, times `factor`, between runs of the same seed: the mean, and half its 95 % interval."""
    pairs = [factor * (runs[seed][key] - reference[seed][key]) for seed in runs if seed in reference]
    if runs is reference or len(pairs) < 2:
        return ""
    half = T95[len(pairs) - 1] * statistics.stdev(pairs) / math.sqrt(len(pairs))
    return f"{statistics.mean(pairs):+.{digits}f} ± {half:.{digits}f}"


def one(values):
    """The value that all have, else all of them."""
    return ", ".join(str(value) for value in sorted(set(values)))


def markdown(table):
    runs = [json.loads(line) for line in (ROOT / "results" / f"{table}.jsonl").read_text().splitlines()]
    by_schedule = {name: {run["seed"]: run for run in runs if run["schedule"] == name} for name in SCHEDULES}
    lines = [
        "| schedule | updates | test accuracy, % | from decay, points | test loss | from decay | seconds | seeds |",
        "|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    for name, of_schedule in by_schedule.items():
        if not of_schedule:
            continue
        of = list(of_schedule.values())
        if len({run["config_digest"] for run in of}) > 1:
            raise SystemExit(f"{table}: runs of {name} have different configs; run them again")
        decay = by_schedule["decay"]
        lines.append(
            f"| {name} | {one(format(run['updates'], ',') for run in of)} "
            f"| {mean_and_deviation([100 * run['test_accuracy'] for run in of])} "
            f"| {difference(of_schedule, decay, 'test_accuracy', 100, 2)} "
            f"| {mean_and_deviation([run['test_loss'] for run in of], 4)} "
            f"| {difference(of_schedule, decay, 'test_loss', 1, 4)} "
            f"| {statistics.median(run['train_seconds'] for run in of):.0f} | {one(of_schedule)} |"
        )
    threads = one(run["threads"] for run in runs)
    lines += [
        "",
        f"Commit {one(run['commit'] for run in runs)}; {one(run['machine'] for run in runs)}, "
        f"{threads} thread{'' if threads == '1' else 's'} per run; {one(run['started'][:10] for run in runs)}. "
        f"{runs[0]['parameters']:,} parameters, {runs[0]['train_examples']:,} examples to train on, "
        f"{runs[0]['test_examples']:,} to test on, {runs[0]['examples']:,} seen.",
    ]
    return "\n".join(lines)


def write():
    path = ROOT / "docs/results.md"
    text = re.sub(
        r"(<!-- table (\w+) -->\n).*?(<!-- end -->)",
        lambda match: f"{match[1]}{markdown(match[2])}\n{match[3]}",
        path.read_text(),
        flags=re.DOTALL,
    )
    path.write_text(text)


def main(arguments):
    if arguments[:1] == ["collect"] and arguments[1:]:
        for table in arguments[1:]:
            collect(table)
    elif arguments == ["write"]:
        write()
    else:
        raise SystemExit(__doc__.strip())


if __name__ == "__main__":
    main(sys.argv[1:])
