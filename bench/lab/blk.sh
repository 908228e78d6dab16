#!/usr/bin/env bash
# In the lab: virtio-blk over a 256 MiB file in page cache, paired. Usage: blk.sh KERNEL ROUNDS
set -euo pipefail
. "$(dirname "$0")/common.sh"
kernel=$1 rounds=$2
image="$work/disk.img"
dd if=/dev/zero of="$image" bs=1M count=256 status=none

declare -A seen
for ((i = 0; i < rounds; i++)); do
  for monitor in hearth qemu; do
    "run_$monitor" "$kernel" blk "$image" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
    if grep -q FAILED "$work/log"; then cat "$work/log"; exit 1; fi
    for test in seqwrite seqread randread; do
      value=$(field "$work/log" $test)
      [ -n "$value" ] || { cat "$work/log"; echo "no RESULT $test from the guest under $monitor"; exit 1; }
      seen[$monitor-$test]+=" $value"
      echo "round $i $monitor: $test $value us"
    done
  done
done
# Throughput ratios: the inverse of times.
for test in seqwrite seqread randread; do
  # shellcheck disable=SC2086
  ours=$(median ${seen[hearth-$test]}) peer=$(median ${seen[qemu-$test]})
  awk -v n="$test" -v a="$ours" -v b="$peer" \
    'BEGIN { printf "%-12s hearth %8.1f ms   qemu %8.1f ms   throughput ratio %.3f   (wanted >= 1.0)\n", n, a / 1000, b / 1000, b / a }'
done
