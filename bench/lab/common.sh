# shellcheck shell=bash
# The two monitors under test, started the same way: kernel, initrd, memory and command line are equal.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
initrd="$root/out/bench/initrd.cpio"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
args="console=ttyS0 reboot=t panic=-1 quiet random.trust_cpu=on mitigations=off"

# run_qemu KERNEL INIT-ARGUMENT [DISK]
run_qemu() {
  local disk=() machine=microvm,rtc=off
  # Without ACPI it names its virtio-mmio devices on the command line, which is where this kernel looks.
  [ -n "${3:-}" ] && machine+=,acpi=off && disk=(-drive "id=d,file=$3,format=raw,if=none" -device "virtio-blk-device,drive=d")
  qemu-system-x86_64 -M "$machine" -enable-kvm -cpu host -m 128 -smp 1 -nodefaults -no-user-config \
    -nographic -serial stdio -no-reboot -kernel "$1" -initrd "$initrd" -append "$args $2" "${disk[@]}" </dev/null
}

# run_hearth KERNEL INIT-ARGUMENT [DISK]
run_hearth() {
  local drives=""
  [ -n "${3:-}" ] && drives="{\"drive_id\": \"d\", \"path_on_host\": \"$3\", \"is_root_device\": false}"
  cat >"$work/vm.json" <<JSON
{"boot-source": {"kernel_image_path": "$1", "initrd_path": "$initrd", "boot_args": "$args $2"},
 "machine-config": {"vcpu_count": 1, "mem_size_mib": 128}, "drives": [$drives]}
JSON
  "$root/out/bin/hearth-vmm" --no-api --config-file "$work/vm.json" </dev/null
}

# median NUMBER...
median() { printf '%s\n' "$@" | sort -n | awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] }'; }

# field LOG NAME: the microseconds the guest printed for NAME.
field() { tr -d '\r' <"$1" | sed -n "s/.*RESULT $2 \([0-9]*\).*/\1/p" | tail -n 1; }

# ratio NAME OURS PEER WANTED
ratio() { awk -v n="$1" -v a="$2" -v b="$3" -v w="$4" 'BEGIN { printf "%-34s hearth %10.1f   qemu %10.1f   ratio %.3f   (wanted %s)\n", n, a, b, a / b, w }'; }
