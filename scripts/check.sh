#!/usr/bin/env bash
# What a change must pass besides the tests: layering, shell scripts, formatting, clang-tidy.
#   scripts/check.sh             everything; clang-tidy takes half a minute a file that includes LibTorch, and then only what
#                                changed since (it runs beside the compiler of the preset `tidy`, a debug build)
#   scripts/check.sh FOLDER...   clang-tidy only over these, as in: scripts/check.sh crescendo/schedule
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/stage.sh
scripts/install_packages.sh --dev

stage "layering"
tests/layering/layering.sh .

stage "shellcheck"
git ls-files -z -- '*.sh' .ci/run | xargs -0 shellcheck -x

stage "clang-format"
mapfile -t sources < <(git ls-files -- '*.h' '*.cpp' '*.cu' '*.cuh')
unformatted=$(clang-format-14 --dry-run -Werror "${sources[@]}" 2>&1 | sed -n 's/:[0-9]*:[0-9]*: error: .*//p' | sort -u) || fail "to be formatted: clang-format-14 -i ${unformatted//$'\n'/ }"

stage "clang-tidy: ${*:-everything} (warnings are errors)"
targets=("${@/%//all}")
[[ $# -gt 0 ]] || targets=(all benchmarks)
scripts/build.sh tidy "${targets[@]}"
stage "all checks passed"
