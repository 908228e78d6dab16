#!/usr/bin/env bash
# In the lab: exec of the monitor to guest user space and off, paired. Usage: boot.sh KERNEL ROUNDS
set -euo pipefail
. "$(dirname "$0")/common.sh"
kernel=$1 rounds=$2

# Sets `us` to how long the command took, by the lab's clock, without a fork around it.
timed() {
  local begin=${EPOCHREALTIME/./}
  "$@"
  us=$((${EPOCHREALTIME/./} - begin))
}

hearth_total=() qemu_total=() hearth_init=() qemu_init=()
# The first pair warms the page cache and is not counted.
for ((i = 0; i <= rounds; i++)); do
  for monitor in hearth qemu; do
    timed "run_$monitor" "$kernel" boot >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
    init=$(field "$work/log" init)
    [ -n "$init" ] || { cat "$work/log"; echo "no RESULT from the guest under $monitor"; exit 1; }
    [ "$i" -eq 0 ] && continue
    if [ "$monitor" = hearth ]; then hearth_total+=("$us") hearth_init+=("$init"); else qemu_total+=("$us") qemu_init+=("$init"); fi
    echo "round $i $monitor: total $((us / 1000)) ms, guest uptime at init $((init / 1000)) ms"
  done
done
ratio "boot and off, ms" "$(($(median "${hearth_total[@]}") / 1000))" "$(($(median "${qemu_total[@]}") / 1000))" "<= 0.8"
ratio "guest uptime at init, ms" "$(($(median "${hearth_init[@]}") / 1000))" "$(($(median "${qemu_init[@]}") / 1000))" "<= 1.0"
