#!/usr/bin/env bash
# Fetches LibTorch 2.11.0 out of its Python wheels, whose hashes are pinned, and prints the folder to give to CMake as TORCH_ROOT.
#   scripts/fetch_libtorch.sh          for the CPU: 0.5 GB to download, into .deps/libtorch-2.11.0
#   scripts/fetch_libtorch.sh --cuda   for NVIDIA GPUs: 2.5 GB to download, into .deps/libtorch-2.11.0-cuda
# Does nothing where that was done before. With TORCH_ROOT in the environment that one is used and nothing is fetched.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR
source "$here/stage.sh"

if [[ -n ${TORCH_ROOT:-} ]]; then
  [[ -e $TORCH_ROOT/lib/libtorch_cpu.so ]] || fail "TORCH_ROOT=$TORCH_ROOT has no lib/libtorch_cpu.so; it should be the folder \
with lib/ and include/ of LibTorch 2.11 (in a PyTorch installation: the folder torch), or unset, to fetch one"
  echo "$TORCH_ROOT"
  exit
fi

case ${1:-} in
  '') kind=cpu; folder=libtorch-2.11.0 ;;
  --cuda) kind=cuda; folder=libtorch-2.11.0-cuda ;;
  *) fail "unknown argument '$1'; there is only --cuda" ;;
esac
wheels=$here/libtorch_$kind.txt
deps=$(dirname "$here")/.deps
if cmp -s "$wheels" "$deps/$folder/wheels.txt"; then
  echo "$deps/$folder/torch"
  exit
fi
[[ $(uname -sm) == 'Linux x86_64' ]] || fail "the pinned LibTorch is for Linux on x86-64, this is $(uname -sm); \
give your own: TORCH_ROOT=FOLDER, with lib/ and include/"

# All is unpacked beside its place and then renamed, so that a half-fetched LibTorch is never taken for a whole one.
mkdir -p "$deps"
part=$(mktemp -d "$deps/part.XXXXXX")
chmod 755 "$part"
trap 'rm -rf "$part"' EXIT
platforms=()
for tag in manylinux_2_{28,27,25,18}_x86_64 manylinux{2014,2010,1}_x86_64; do platforms+=(--platform "$tag"); done
stage "LibTorch 2.11.0 ($kind): downloading" >&2
python3 -m pip download --quiet --disable-pip-version-check --no-input --no-cache-dir --no-deps --only-binary=:all: \
  --python-version 311 "${platforms[@]}" --require-hashes -r "$wheels" --dest "$part/wheels" >&2

stage "LibTorch 2.11.0 ($kind): unpacking" >&2
for wheel in "$part"/wheels/*.whl; do
  case $kind:${wheel##*/} in
    cpu:torch-*) files=('torch/include/*' torch/lib/{libc10.so,libtorch_cpu.so,libgomp.so.1,libshm.so}) ;;
    cuda:torch-*) files=('torch/include/*' 'torch/lib/*') ;;
    cuda:nvidia_nccl*) files=('nvidia/nccl/lib/*' 'nvidia/nccl/include/*') ;;
    *) files=('nvidia/*/lib/*') ;;  # at the place where LibTorch looks for them: ../../nvidia/*/lib beside torch/lib
  esac
  unzip -q "$wheel" "${files[@]}" -d "$part"
  rm "$wheel"
done
rmdir "$part/wheels"
cp "$wheels" "$part/wheels.txt"
rm -rf "${deps:?}/$folder"
mv "$part" "$deps/$folder"
echo "$deps/$folder/torch"
