#!/usr/bin/env bash
# The studies behind docs/results.md: runs what is missing of each, then writes its tables to results/NAME.md, a line per run to
# results/NAME.csv, and all of it with the curves to results/NAME.json (about 25 KB a variant).
#   scripts/results.sh [NAME...]     NAME: recipes/studies/NAME.toml; without any, all of them
# JOBS=1 runs at a time as many as you say; CRESCENDO=PROGRAM takes another build.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
crescendo=${CRESCENDO:-build/release/bin/crescendo}
names=("$@")
[[ $# -gt 0 ]] || for study in recipes/studies/*.toml; do names+=("$(basename "$study" .toml)"); done

for name in "${names[@]}"; do
  study=recipes/studies/$name.toml
  "$crescendo" compare "$study" ${JOBS:+--jobs "$JOBS"} || echo "$name: not all runs have ended well; its results are of those that have" >&2
  for format in md csv json; do "$crescendo" report "$study" --out "results/$name.$format"; done
done
