#!/usr/bin/env bash
# What a change must pass besides the tests: layering, shell scripts, formatting, clang-tidy.
#   scripts/check.sh             everything; clang-tidy takes half a minute a file that includes LibTorch
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

stage "clang-tidy: ${*:-every source} (warnings are errors)"
torch=$(scripts/fetch_libtorch.sh)
cmake --preset release "-DTORCH_ROOT=$torch" > /dev/null
ninja -C build/release crescendo_commit > /dev/null  # a header that the build makes
tidy() {  # tidy GREP_FLAGS ARGUMENT...: over the sources whose names `grep GREP_FLAGS _test or _benchmark` passes
  local sources
  mapfile -t sources < <(git ls-files -- "${folders[@]}" | grep '\.cpp$' | grep -E "$1" '_(test|benchmark)\.cpp$' | sed "s|.*|^$PWD/&$|")
  [[ ${#sources[@]} -gt 0 ]] || return 0
  run-clang-tidy-14 -quiet -p build/release -j "${JOBS:-$(nproc)}" "${@:2}" "${sources[@]}" \
    2> >(sed '/warnings\? generated/d' >&2) | sed '/^clang-tidy-14 /d'
}
folders=("$@")
[[ $# -gt 0 ]] || folders=(crescendo tests benchmarks)
tidy -v
tidy -e '-checks=-clang-analyzer-*'  # it takes four times as long over GoogleTest's macros as all other checks, and Google Benchmark's loop for a dead store
stage "all checks passed"
