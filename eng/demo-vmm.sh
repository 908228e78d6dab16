#!/usr/bin/env bash
# The talk's first demo, on a host whose /dev/kvm runs guests: eng/demo.sh starts this, in the lab where it must.
# Usage: eng/demo-vmm.sh KERNEL ROOTFS [--fast]
set -euo pipefail
kernel=$1 rootfs=$2 fast=${3:-}
root="$(cd "$(dirname "$0")/.." && pwd)"
socket=/tmp/firecracker.socket
work=$(mktemp -d)
vmm=""
. "$root/eng/demo-stage.sh"

cleanup() {
  if [ -n "$vmm" ] && kill -0 "$vmm" 2>/dev/null; then kill "$vmm" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap cleanup EXIT

# put PATH BODY: one request, shown with its answer, which must be 204.
put() {
  local code
  type_out "curl --unix-socket $socket -X PUT http://localhost$1 -d '$2'"
  code=$(curl -sS -o "$work/answer" -w '%{http_code}' --unix-socket "$socket" -X PUT "http://localhost$1" \
    -H 'Content-Type: application/json' -d "$2")
  printf 'HTTP %s %s\n' "$code" "$(cat "$work/answer" 2>/dev/null || true)"
  [ "$code" = 204 ] || { bold "expected 204"; exit 1; }
}

# The guest may write to its disk, so it gets a copy.
cp --sparse=always "$rootfs" "$work/rootfs.ext4"
mkfifo "$work/keys"
: >"$work/console"
rm -f "$socket"

type_out "hearth-vmm --api-sock $socket"
"$root/out/bin/hearth-vmm" --api-sock "$socket" <"$work/keys" >"$work/console" 2>&1 &
vmm=$!
exec 3>"$work/keys"
for _ in $(seq 100); do [ -S "$socket" ] && break; sleep 0.05; done
[ -S "$socket" ] || { cat "$work/console"; bold "hearth-vmm did not open its socket"; exit 1; }

put /boot-source "{\"kernel_image_path\": \"$kernel\", \"boot_args\": \"console=ttyS0 reboot=k panic=1 quiet\"}"
put /drives/rootfs "{\"drive_id\": \"rootfs\", \"path_on_host\": \"$work/rootfs.ext4\", \"is_root_device\": true, \"is_read_only\": false}"
put /actions '{"action_type": "InstanceStart"}'

bold "
The guest's console:"
tail -n +1 -f "$work/console" --pid "$vmm" &
viewer=$!
await 'login: *$' 600 "$vmm"
say root
await '[#] *$|Password:' 120 "$vmm"
say 'free -m'
await 'Swap:.*' 60 "$vmm"
say reboot
status=0
wait "$vmm" || status=$?
vmm=""
exec 3>&-
wait "$viewer" 2>/dev/null || true

bold "
The guest rebooted, and the monitor is gone: exit status $status, socket $([ -e "$socket" ] && echo 'still there' || echo removed)."
[ "$status" -eq 0 ] && [ ! -e "$socket" ]
