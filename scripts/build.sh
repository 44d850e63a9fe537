#!/usr/bin/env bash
# Builds from nothing: packages, LibTorch, configure, compile. What is done already is not done again.
#   scripts/build.sh PRESET [TARGET...]    PRESET from CMakePresets.json; without targets, all of them
# TORCH_ROOT=FOLDER in the environment: use that LibTorch. JOBS=N: compile N files at once.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/stage.sh
preset=${1:?usage: scripts/build.sh PRESET [TARGET...]}
shift

scripts/install_packages.sh
torch=()
case $preset in
  core) ;;
  cuda) torch=("-DTORCH_ROOT=$(scripts/fetch_libtorch.sh --cuda)") ;;
  *) torch=("-DTORCH_ROOT=$(scripts/fetch_libtorch.sh)") ;;
esac

stage "configure: preset $preset"
mkdir -p build
log=build/configure.$preset.log
cmake --preset "$preset" "${torch[@]}" > "$log" 2>&1 || { cat "$log" >&2; fail "cmake --preset $preset failed"; }

# A file that includes LibTorch takes about 1.5 GB to compile.
memory_jobs=$(awk '/^MemAvailable/ {print int($2 / 1500000)}' /proc/meminfo)
jobs=${JOBS:-$(nproc)}
[[ -n ${JOBS:-} || $memory_jobs -ge $jobs ]] || jobs=$((memory_jobs > 0 ? memory_jobs : 1))
stage "compile: ${*:-everything}, $jobs at a time"
targets=()
[[ $# -eq 0 ]] || targets=(--target "$@")
# On a terminal ninja keeps one line up to date; elsewhere every 25th line shows that it goes on.
export NINJA_STATUS='         %f of %t  '
if [[ -t 1 ]]; then
  cmake --build --preset "$preset" -j "$jobs" "${targets[@]}"
else
  cmake --build --preset "$preset" -j "$jobs" "${targets[@]}" |
    sed -u -E '/^ +([0-9]+) of \1  /b; /^ +[0-9]*(00|25|50|75) of /b; /^ +[0-9]+ of [0-9]+  /d'  # not awk: Ubuntu's reads ahead
fi
stage "compiled"
