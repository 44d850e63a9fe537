#!/usr/bin/env bash
# The runs behind the tables of docs/results.md: each schedule of a recipe folder, several seeds, one run after the other.
#   scripts/results.sh TABLE...     TABLE: a folder of recipes/ that holds decay.toml, hybrid.toml, grow.toml
# Each run is runs/results/TABLE/SCHEDULE-SEED; one that is finished is not repeated. SEEDS="1 2 3" and SCHEDULES="decay hybrid grow
# constant" choose (constant: the reference without its drops, to see what they are worth), OPTIONS="run.threads=1" goes to each run.
# scripts/results_table.py then makes the table.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[[ $# -gt 0 ]] || { sed -n '2,6s/^# //p' "$0" >&2; exit 2; }
crescendo=${CRESCENDO:-build/release/bin/crescendo}
read -ra seeds <<< "${SEEDS:-1 2 3}"
read -ra schedules <<< "${SCHEDULES:-decay hybrid grow}"
read -ra options <<< "${OPTIONS:-run.threads=1}"

for table in "$@"; do
  for seed in "${seeds[@]}"; do  # the outer loop: where it is cut off, the schedules have equally many seeds
    for schedule in "${schedules[@]}"; do
      out=runs/results/$table/$schedule-$seed
      if tail -n 1 "$out/run.jsonl" 2> /dev/null | grep -q '"end":"finished"'; then continue; fi
      echo "$out"
      mkdir -p "${out%/*}"
      config=(recipes/"$table/$schedule".toml)
      [[ $schedule != constant ]] || config=(recipes/"$table"/decay.toml reference.shape=constant)
      nice "$crescendo" train "${config[@]}" "run.seed=$seed" run.log_every=50 "${options[@]}" --out "$out" --force > "$out.log" 2>&1 ||
        { tail -n 3 "$out.log" >&2; exit 1; }
    done
  done
done
