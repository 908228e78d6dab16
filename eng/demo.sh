#!/usr/bin/env bash
# ./demo [--fast]: builds, makes a guest, and plays Firecracker's first demo with hearth-vmm.
set -euo pipefail
cd "$(dirname "$0")/.."
. eng/common.sh
. eng/setup.sh

fast=""
case "${1:-}" in
  "") ;;
  --fast) fast=--fast ;;
  *) die "usage: ./demo [--fast]  (--fast skips the typing pauses)" ;;
esac

require_dotnet
./build hearth hearth-vmm
setup_guest
setup_lab
kind=$(lab/kvm-kind)
case "$kind" in
  hardware) step "This machine's KVM runs guests: playing here" ;;
  interpreted) step "This machine's /dev/kvm cannot run a stock kernel in useful time: playing in the lab (QEMU), many times slower than hardware" ;;
  *) step "This machine has no usable /dev/kvm: playing in the lab (QEMU), many times slower than hardware" ;;
esac
lab/run --timeout 1200 -- eng/demo-play.sh "$HEARTH_GUEST_KERNEL" "$HEARTH_GUEST_ROOTFS" $fast
