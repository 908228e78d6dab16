#!/usr/bin/env bash
# The talk's first demo, on a host whose /dev/kvm runs guests: eng/demo.sh starts this, in the lab where it must.
# Usage: eng/demo-play.sh KERNEL ROOTFS [--fast]
set -euo pipefail
kernel=$1 rootfs=$2 fast=${3:-}
root="$(cd "$(dirname "$0")/.." && pwd)"
socket=/tmp/firecracker.socket
work=$(mktemp -d)
vmm=""

cleanup() {
  if [ -n "$vmm" ] && kill -0 "$vmm" 2>/dev/null; then kill "$vmm" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap cleanup EXIT

bold() { printf '\033[1m%s\033[0m\n' "$*"; }

# Shows a command as if it were typed.
type_out() {
  printf '\n\033[1;32m$\033[0m '
  if [ "$fast" = --fast ]; then printf '%s' "$*"; else
    local text="$*" i
    for ((i = 0; i < ${#text}; i++)); do
      printf '%s' "${text:i:1}"
      sleep 0.01
    done
  fi
  printf '\n'
}

# put PATH BODY: one request, shown with its answer, which must be 204.
put() {
  local code
  type_out "curl --unix-socket $socket -X PUT http://localhost$1 -d '$2'"
  code=$(curl -sS -o "$work/answer" -w '%{http_code}' --unix-socket "$socket" -X PUT "http://localhost$1" \
    -H 'Content-Type: application/json' -d "$2")
  printf 'HTTP %s %s\n' "$code" "$(cat "$work/answer" 2>/dev/null || true)"
  [ "$code" = 204 ] || { bold "expected 204"; exit 1; }
}

# say TEXT: types a line into the guest's console.
say() { printf '%s\n' "$1" >&3; }

# await PATTERN SECONDS: waits until the console has shown PATTERN since the last await.
seen=1
await() {
  local deadline=$((SECONDS + $2))
  until tail -c "+$seen" "$work/console" | tr -d '\r' | grep -aqE "$1"; do
    kill -0 "$vmm" 2>/dev/null || return 1
    [ $SECONDS -lt $deadline ] || { bold "the guest did not show '$1' in $2 s"; return 1; }
    sleep 0.2
  done
  seen=$(($(wc -c <"$work/console") + 1))
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
await 'login: *$' 600
say root
await '[#] *$|Password:' 120
say 'free -m'
await 'Swap:.*' 60
say reboot
status=0
wait "$vmm" || status=$?
vmm=""
exec 3>&-
wait "$viewer" 2>/dev/null || true

bold "
The guest rebooted, and the monitor is gone: exit status $status, socket $([ -e "$socket" ] && echo 'still there' || echo removed)."
[ "$status" -eq 0 ] && [ ! -e "$socket" ]
