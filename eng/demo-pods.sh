#!/usr/bin/env bash
# The talk's second demo: a pod's life through CRI, then what a person types. On a host whose /dev/kvm runs guests, as root:
# eng/demo.sh starts this, in the lab where it must. Usage: eng/demo-pods.sh KERNEL INITRD [--fast]
set -euo pipefail
kernel=$1 initrd=$2 fast=${3:-}
root="$(cd "$(dirname "$0")/.." && pwd)"
work=$(mktemp -d /tmp/hearth-demo.XXXXXX)
port=$((15000 + $$ % 10000))
daemon="" registry=""
. "$root/eng/demo-stage.sh"
export PATH="$root/out/bin:$PATH" HEARTH_CONFIG="$work/hearth.toml"

cleanup() {
  status=$?
  [ -z "$daemon" ] || hearth ps -a -q 2>/dev/null | xargs -r hearth rm -f >/dev/null 2>&1 || true
  [ -z "$daemon" ] || hearth pods -q 2>/dev/null | xargs -r hearth cri rmp -f >/dev/null 2>&1 || true
  for process in $daemon $registry; do
    kill "$process" 2>/dev/null || true
    wait "$process" 2>/dev/null || true
  done
  [ $status -eq 0 ] || { bold "the demo failed; hearthd said last:"; tail -n 20 "$work/hearthd.log" 2>/dev/null || true; }
  rm -rf "$work"
}
trap cleanup EXIT

# What a pod leaves if somebody forgets to tidy up.
leftovers() {
  {
    ip netns list 2>/dev/null
    ip -br link show type veth
    pgrep -l '^hearth-' | sed 's/^[0-9]* //' || true
    pgrep -l '^virtiofsd' | sed 's/^[0-9]* //' || true
    grep -F "$work" /proc/mounts || true
  } | sed 's/^/  left: /'
}

for module in tun bridge veth overlay loop erofs iptable_nat xt_comment xt_conntrack xt_MASQUERADE cls_u32 sch_ingress act_mirred; do
  modprobe -q "$module" 2>/dev/null || true
done
before=$(leftovers)
image="127.0.0.1:$port/busybox:1"
web="127.0.0.1:$port/web:1"
cat >"$HEARTH_CONFIG" <<CONFIG
[daemon]
socket = "$work/run/hearthd.sock"
root = "$work/lib"
state = "$work/run"

[microvm]
kernel = "$kernel"
initrd = "$initrd"
memory_mib = 192
scratch_mib = 512
boot_timeout_s = 300

[network]
cni_bin = ["/usr/lib/cni", "/opt/cni/bin"]
cni_conf = "$work/net.d"

[[registries]]
host = "127.0.0.1:$port"
plain_http = true
CONFIG
mkdir -p "$work/logs"
cat >"$work/pod.json" <<POD
{"metadata": {"name": "demo", "namespace": "default", "uid": "demo-1"}, "log_directory": "$work/logs", "linux": {}}
POD
cat >"$work/container.json" <<CONTAINER
{"metadata": {"name": "busybox"}, "image": {"image": "$image"}, "log_path": "busybox.log", "linux": {},
 "command": ["sh", "-c", "trap 'exit 0' TERM; echo hello from a microVM; while :; do sleep 1; done"]}
CONTAINER

"$root/lab/images.sh" serve "$port" >/dev/null 2>&1 &
registry=$!
bold "The daemon:"
type_out "hearthd --config hearth.toml &"
hearthd --config "$HEARTH_CONFIG" >"$work/hearthd.log" 2>&1 &
daemon=$!
for _ in $(seq 600); do [ -S "$work/run/hearthd.sock" ] && break; sleep 0.1; done

cd "$work"
if command -v crictl >/dev/null; then
  cri=(crictl --runtime-endpoint "unix://$work/run/hearthd.sock" --image-endpoint "unix://$work/run/hearthd.sock" --timeout 300s)
else
  cri=(hearth cri)
fi
# Shown without the endpoints, which crictl would have in its configuration.
say_cri() { type_out "$([ "${cri[0]}" = crictl ] && echo crictl || echo hearth cri) $*"; }
cri() {
  say_cri "$@"
  "${cri[@]}" "$@"
}

bold "
A pod's life, call by call:"
cri pull "$image"
say_cri runp pod.json
pod=$("${cri[@]}" runp pod.json)
echo "$pod"
say_cri create "${pod:0:12}" container.json pod.json
container=$("${cri[@]}" create "$pod" container.json pod.json)
echo "$container"
cri start "${container:0:12}"
cri ps
cri exec "${container:0:12}" uname -a
cri logs "${container:0:12}"
cri stop "${container:0:12}"
cri rm "${container:0:12}"
cri stopp "${pod:0:12}"
cri rmp "${pod:0:12}"

bold "
What a person types:"
mkfifo "$work/keys"
: >"$work/console"
type_out "hearth run -it --rm $image sh"
script -qefc "hearth run -it --rm $image sh" /dev/null <"$work/keys" >"$work/console" 2>&1 &
run=$!
exec 3>"$work/keys"
tail -n +1 -f "$work/console" --pid "$run" &
viewer=$!
# A shell's prompt; busybox asks where the cursor is.
prompt='# ?([^ ]*\[6n)?$'
await "$prompt" 600 "$run"
say 'uname -r; ps | head -n 4'
await "$prompt" 120 "$run"
say 'exit 3'
status=0
wait "$run" || status=$?
exec 3>&-
wait "$viewer" 2>/dev/null || true
echo "(exit status $status)"
[ "$status" -eq 3 ]

show hearth run -d --name web -p 18080:80 "$web"
show hearth ps
show hearth exec web sh -c 'cat /www/index.html; hostname'
show hearth logs web
show hearth stats --no-stream
show hearth rm -f web
show hearth ps -a

kill "$daemon"
wait "$daemon" 2>/dev/null || true
daemon=""
after=$(leftovers)
if [ "$after" = "$before" ]; then
  bold "
Nothing is left: no process, network, mount or file of any pod."
else
  bold "
Something is left:"
  echo "$after"
  exit 1
fi
