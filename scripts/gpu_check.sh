#!/usr/bin/env bash
# All that needs a GPU, in one go: the tests on it, and the speed of training beside PyTorch. About 8 minutes after the build, on a machine with
# a GPU, CUDA 13 and a PyTorch 2.11 built for it. Prints a table and writes results/gpu-check.json.
#   scripts/gpu_check.sh                   builds the preset cuda with all cores first
#   scripts/gpu_check.sh FOLDER|FILE       uses a build that is there: a build folder, or what --pack wrote
#   scripts/gpu_check.sh --pack FILE       elsewhere, before: packs build/cuda with the system's libraries it needs (a .tar.xz),
#                                          for a machine without network or the packages of install_packages.sh
#   scripts/gpu_check.sh --minutes N       how long it may take after the build (8): what is not begun by then is left out, by name
#   scripts/gpu_check.sh --turns N         how often each speed is measured (2)
#   scripts/gpu_check.sh --rehearse [...]  everything on the CPU and smaller, into build/: to see that the script itself works
# LibTorch is TORCH_ROOT, or that of `python3 -c 'import torch'`; CRESCENDO_PYTHON names another Python with PyTorch.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/stage.sh

programs=(bin/crescendo crescendo/device/device_test crescendo/data/data_test crescendo/nn/nn_test crescendo/optim/optim_test crescendo/distributed/distributed_test
          tests/equivalence/equivalence_test)

pack() {
  local file=$1 folder
  folder=$(mktemp -d)
  for program in "${programs[@]}"; do
    [[ -x build/cuda/$program ]] || fail "there is no build/cuda/$program; make build PRESET=cuda makes it"
    install -D -s "build/cuda/$program" "$folder/$program"
  done
  mkdir "$folder/lib"
  # What the programs load from the system, but for what every glibc system has and what comes with LibTorch.
  ldd "${programs[@]/#/build/cuda/}" | awk '$2 == "=>" && $3 ~ /^\/(usr\/)?lib/ {print $3}' | sort -u |
    grep -vE '/lib(c|m|dl|rt|util|pthread|resolv)\.so' | xargs -I{} cp -L {} "$folder/lib/"
  tar -C "$folder" -caf "$file" .
  rm -rf "$folder"
  stage "packed: $file, $(du -h "$file" | cut -f1)"
}

device=cuda
out=results/gpu-check.json
build=
more=()
while [[ $# -gt 0 ]]; do
  case $1 in
    --pack) pack "${2:?usage: gpu_check.sh --pack FILE}"; exit ;;
    --rehearse) device=cpu out=build/gpu-rehearsal.json ;;
    --minutes | --turns) more+=("$1" "${2:?a number}") && shift ;;
    -*) fail "unknown argument '$1'; the head of this script says what there is" ;;
    *) build=$1 ;;
  esac
  shift
done

if [[ $device == cuda ]] && ! nvidia-smi -L > /dev/null 2>&1; then
  fail "no GPU here: nvidia-smi -L finds none (scripts/gpu_check.sh --rehearse runs everything on the CPU)"
fi

python=${CRESCENDO_PYTHON:-python3}
if [[ -z ${TORCH_ROOT:-} ]]; then
  TORCH_ROOT=$("$python" -c 'import torch; print(torch.__path__[0])' 2> /dev/null) ||
    fail "no TORCH_ROOT in the environment and no PyTorch in $python; give TORCH_ROOT=FOLDER, with lib/ and include/ of a LibTorch 2.11 for CUDA 13"
fi
export TORCH_ROOT

unpacked=
trap '[[ -z $unpacked ]] || rm -rf "$unpacked"' EXIT
if [[ -z $build ]]; then
  scripts/build.sh cuda
  build=build/cuda
elif [[ -f $build ]]; then
  unpacked=$(mktemp -d)
  tar -C "$unpacked" -xf "$build"
  build=$unpacked
fi
for program in "${programs[@]}"; do [[ -x $build/$program ]] || fail "there is no $build/$program"; done

# The programs remember the LibTorch they were linked with; this one may stand elsewhere. Only they see these libraries.
libraries=$TORCH_ROOT/lib
for folder in "$TORCH_ROOT"/../nvidia/*/lib; do [[ ! -d $folder ]] || libraries+=:$folder; done
[[ ! -d $build/lib ]] || libraries+=:$(realpath "$build/lib")

stage "tests and measurements on: $device"
"$python" scripts/gpu_check.py --build "$build" --libraries "$libraries" --device "$device" --out "$out" "${more[@]}"
