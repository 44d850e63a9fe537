#!/usr/bin/env bash
# Runs a command inside a Slurm of this machine alone, made for it and gone after it. Needs root, munge, slurmctld, slurmd.
#   with_slurm.sh COMMAND...     as in: with_slurm.sh srun -n 2 --overcommit crescendo train ...
set -euo pipefail
folder=$(mktemp -d)
daemons=()
# shellcheck disable=SC2317  # the trap calls it
cleanup() {
  for daemon in "${daemons[@]}"; do kill "$daemon" 2> /dev/null || true; done
  wait "${daemons[@]}" 2> /dev/null || true
  rm -rf "$folder"
}
trap cleanup EXIT

chmod 755 "$folder"
mkdir "$folder/state" "$folder/spool"
head -c 128 /dev/urandom > "$folder/munge.key"
chmod 400 "$folder/munge.key"
munged --foreground --force --key-file="$folder/munge.key" --socket="$folder/munge.socket" --pid-file="$folder/munged.pid" \
  --log-file="$folder/munged.log" --seed-file="$folder/munge.seed" > /dev/null 2>&1 &
daemons+=($!)

host=$(hostname -s)
port=$((20000 + $$ % 10000))
cat > "$folder/slurm.conf" << EOF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
SlurmUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$folder/munge.socket
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SchedulerType=sched/builtin
SelectType=select/linear
MailProg=/bin/true
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
EOF
export SLURM_CONF=$folder/slurm.conf
slurmctld -D > /dev/null 2>&1 &
daemons+=($!)
slurmd -D > /dev/null 2>&1 &
daemons+=($!)

for ((i = 0; i < 300; ++i)); do
  [[ $(sinfo --noheader --format=%T 2> /dev/null) == idle ]] && break
  sleep 0.1
done
[[ $(sinfo --noheader --format=%T) == idle ]] || { cat "$folder"/*.log >&2; exit 1; }
status=0
"$@" || status=$?
# The daemon of a step ends a moment after the step, and not at all once slurmctld is gone.
for ((i = 0; i < 300; ++i)); do
  (($(squeue --noheader --states=all --format=%T | grep -cv COMPLETED) > 0)) || break
  sleep 0.1
done
exit $status
