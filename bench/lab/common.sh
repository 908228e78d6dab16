# shellcheck shell=bash
# The two monitors under test, started the same way: kernel, initrd, memory and command line are equal.

. "$(dirname "${BASH_SOURCE[0]}")/../host.sh"
initrd="$root/out/bench/initrd.cpio"
args="console=ttyS0 reboot=t panic=-1 quiet random.trust_cpu=on mitigations=off"

# A drive's file, a TAP interface and a shared folder, where a benchmark wants them.
disk="" tap="" folder=""

# A back end serves one connection.
start_virtiofsd() {
  [ -n "$folder" ] || return 0
  rm -f "$work/fs.sock"
  /usr/lib/qemu/virtiofsd --socket-path="$work/fs.sock" -o "source=$folder" -o sandbox=chroot >"$work/virtiofsd.log" 2>&1 &
  until [ -S "$work/fs.sock" ]; do sleep 0.1; done
}
# More of hearth-vmm's command line.
hearth_options=()
# A Unix socket's path, for vsock; Hearth only.
vsock=""
# The entropy device's body; Hearth only.
entropy=null

# run_qemu KERNEL INIT-ARGUMENT
run_qemu() {
  local devices=() machine=microvm,rtc=off
  [ -n "$disk" ] && devices+=(-drive "id=d,file=$disk,format=raw,if=none" -device "virtio-blk-device,drive=d")
  [ -n "$tap" ] && devices+=(-netdev "tap,id=n,ifname=$tap,script=no,downscript=no,vhost=off" -device "virtio-net-device,netdev=n")
  if [ -n "$folder" ]; then
    devices+=(-object "memory-backend-memfd,id=ram,size=128M,share=on" -chardev "socket,id=fs,path=$work/fs.sock" -device "vhost-user-fs-device,chardev=fs,tag=data")
    # There was no file system device before virtio 1.
    devices+=(-global virtio-mmio.force-legacy=false)
    machine+=,memory-backend=ram
  fi
  # Without ACPI it names its virtio-mmio devices on the command line, which is where this kernel looks.
  [ ${#devices[@]} -gt 0 ] && machine+=,acpi=off
  qemu-system-x86_64 -M "$machine" -enable-kvm -cpu host -m 128 -smp 1 -nodefaults -no-user-config \
    -nographic -serial stdio -no-reboot -kernel "$1" -initrd "$initrd" -append "$args $2" "${devices[@]}" </dev/null
}

# run_hearth KERNEL INIT-ARGUMENT
run_hearth() {
  local drives="" nics="" folders="" sockets=null
  [ -n "$vsock" ] && sockets="{\"guest_cid\": 3, \"uds_path\": \"$vsock\"}"
  [ -n "$disk" ] && drives="{\"drive_id\": \"d\", \"path_on_host\": \"$disk\", \"is_root_device\": false}"
  [ -n "$tap" ] && nics="{\"iface_id\": \"n\", \"host_dev_name\": \"$tap\"}"
  [ -n "$folder" ] && folders="{\"tag\": \"data\", \"socket\": \"$work/fs.sock\"}"
  cat >"$work/vm.json" <<JSON
{"boot-source": {"kernel_image_path": "$1", "initrd_path": "$initrd", "boot_args": "$args $2"},
 "machine-config": {"vcpu_count": 1, "mem_size_mib": 128}, "drives": [$drives], "network-interfaces": [$nics], "filesystems": [$folders], "vsock": $sockets, "entropy": $entropy}
JSON
  "$root/out/bin/hearth-vmm" --no-api --config-file "$work/vm.json" "${hearth_options[@]}" </dev/null
}

# run_open KERNEL INIT-ARGUMENT: without filters.
run_open() {
  local hearth_options=(--no-seccomp)
  run_hearth "$@"
}

# field LOG NAME: the microseconds the guest printed for NAME.
field() { tr -d '\r' <"$1" | sed -n "s/.*RESULT $2 \([0-9]*\).*/\1/p" | tail -n 1; }

# measure KERNEL ROUNDS INIT-ARGUMENT NAME...: runs both monitors, and keeps the microseconds of each NAME.
declare -A seen
monitors=(hearth qemu)
measure() {
  local kernel=$1 rounds=$2 what=$3 i monitor test value
  shift 3
  for ((i = 0; i < rounds; i++)); do
    for monitor in "${monitors[@]}"; do
      start_virtiofsd
      "run_$monitor" "$kernel" "$what" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
      if grep -q FAILED "$work/log"; then cat "$work/log"; exit 1; fi
      for test in "$@"; do
        value=$(field "$work/log" "$test")
        [ -n "$value" ] || { cat "$work/log"; echo "no RESULT $test from the guest under $monitor"; exit 1; }
        seen[$monitor-$test]+=" $value"
        echo "round $i $monitor: $test $value us"
      done
    done
  done
}

# seen_median MONITOR NAME
# shellcheck disable=SC2086
seen_median() { median ${seen[$1-$2]}; }

# throughput_ratio NAME [WANTED]: the inverse of the times'.
throughput_ratio() {
  awk -v n="$1" -v a="$(seen_median hearth "$1")" -v b="$(seen_median qemu "$1")" -v w="${2:-1.0}" \
    'BEGIN { printf "%-12s hearth %8.1f ms   qemu %8.1f ms   throughput ratio %.3f   (wanted >= %s)\n", n, a / 1000, b / 1000, b / a, w }'
}

# ratio NAME OURS PEER WANTED
ratio() { awk -v n="$1" -v a="$2" -v b="$3" -v w="$4" 'BEGIN { printf "%-34s hearth %10.1f   qemu %10.1f   ratio %.3f   (wanted %s)\n", n, a, b, a / b, w }'; }
