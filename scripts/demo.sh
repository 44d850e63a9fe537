#!/usr/bin/env bash
# Shows the paper's point on a small example that ships with this repository: 20,000 letters, a multilayer perceptron with ghost batch
# norm, three schedules that anneal the same noise. Prints the plans, trains all three, compares.
#   scripts/demo.sh CRESCENDO    the program; make demo builds it first
# The runs are left in runs/demo and replaced by the next demo.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/stage.sh
crescendo=${1:?usage: scripts/demo.sh CRESCENDO}
schedules=(decay hybrid grow)

configs=()
runs=()
for schedule in "${schedules[@]}"; do
  configs+=("recipes/letter/$schedule.toml")
  runs+=("runs/demo/$schedule")
done

stage "plan: what each schedule will do"
"$crescendo" plan "${configs[@]}"
mkdir -p runs/demo
"$crescendo" plan "${configs[@]}" --chart runs/demo/plans.svg

for i in "${!schedules[@]}"; do
  stage "train: ${configs[i]}"
  "$crescendo" train "${configs[i]}" --out "${runs[i]}" --force
done

stage "compare"
"$crescendo" report "${runs[@]}"

stage "study: is that the same? Two seeds of each, and a verdict"
"$crescendo" compare recipes/studies/letter.toml --seeds 2
"$crescendo" report recipes/studies/letter.toml --seeds 2 --out runs/demo/letter.html
cat <<END

The figures of the study: runs/demo/letter.html. The plans as a picture: runs/demo/plans.svg. What each run did: runs/demo/*/run.jsonl (and events/ for TensorBoard).
Next: $crescendo --help; your own schedule: copy recipes/letter/grow.toml.
END
