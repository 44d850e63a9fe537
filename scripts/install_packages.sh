#!/usr/bin/env bash
# Installs the Debian packages that the build needs and this machine lacks (Debian 12, Ubuntu 24.04 or later), and nothing
# when all are there.
#   scripts/install_packages.sh            what building, testing and benchmarks need
#   scripts/install_packages.sh --dev      also what `make check` needs
#   scripts/install_packages.sh --tests    only what some tests start, which are skipped without: Chromium, Open MPI, Slurm, ip
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/stage.sh"

packages=(g++ cmake ninja-build libfmt-dev libcli11-dev libtomlplusplus-dev nlohmann-json3-dev libboost-dev
          libcurl4-openssl-dev libssl-dev zlib1g-dev liblzma-dev libarchive-dev libgloo-dev
          libgtest-dev libgmock-dev librapidcheck-dev libbenchmark-dev
          python3-pip python3-venv unzip xz-utils ca-certificates  # to fetch LibTorch, data, Python's readers of what we write
          ccache)                                     # a faster second build; used where found
if [[ ${1:-} == --dev ]]; then
  packages+=(clang-format-14 clang-tidy-14 libomp-14-dev shellcheck)
elif [[ ${1:-} == --tests ]]; then
  packages=(chromium openmpi-bin slurmctld slurmd slurm-client munge iproute2)
elif [[ $# -gt 0 ]]; then
  fail "unknown argument '$1'; there are --dev and --tests"
fi

if ! command -v apt-get dpkg-query >/dev/null; then
  stage "packages: no apt-get here; needed is what Debian calls: ${packages[*]}"
  exit 0  # they may be there in another way; CMake says by name what it does not find
fi

installed=" $(dpkg-query -W -f '${db:Status-Status}:${Package}\n' | sed -n 's/^installed://p' | tr '\n' ' ') "
missing=()
for package in "${packages[@]}"; do [[ $installed == *" $package "* ]] || missing+=("$package"); done
[[ ${#missing[@]} -gt 0 ]] || exit 0

as_root=(env DEBIAN_FRONTEND=noninteractive)
if [[ $EUID -ne 0 ]]; then
  command -v sudo >/dev/null || fail "missing packages and no sudo; as root: apt-get install --no-install-recommends ${missing[*]}"
  as_root=(sudo "${as_root[@]}")
fi
stage "packages: installing ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { "${as_root[@]}" apt-get update -qq && "${as_root[@]}" apt-get install -qq -y --no-install-recommends "${missing[@]}"; } \
     > "$log" 2>&1; then
  tail -n 30 "$log" >&2
  fail "apt-get could not install: ${missing[*]}"
fi
