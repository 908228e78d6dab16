#!/usr/bin/env bash
# In the lab: the monitor's memory beyond guest memory, 1 vCPU, 128 MiB, booted. Usage: memory.sh KERNEL
set -euo pipefail
. "$(dirname "$0")/common.sh"
kernel=$1

run_hearth "$kernel" wait >"$work/log" 2>&1 &
waiter=$!
for ((i = 0; i < 600; i++)); do
  grep -q 'RESULT init' "$work/log" && break
  sleep 0.1
done
grep -q 'RESULT init' "$work/log" || { cat "$work/log"; exit 1; }
pid=$(pgrep -P "$waiter" hearth-vmm || echo "$waiter")
# Guest RAM is the mapping of exactly 128 MiB.
awk '
  /^[0-9a-f]+-[0-9a-f]+ / { name = $6 == "" ? "anonymous" : $6 }
  /^Size:/ { guest = $2 == 128 * 1024 }
  /^Pss:/ { if (guest) ram += $2; else { pss += $2; by[name] += $2 } }
  END {
    printf "memory beyond guest RAM: %.2f MiB PSS (wanted <= 8; goal 5); guest RAM in use %.1f MiB\n", pss / 1024, ram / 1024
    for (name in by) if (by[name] >= 100) printf "  %6d KiB  %s\n", by[name], name
  }' "/proc/$pid/smaps"
kill "$pid"
wait "$waiter" 2>/dev/null || true
