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
  local deb
  HEARTH_STOCK_KERNEL="$HEARTH_CACHE/guest/stock/vmlinuz"
  HEARTH_STOCK_INITRD="$HEARTH_CACHE/guest/stock/initrd"
  export HEARTH_STOCK_KERNEL HEARTH_STOCK_INITRD
  [ -f "$HEARTH_STOCK_KERNEL" ] && [ -f "$HEARTH_STOCK_INITRD" ] && return 0
  apt_update
  deb=$(stock_kernel_package)
  out/bin/hearth kernel import "$deb" -o "$HEARTH_CACHE/guest/stock" >&2
}

# Downloads Debian's newest cloud kernel for this suite; prints the file.
stock_kernel_package() {
  local package
  package=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
  [ -n "$package" ] || die "apt knows no linux-image-cloud-amd64: is the main archive among the apt sources?"
  mkdir -p "$HEARTH_CACHE/downloads"
  (cd "$HEARTH_CACHE/downloads" && apt-get download -qq "$package" >&2)
  find "$HEARTH_CACHE/downloads" -name "${package}_*.deb" | sort | tail -n 1
}

setup_lab() { lab/build.sh >/dev/null; }
