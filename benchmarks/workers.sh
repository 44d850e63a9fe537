#!/usr/bin/env bash
# Measures what several workers cost: 2 workers of one thread against 1 process of two threads, the same network and
# batches, in turns, on the two cores this needs.
#   benchmarks/workers.sh BUILD [ROUNDS]     as in: benchmarks/workers.sh build/release 5
# Prints for each round images/s of both (training time only) and their ratio, then the median; and from the logs of the
# two workers which share of their time they waited for each other, sums included. Then how much of the sums is hidden
# behind the backward pass, by itself (hidden_sum.cpp).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
build=${1:?usage: benchmarks/workers.sh BUILD [ROUNDS]}
program=$build/bin/crescendo
cmake --build "$build" --target crescendo hidden_sum > "$build/benchmarks.log" || { cat "$build/benchmarks.log" >&2; exit 1; }
rounds=${2:-5}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# Four ghosts an update, so that two workers have two each.
cat > "$folder/step.toml" << 'EOF'
[data]
name = "synthetic"
train_examples = 2048
test_examples = 100
[model]
name = "wide_resnet"
depth = 10
width = 2
ghost_batch = 32
[reference]
global_batch = 128
learning_rate = 0.1
shape = "constant"
[schedule]
length = "2048sp"
policy = "decay"
[run]
device = "cpu"
micro_batch = 64
evaluate_every = "100ep"
EOF

train() {  # train NAME OPTION...
  "$program" train "$folder/step.toml" --out "$folder/$1" "${@:2}" > "$folder/$1.txt" 2>&1 || { cat "$folder/$1.txt" >&2; exit 1; }
}

for ((round = 1; round <= rounds; ++round)); do
  train "one$round" run.threads=2
  train "two$round" --ranks 2 run.threads=1
done

python3 - "$folder" "$rounds" << 'EOF'
import json, statistics, sys
folder, rounds = sys.argv[1], int(sys.argv[2])

def updates(run):
    records = [json.loads(line) for line in open(f"{folder}/{run}/run.jsonl")]
    return [record for record in records if record["type"] == "update"]

def speed(run):  # without the first update, which warms up
    all_updates = updates(run)
    first, last = all_updates[0], all_updates[-1]
    return (last["examples"] - first["examples"]) / (last["train_seconds"] - first["train_seconds"])

ratios = []
for i in range(1, rounds + 1):
    one, two = speed(f"one{i}"), speed(f"two{i}")
    ratios.append(two / one)
    last = updates(f"two{i}")[-1]
    waits = [worker["group_wait_seconds"] / last["train_seconds"] for worker in last["workers"]]
    print(f"1 process x 2 threads {one:7.1f} images/s   2 workers x 1 thread {two:7.1f} images/s   ratio {two / one:.3f}"
          f"   waited for the other {waits[0]:.1%} {waits[1]:.1%}")
print(f"median ratio {statistics.median(ratios):.3f} of {rounds}")
EOF

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
hidden_sums=()
for rank in 0 1; do
  RANK=$rank WORLD_SIZE=2 LOCAL_RANK=$rank LOCAL_WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=$port \
    "$build/benchmarks/hidden_sum" 32 "$((8 * rounds))" &
  hidden_sums+=($!)
done
for process in "${hidden_sums[@]}"; do wait "$process"; done
