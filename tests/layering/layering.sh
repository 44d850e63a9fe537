#!/usr/bin/env bash
# Reads the #include lines of ROOT/crescendo and prints those that the table of layers (docs: architecture) does not allow.
#   layering.sh ROOT    exit status 1 where there is one
set -euo pipefail
cd "${1:?usage: layering.sh ROOT}"

grep -rnE --include='*.h' --include='*.cpp' --include='*.cu' --include='*.cuh' '^[[:space:]]*#[[:space:]]*include' crescendo |
  awk '
  BEGIN {
    # folder            may include, besides itself
    may["base"]        = ""
    may["schedule"]    = "base"
    may["config"]      = "base schedule"
    may["adaptive"]    = "base schedule config"
    may["report"]      = "base schedule config"
    may["device"]      = "base schedule config torch"
    may["data"]        = "base schedule config device torch"
    may["nn"]          = "base schedule config device torch"
    may["optim"]       = "base schedule config device torch"
    may["distributed"] = "base schedule config device torch"
    may["study"]       = "base schedule config report"
    may["train"]       = "base schedule config adaptive report device data nn optim distributed torch"
    may["profile"]     = "base schedule config report device data nn optim distributed train torch"
    may["cli"]         = "base schedule config report study train profile torch"
  }
  {
    split($0, place, ":")              # FILE:LINE:#include "..."
    split(place[1], path, "/")         # crescendo/FOLDER/...
    folder = path[2]
    if (!match($0, /["<][^">]*[">]/)) next
    header = substr($0, RSTART + 1, RLENGTH - 2)
    split(header, included, "/")
    if (included[1] == "crescendo") wanted = included[2]
    else if (included[1] ~ /^(torch|ATen|c10|caffe2)$/) wanted = "torch"
    else next
    if (folder == "cli" && header == "crescendo/data/fetch.h") next  # fetching a data set trains nothing
    if (folder == "cli" && header == "crescendo/distributed/local_launcher.h") next  # it starts processes, and no tensor
    if (!(folder in may)) reason = "no row in the table of tests/layering/layering.sh"
    else if (wanted == folder || index(" " may[folder] " ", " " wanted " ")) next
    else reason = "may include " (may[folder] ? may[folder] : "nothing else")
    printf "%s:%s: includes %s; crescendo/%s: %s\n", place[1], place[2], wanted, folder, reason
    broken = 1
  }
  END { if (!NR) { print "no #include lines in crescendo/"; exit 1 } exit broken }'
