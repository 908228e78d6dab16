#!/usr/bin/env bash
# In the lab: what the layers around the monitor cost. The same monitor with its seccomp filters and without, paired, over
# virtio-blk and TCP; and from its start to its API's socket, by the jailer and without. Usage: jail.sh KERNEL ROUNDS
set -euo pipefail
. "$(dirname "$0")/common.sh"
kernel=$1 rounds=$2
monitors=(hearth open)

with_and_without() {
  awk -v n="$1" -v a="$(seen_median hearth "$1")" -v b="$(seen_median open "$1")" \
    'BEGIN { printf "%-12s filters %8.1f ms   without %8.1f ms   throughput ratio %.3f   (wanted >= 0.97)\n", n, a / 1000, b / 1000, b / a }'
}

# started NAME COMMAND...: CPU time of a start, in microseconds, the command's threads that have ended among it. $socket appears.
declare -A starts
started() {
  local name=$1 pid
  shift
  rm -f "$socket"
  TIMEFORMAT='%3U %3S'
  { time "$@" </dev/null >/dev/null 2>&1; } 2>"$work/time" &
  pid=$!
  until [ -S "$socket" ]; do sleep 0.05; done
  # The command itself: the shell that times it is its parent.
  kill -KILL "$(pgrep -P "$pid")"
  wait "$pid" 2>/dev/null || true
  starts[$name]+=" $(awk 'NF == 2 { us = ($1 + $2) * 1000000 } END { print us }' "$work/time")"
}

vmm="$root/out/bin/hearth-vmm"
mkdir "$work/jails"
for ((i = 0; i < 5; i++)); do
  socket="$work/plain.sock"
  started plain "$vmm" --api-sock "$socket"
  socket="$work/jails/hearth-vmm/b/root/run/api.sock"
  started jailed "$root/out/bin/hearth-jailer" --id b --exec-file "$vmm" --uid 231111 --gid 231111 --chroot-base-dir "$work/jails" \
    --cgroup-version 2 --parent-cgroup hearth-bench --cgroup memory.max=268435456 --cgroup pids.max=64 -- --api-sock /run/api.sock
  rmdir /sys/fs/cgroup/hearth-bench/b
done
rmdir /sys/fs/cgroup/hearth-bench
# The first of each reads its program from the disk.
read -ra plain <<<"${starts[plain]}"
read -ra jailed <<<"${starts[jailed]}"
awk -v p="$(median "${plain[@]:1}")" -v j="$(median "${jailed[@]:1}")" \
  'BEGIN { printf "start to API socket: %.2f ms CPU, by the jailer %.2f ms: %.2f ms more (wanted <= 5)\n", p / 1000, j / 1000, (j - p) / 1000 }'

# The filters as a file that people can change, made again and used.
"$root/out/bin/hearth" seccomp build "$root/docs/seccomp.json" -o "$work/seccomp.bin"
hearth_options=(--seccomp-filter "$work/seccomp.bin")
run_hearth "$kernel" boot >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
[ -n "$(field "$work/log" init)" ] || { cat "$work/log"; exit 1; }
echo "a guest ran under filters of $(stat -c %s "$work/seccomp.bin") bytes, made of docs/seccomp.json"
hearth_options=()

disk="$work/disk.img"
dd if=/dev/zero of="$disk" bs=1M count=256 status=none
measure "$kernel" "$rounds" blk seqwrite seqread randread
disk=""
with_and_without seqwrite
with_and_without seqread
with_and_without randread

tap=hearthbench
ip tuntap add dev "$tap" mode tap vnet_hdr
ip addr add 172.30.0.1/24 dev "$tap"
ip link set "$tap" up
setsid "$root/out/bench/peer" "$work/v.sock_9001" &
peer=$!
trap 'kill -- "-$peer" 2>/dev/null; ip link del "$tap"; rm -rf "$work"' EXIT
measure "$kernel" "$rounds" net tcpsend tcpreceive
with_and_without tcpsend
with_and_without tcpreceive
