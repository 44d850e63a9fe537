#!/usr/bin/env bash
# Runs the tests of a build and closes with the tests that were skipped, each with its reason, those that failed, each with
# the end of what it printed, and ctest's summary.
#   scripts/test.sh PRESET [CTEST ARGUMENT...]    as in: scripts/test.sh release -R schedule
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/stage.sh
preset=${1:?usage: scripts/test.sh PRESET [CTEST ARGUMENT...]}
shift

if [[ -z ${CRESCENDO_PYTHON:-} && -e .deps/python/packages.txt ]]; then
  export CRESCENDO_PYTHON=$PWD/.deps/python/bin/python  # of scripts/python_readers.sh
fi
if [[ -z ${CRESCENDO_TORCHRUN:-} && -x .deps/pytorch-2.11.0/bin/torchrun ]]; then
  export CRESCENDO_TORCHRUN=$PWD/.deps/pytorch-2.11.0/bin/torchrun
fi
build=build/$preset
log=$build/ctest.log
stage "test: preset $preset"
status=0
# The summary is held back, to stand last.
ctest --preset "$preset" "$@" 2>&1 | tee "$log" |
  sed -u '/% tests passed/,$d' || status=$?

# GoogleTest counts a skipped test as passed, and ctest knows only whole binaries. The log has both the test and its reason.
skips=$(awk '
  /: Skipped$/ { reason = ""; reading = 1; next }
  reading && /^\[  SKIPPED \] / { printf "  %s: %s\n", $4, reason; reading = 0; next }
  reading && NF { reason = reason (reason ? " " : "") $0 }
' "$build/Testing/Temporary/LastTest.log")
if [[ -n $skips ]]; then
  printf '%s tests skipped:\n%s\n\n' "$(wc -l <<< "$skips")" "$skips"
fi
failures=$(awk '
  /^\[ RUN      \] / { count = 0 }
  { lines[count++ % 15] = substr($0, 1, 400) }
  /^\[  FAILED  \] .* ms\)$/ {
    for (i = count > 15 ? count - 15 : 0; i < count; ++i) print "  " lines[i % 15]
  }
' "$build/Testing/Temporary/LastTest.log")
if [[ -n $failures ]]; then
  printf 'failed:\n%s\n\n' "$failures"
fi
if ! sed -n '/% tests passed/,$p' "$log" | grep .; then
  fail "no tests were run"
fi
exit $status
