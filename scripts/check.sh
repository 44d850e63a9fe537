#!/usr/bin/env bash
# What a change must pass besides the tests: layering, shell scripts, formatting, clang-tidy.
#   scripts/check.sh             everything; clang-tidy takes about N seconds a file that includes LibTorch
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
git ls-files -z -- '*.h' '*.cpp' '*.cu' '*.cuh' | xargs -0 clang-format-14 --dry-run -Werror

stage "clang-tidy: ${*:-every source} (warnings are errors)"
torch=$(scripts/fetch_libtorch.sh)
cmake --preset release "-DTORCH_ROOT=$torch" > /dev/null
ninja -C build/release crescendo_commit > /dev/null  # a header that the build makes
mapfile -t sources < <(git ls-files -- "${@:-crescendo}" | grep '\.cpp$')
run-clang-tidy-14 -quiet -p build/release -j "${JOBS:-$(nproc)}" "${sources[@]/#/^$PWD/}" \
  2> >(sed '/warnings\? generated/d' >&2) | sed '/^clang-tidy-14 /d'
stage "all checks passed"
