#!/usr/bin/env bash
# In the lab: virtio-blk over a 256 MiB file in page cache, paired. Usage: blk.sh KERNEL ROUNDS
set -euo pipefail
. "$(dirname "$0")/common.sh"
kernel=$1 rounds=$2
disk="$work/disk.img"
dd if=/dev/zero of="$disk" bs=1M count=256 status=none

measure "$kernel" "$rounds" blk seqwrite seqread randread
throughput_ratio seqwrite
throughput_ratio seqread
throughput_ratio randread
