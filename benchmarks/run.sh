#!/usr/bin/env bash
# Measures a build that has the target `benchmarks`, prints one table and writes results/bench-MACHINE.json.
#   benchmarks/run.sh BUILD [GROUP...]    as in: benchmarks/run.sh build/release step
# Groups: small (plan, loader, updates of small nets), start, memory, runs (workers, checkpoints, reproducible mode), step (beside
# PyTorch). Without any: all.
# PyTorch is fetched the first time (peers/fetch_pytorch.sh), or is that of CRESCENDO_PYTHON=PROGRAM.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/stage.sh
build=${1:?usage: benchmarks/run.sh BUILD [GROUP...]}
shift

stage "benchmarks: building"
cmake --build "$build" --target benchmarks > "$build/benchmarks.log" || { cat "$build/benchmarks.log" >&2; fail "the benchmarks do not build"; }
python=''
if [[ $# -eq 0 || " $* " == *' step '* ]]; then
  python=$(benchmarks/peers/fetch_pytorch.sh) || stage "no PyTorch to measure beside" >&2
fi
stage "benchmarks: measuring"
exec python3 benchmarks/measure.py --build "$build" --pytorch "$python" "$@"
