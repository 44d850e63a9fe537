#!/usr/bin/env bash
# Makes a Python environment in .deps/python with TensorBoard and safetensors, by which the tests open what we write; scripts/test.sh
# uses it where it is there. Without it those tests are skipped. Does nothing where that was done before.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR
source "$here/stage.sh"
packages=$here/python_readers.txt
environment=$(dirname "$here")/.deps/python
if cmp -s "$packages" "$environment/packages.txt"; then exit; fi

stage "Python with TensorBoard and safetensors: into .deps/python (180 MB)"
rm -rf "$environment"
mkdir -p "${environment%/*}"
python3 -m venv "$environment" || fail "python3 cannot make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv"
"$environment/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --only-binary=:all: --no-deps -r "$packages" ||
  { rm -rf "$environment"; fail "the packages of scripts/python_readers.txt could not be installed"; }
cp "$packages" "$environment/packages.txt"  # last: it says that the environment is whole
