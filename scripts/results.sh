#!/usr/bin/env bash
# The studies behind docs/results.md: runs what is missing of each, then writes its tables to results/NAME.md and a line per run to
# results/NAME.csv.
#   scripts/results.sh [NAME...]     NAME: recipes/studies/NAME.toml; without any, all of them
# JOBS=1 runs at a time as many as you say; CRESCENDO=PROGRAM takes another build.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
crescendo=${CRESCENDO:-build/release/bin/crescendo}
names=("$@")
[[ $# -gt 0 ]] || for study in recipes/studies/*.toml; do names+=("$(basename "$study" .toml)"); done

for name in "${names[@]}"; do
  study=recipes/studies/$name.toml
  "$crescendo" compare "$study" ${JOBS:+--jobs "$JOBS"}
  for format in md csv; do "$crescendo" report "$study" --format "$format" --out "results/$name.$format"; done
done
