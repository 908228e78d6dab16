#!/usr/bin/env bash
# Builds the lab's host once: a Debian disk image, a stock cloud kernel, a small initrd. Prints the folder they are in.
# The result is kept under the cache by a hash of this recipe, and never changed by a run.
# Usage: build.sh [SUITE]    another Debian release than 12: that one's managers and nothing else, on the same kernel
set -euo pipefail
cd "$(dirname "$0")/.."
. eng/common.sh
# depmod and mke2fs are there, which is not on every user's path.
export PATH="$PATH:/usr/sbin:/sbin"

suite=${1:-bookworm}
packages=(
  iproute2 containerd runc crun conmon podman docker.io iptables nftables curl docker-registry
  kmod procps e2fsprogs util-linux ca-certificates bsdextrautils busybox-static
  # What NativeAOT programs and .NET tests load.
  libstdc++6 zlib1g
)
case "$suite" in
  bookworm) packages+=(containernetworking-plugins qemu-system-x86 fio iperf3 iputils-ping strace skopeo umoci socat jq libicu72 libssl3) ;;
  trixie) packages+=(docker-cli netavark aardvark-dns virtiofsd libicu76 libssl3t64) ;;
  sid) packages+=(docker-cli netavark aardvark-dns virtiofsd libicu78 libssl3t64) ;;
  *) die "usage: lab/build.sh [bookworm|trixie|sid]" ;;
esac

hash=$({ cat lab/build.sh lab/guest/*; echo "$suite"; } | sha256sum | cut -c1-16)
target="$HEARTH_CACHE/lab/$hash"
if [ -f "$target/complete" ]; then
  echo "$target"
  exit 0
fi

apt_install mmdebstrap e2fsprogs busybox-static cpio kmod
as_owner=()
[ "$(id -u)" -eq 0 ] || {
  apt_install fakeroot uidmap
  as_owner=(fakeroot)
}
mkdir -p "$HEARTH_CACHE/lab"
exec 9>"$HEARTH_CACHE/lab/lock"
flock 9
# Another run may have built it while this one waited.
if [ -f "$target/complete" ]; then
  echo "$target"
  exit 0
fi

work=$(mktemp -d "$HEARTH_CACHE/lab/building.XXXXXX")
trap 'rm -rf "$work"' EXIT

step "Building the lab (once, some two minutes): kernel"
apt_update
image=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
[ -n "$image" ] || die "apt knows no linux-image-cloud-amd64: is the bookworm main archive among the apt sources?"
(cd "$work" && apt-get download -qq "$image") >&2
dpkg -x "$work/$image"_*.deb "$work/kernel"
version=${image#linux-image-}
depmod -b "$work/kernel" "$version"

step "Building the lab: Debian $suite with container managers, QEMU and tools"
# The machine's own sources, as far as they are for this suite.
sources=$(lab/sources.sh "$suite")
# And its own word on releases past their date, as a mirror that stands still has them.
valid=$(apt-config dump --format '%v%n' Acquire::Check-Valid-Until)
mmdebstrap --quiet --variant=minbase ${valid:+--aptopt="Acquire::Check-Valid-Until \"$valid\""} --include="$(IFS=,; echo "${packages[*]}")" \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  --customize-hook="mkdir -p \"\$1/lib/modules\"" \
  --customize-hook="copy-in $work/kernel/lib/modules/$version /lib/modules" \
  --customize-hook="copy-in lab/guest/lab-init /usr/sbin" \
  --customize-hook="chmod 755 \"\$1/usr/sbin/lab-init\"" \
  "$suite" "$work/lab.tar" - <<<"$sources" >&2

step "Building the lab: disk image and initrd"
mkdir "$work/tree"
truncate -s 12G "$work/lab.ext4"
# Under fakeroot, for who is not root, so that the image's files keep their owners.
# shellcheck disable=SC2016  # the inner shell's own arguments
"${as_owner[@]}" sh -e -c 'tar -C "$1/tree" -xf "$1/lab.tar" --exclude="./dev/*"
  mke2fs -q -t ext4 -O ^has_journal -E lazy_itable_init=1 -d "$1/tree" "$1/lab.ext4"' sh "$work"

mkdir -p "$work/initrd/modules"
for module in virtio virtio_ring virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk; do
  find "$work/kernel/lib/modules" -name "$module.ko" -exec cp {} "$work/initrd/modules/" \;
done
cp /bin/busybox "$work/initrd/busybox"
install -m 755 lab/guest/initrd-init "$work/initrd/init"
(cd "$work/initrd" && find . | cpio --quiet -o -H newc | gzip -1) >"$work/initrd.gz"

mkdir "$work/lab"
mv "$work/kernel/boot/vmlinuz-$version" "$work/lab/vmlinuz"
mv "$work/lab.ext4" "$work/initrd.gz" "$work/lab/"
touch "$work/lab/complete"
rm -rf "$target"
mv "$work/lab" "$target"
echo "$target"
