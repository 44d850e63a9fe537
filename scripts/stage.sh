# shellcheck shell=bash
# Sourced by the scripts here. stage TEXT: one line that says what begins, after the time since the first script started.
export CRESCENDO_STARTED=${CRESCENDO_STARTED:-$EPOCHSECONDS}
stage() { printf '[%4d s] %s\n' $((EPOCHSECONDS - CRESCENDO_STARTED)) "$*"; }
fail() { printf '%s\n' "${0##*/}: $*" >&2; exit 1; }
