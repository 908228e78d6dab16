#!/usr/bin/env bash
# In the lab: a 256 MiB file read, and opened again and again, through virtio-fs by the same virtiofsd, paired. Usage: fs.sh KERNEL ROUNDS
set -euo pipefail
. "$(dirname "$0")/common.sh"
kernel=$1 rounds=$2
folder="$work/folder"
mkdir "$folder"
dd if=/dev/zero of="$folder/file" bs=1M count=256 status=none

measure "$kernel" "$rounds" fs fsread fsopen
throughput_ratio fsread 0.9
# Round trips: opened, read and closed 2000 times.
throughput_ratio fsopen 0.9
