#!/usr/bin/env bash
# ./demo [--fast]: pods in microVMs, from an image in a registry to nothing left, through CRI and by hearth run.
# ./demo vmm [--fast]: Firecracker's first demo with hearth-vmm. --fast skips the typing pauses.
set -euo pipefail
cd "$(dirname "$0")/.."
. eng/common.sh
. eng/setup.sh

play=pods fast=""
for argument in "$@"; do
  case "$argument" in
    pods | vmm) play=$argument ;;
    --fast) fast=--fast ;;
    *) die "usage: ./demo [vmm] [--fast]" ;;
  esac
done

require_dotnet
if [ "$play" = vmm ]; then
  ./build hearth hearth-vmm
  setup_guest
  parts=("$HEARTH_GUEST_KERNEL" "$HEARTH_GUEST_ROOTFS")
else
  ./build hearth hearthd hearth-shim hearth-vmm hearth-jailer hearth-agent
  setup_kernel
  setup_agent_initrd
  lab/images.sh build >/dev/null
  parts=("$HEARTH_GUEST_KERNEL" "$HEARTH_AGENT_INITRD")
fi
setup_lab
kind=$(lab/kvm-kind)
case "$kind" in
  hardware) step "This machine's KVM runs guests: playing here" ;;
  interpreted) step "This machine's /dev/kvm cannot run a stock kernel in useful time: playing in the lab (QEMU), many times slower than hardware" ;;
  *) step "This machine has no usable /dev/kvm: playing in the lab (QEMU), many times slower than hardware" ;;
esac
lab/run --timeout 2400 --mem 6144 -- "eng/demo-$play.sh" "${parts[@]}" $fast
