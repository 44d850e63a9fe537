#!/usr/bin/env bash
# Makes a Python environment with the PyTorch that the benchmarks are measured beside, and prints its interpreter.
#   benchmarks/peers/fetch_pytorch.sh    2.5 GB to download, 4.8 GB on disk, into .deps/pytorch-2.11.0
# Does nothing where that was done before. CRESCENDO_PYTHON=PROGRAM in the environment: that one is used, and nothing is
# fetched; it must be able to `import torch`. A PyTorch for the CPU alone (0.2 GB) serves as well:
#   pip install torch==2.11.0 --index-url https://download.pytorch.org/whl/cpu
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source-path=SCRIPTDIR/../..
source scripts/stage.sh

if [[ -n ${CRESCENDO_PYTHON:-} ]]; then
  "$CRESCENDO_PYTHON" -c 'import torch' 2> /dev/null || fail "CRESCENDO_PYTHON=$CRESCENDO_PYTHON cannot import torch"
  echo "$CRESCENDO_PYTHON"
  exit
fi

# PyPI's build is linked to the libraries of CUDA, so they must be there even where only the CPU is used.
folder=.deps/pytorch-2.11.0
if [[ ! -e $folder/complete ]]; then
  rm -rf "$folder"
  mkdir -p .deps
  stage "PyTorch 2.11.0: making $folder" >&2
  python3 -m venv "$folder" >&2
  "$folder/bin/pip" install --quiet --disable-pip-version-check --no-input --no-cache-dir --only-binary=:all: torch==2.11.0 >&2
  "$folder/bin/python" -c 'import torch' >&2
  touch "$folder/complete"
fi
echo "$PWD/$folder/bin/python"
