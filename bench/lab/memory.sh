#!/usr/bin/env bash
# In the lab: the monitor's memory beyond guest memory, 1 vCPU, 128 MiB, with block, net, vsock and rng, booted; then its
# CPU time while the guest is idle for a minute. Usage: memory.sh KERNEL
set -euo pipefail
. "$(dirname "$0")/common.sh"
kernel=$1
tap=hearthbench disk="$work/disk.img" vsock="$work/v.sock" entropy="{}"
truncate -s 64M "$disk"
ip tuntap add dev "$tap" mode tap vnet_hdr
ip link set "$tap" up
trap 'ip link del "$tap"; rm -rf "$work"' EXIT

run_hearth "$kernel" wait >"$work/log" 2>&1 &
waiter=$!
for ((i = 0; i < 600; i++)); do
  grep -q 'RESULT init' "$work/log" && break
  sleep 0.1
done
grep -q 'RESULT init' "$work/log" || { cat "$work/log"; exit 1; }
pid=$(pgrep -P "$waiter" hearth-vmm || echo "$waiter")
# Guest RAM is in the mapping of 128 MiB or more that is in use; the runtime reserves larger ones that are not. What the
# kernel joined to it counts as the monitor's own, to its full size.
awk '
  /^[0-9a-f]+-[0-9a-f]+ / { name = $6 == "" ? "anonymous" : $6 }
  /^Size:/ { size = $2 }
  /^Pss:/ { if (size >= 128 * 1024 && $2 > 8 * 1024) { ram += $2; pss += size - 128 * 1024 } else { pss += $2; by[name] += $2 } }
  END {
    printf "memory beyond guest RAM: %.2f MiB PSS (wanted <= 8; goal 5); guest RAM in use %.1f MiB\n", pss / 1024, ram / 1024
    for (name in by) if (by[name] >= 100) printf "  %6d KiB  %s\n", by[name], name
  }' "/proc/$pid/smaps"

# Nanoseconds on a CPU, by thread.
cpu() {
  for thread in /proc/"$pid"/task/*; do
    read -r ns _ <"$thread/schedstat"
    echo "$(<"$thread/comm") $ns"
  done
}
cpu >"$work/before"
sleep 60
cpu >"$work/after"
paste -d ' ' "$work/before" "$work/after" | awk '
  { used = $NF - $2; if (/^vcpu/) guest += used; else total += used; if (used > 0) by = by sprintf(" %s %.1f ms", $1, used / 1e6) }
  END {
    printf "CPU of the monitor in 60 s of an idle guest: %.1f ms, %.3f %% of a core (wanted <= 0.1 %%); the guest itself: %.3f %%\n", total / 1e6, total / 6e8, guest / 6e8
    printf "  by thread:%s\n", by
  }'
kill "$pid"
wait "$waiter" 2>/dev/null || true
