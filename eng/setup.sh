# shellcheck shell=bash
# What the demo, the lab tests and the benchmarks need besides the build: the lab, a guest kernel, a guest disk.
# Each is made once and kept in the cache by the tool that makes it; these functions set the paths.

# Sets HEARTH_GUEST_KERNEL (boots with 1 to 32 vCPUs) and HEARTH_GUEST_ROOTFS (Debian with a console login).
setup_guest() {
  setup_kernel
  HEARTH_GUEST_ROOTFS="$HEARTH_CACHE/guest/rootfs.ext4"
  out/bin/hearth rootfs build --suite bookworm -o "$HEARTH_GUEST_ROOTFS" >&2
  export HEARTH_GUEST_ROOTFS
}

setup_kernel() {
  HEARTH_GUEST_KERNEL="$HEARTH_CACHE/guest/vmlinux"
  out/bin/hearth kernel build --smp -o "$HEARTH_GUEST_KERNEL" >&2
  export HEARTH_GUEST_KERNEL
}

# Sets HEARTH_STOCK_KERNEL and HEARTH_STOCK_INITRD: Debian's own cloud kernel, as `hearth kernel import` makes it bootable.
setup_stock_kernel() {
  HEARTH_STOCK_KERNEL="$HEARTH_CACHE/guest/stock/vmlinuz"
  HEARTH_STOCK_INITRD="$HEARTH_CACHE/guest/stock/initrd"
  export HEARTH_STOCK_KERNEL HEARTH_STOCK_INITRD
  [ -f "$HEARTH_STOCK_KERNEL" ] && [ -f "$HEARTH_STOCK_INITRD" ] && return 0
  out/bin/hearth kernel import linux-image-cloud-amd64 -o "$HEARTH_CACHE/guest/stock" >&2
}

# Sets HEARTH_AGENT_INITRD: out/bin/hearth-agent as the initrd of pods, uncompressed, which boots faster.
setup_agent_initrd() {
  HEARTH_AGENT_INITRD="$PWD/out/agent.initrd"
  export HEARTH_AGENT_INITRD
  [ "$HEARTH_AGENT_INITRD" -nt out/bin/hearth-agent ] ||
    out/bin/hearth initrd build --init out/bin/hearth-agent --uncompressed -o "$HEARTH_AGENT_INITRD" >&2
}

setup_lab() { lab/build.sh >/dev/null; }

# containerd of later Debian releases, beside the one that the lab has: 1.7 and 2.x. Tests of one that cannot be had say so and are skipped.
setup_containerds() {
  local suite
  for suite in trixie sid; do apt_unpack_of "$suite" containerd >/dev/null; done
}

# Sets HEARTH_HOSTILE_GUEST: a guest that only attacks its devices (fuzz/guest).
setup_hostile_guest() {
  HEARTH_HOSTILE_GUEST="$PWD/out/hostile-guest"
  export HEARTH_HOSTILE_GUEST
  cc -std=gnu11 -O2 -Wall -Wextra -ffreestanding -nostdlib -static -no-pie -fno-pic -mgeneral-regs-only -mno-red-zone \
    -fcf-protection=none -fno-stack-protector -fno-builtin -fno-tree-loop-distribute-patterns -fno-asynchronous-unwind-tables \
    -Wl,-T,fuzz/guest/hostile.ld -Wl,--build-id=none -Wl,--no-warn-rwx-segments -o "$HEARTH_HOSTILE_GUEST" fuzz/guest/entry.S fuzz/guest/hostile.c
}
