#!/usr/bin/env bash
# In the lab: TCP between a guest and its host over TAP, paired. Usage: net.sh KERNEL ROUNDS
set -euo pipefail
. "$(dirname "$0")/common.sh"
kernel=$1 rounds=$2

tap=hearthbench
ip tuntap add dev "$tap" mode tap vnet_hdr
ip addr add 172.30.0.1/24 dev "$tap"
ip link set "$tap" up
setsid "$root/out/bench/peer" &
peer=$!
trap 'kill -- "-$peer" 2>/dev/null; ip link del "$tap"; rm -rf "$work"' EXIT

measure "$kernel" "$rounds" net tcpsend tcpreceive pingpong
throughput_ratio tcpsend
throughput_ratio tcpreceive
ratio "ping-pong, ms" "$(($(seen_median hearth pingpong) / 1000))" "$(($(seen_median qemu pingpong) / 1000))" "<= 1.0"
