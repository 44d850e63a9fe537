#!/usr/bin/env bash
# The studies behind docs/results.md: runs what is missing of each, then writes its tables to results/NAME.md, a line per run to
# results/NAME.csv, and all of it with the curves to results/NAME.json (about 25 KB a variant).
#   scripts/results.sh [STUDY...] [KEY=VALUE...] [--seeds N]
# STUDY: a file, or the name of one in recipes/studies or recipes/paper; without any, all of recipes/studies. KEY=VALUE changes an
# option in every variant, and --seeds the seeds, as for `crescendo compare`: scripts/results.sh 5.1-momentum-small run.precision=bf16
# JOBS=1 runs at a time as many as you say; CRESCENDO=PROGRAM takes another build.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/stage.sh
crescendo=${CRESCENDO:-build/release/bin/crescendo}
given=()
changes=()
while [[ $# -gt 0 ]]; do
  case $1 in
    --seeds) changes+=(--seeds "${2:?--seeds takes how many}") && shift ;;
    *=*) changes+=("$1") ;;
    *) given+=("$1") ;;
  esac
  shift
done
[[ ${#given[@]} -gt 0 ]] || given=(recipes/studies/*.toml)

studies=()
for study in "${given[@]}"; do
  found=
  for file in "$study" "recipes/studies/$study.toml" "recipes/paper/$study.toml"; do
    [[ -z $found && -f $file ]] && found=$file
  done
  [[ -n $found ]] || fail "$study is no file, and neither recipes/studies nor recipes/paper holds $study.toml"
  studies+=("$found")
done

for study in "${studies[@]}"; do
  name=$(basename "$study" .toml)
  code=0
  "$crescendo" compare "$study" "${changes[@]}" ${JOBS:+--jobs "$JOBS"} || code=$?
  [[ $code -le 1 ]] || exit "$code"  # a mistake, or Ctrl-C
  [[ $code -eq 0 ]] || echo "$name: not all runs have ended well; its results are of those that have" >&2
  for format in md csv json; do "$crescendo" report "$study" "${changes[@]}" --out "results/$name.$format"; done
done
