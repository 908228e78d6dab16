#!/usr/bin/env bash
# In the lab: TCP between a guest and its host over TAP, paired; and a vsock stream against TCP of the same monitor. Usage: net.sh KERNEL ROUNDS
set -euo pipefail
. "$(dirname "$0")/common.sh"
kernel=$1 rounds=$2

tap=hearthbench
ip tuntap add dev "$tap" mode tap vnet_hdr
ip addr add 172.30.0.1/24 dev "$tap"
ip link set "$tap" up
setsid "$root/out/bench/peer" "$work/v.sock_9001" &
peer=$!
trap 'kill -- "-$peer" 2>/dev/null; ip link del "$tap"; rm -rf "$work"' EXIT

measure "$kernel" "$rounds" net tcpsend tcpreceive pingpong
throughput_ratio tcpsend
throughput_ratio tcpreceive
vsock="$work/v.sock"
run_hearth "$kernel" vsock >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
stream=$(field "$work/log" vsocksend)
[ -n "$stream" ] || { cat "$work/log"; exit 1; }
awk -v v="$stream" -v t="$(seen_median hearth tcpsend)" \
  'BEGIN { printf "vsock send   %8.1f ms   against TCP over TAP %8.1f ms   throughput ratio %.3f   (wanted >= 1.0)\n", v / 1000, t / 1000, t / v }'
ratio "ping-pong, ms" "$(($(seen_median hearth pingpong) / 1000))" "$(($(seen_median qemu pingpong) / 1000))" "<= 1.0"
