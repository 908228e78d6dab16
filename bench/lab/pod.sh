#!/usr/bin/env bash
# In the lab: pods by CRI, hearthd against containerd with runc: the same image from the same registry, the same CNI
# network, the same client. Then the memory of hearthd and its shims with idle pods.
# Usage: pod.sh KERNEL INITRD ROUNDS IDLE-PODS
set -euo pipefail
kernel=$1 initrd=$2 rounds=$3 idle=$4
. "$(dirname "$0")/../host.sh"
bench="$root/bench/pods/bin/Release/net10.0/pod-bench"
registry=127.0.0.1:5000

use_modules tun bridge veth overlay erofs iptable_nat cls_u32 sch_ingress act_mirred
"$root/lab/images.sh" serve 5000 &
started+=($!)
mkdir -p "$work/net.d"
cat >"$work/net.d/10-bench.conflist" <<JSON
{"cniVersion": "0.4.0", "name": "bench", "plugins": [
  {"type": "bridge", "bridge": "bench0", "isGateway": true, "ipMasq": true,
   "ipam": {"type": "host-local", "dataDir": "$work/ipam", "ranges": [[{"subnet": "10.79.0.0/16"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
JSON
cat >"$work/containerd.toml" <<TOML
version = 2
root = "$work/containerd"
state = "$work/containerd.state"
[grpc]
address = "$work/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "$registry/pause:1"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "$work/net.d"
TOML
cat >"$work/hearth.toml" <<TOML
[daemon]
socket = "$work/hearthd.sock"
root = "$work/hearth"
state = "$work/hearth.state"
log_level = "warning"
[microvm]
kernel = "$kernel"
initrd = "$initrd"
memory_mib = 128
boot_timeout_s = 150
[network]
cni_bin = ["/usr/lib/cni"]
cni_conf = "$work/net.d"
[[registries]]
host = "$registry"
plain_http = true
TOML
containerd -c "$work/containerd.toml" >"$work/containerd.log" 2>&1 &
started+=($!)
"$root/out/bin/hearthd" --config "$work/hearth.toml" >"$work/hearthd.log" 2>&1 &
started+=($!)
hearthd=$!
for ((i = 0; i < 1200; i++)); do
  [ -S "$work/containerd.sock" ] && [ -S "$work/hearthd.sock" ] && curl -sf "http://$registry/v2/" >/dev/null && break
  sleep 0.1
done

"$bench" "$rounds" "$registry/busybox:1" "hearth=$work/hearthd.sock" "containerd=$work/containerd.sock" || { tail -n 30 "$work/hearthd.log" "$work/containerd.log"; exit 1; }

mkfifo "$work/go"
"$bench" idle "$idle" "$registry/busybox:1" "hearth=$work/hearthd.sock" <"$work/go" >"$work/idle.log" 2>&1 &
pods=$!
exec 3>"$work/go"
for ((i = 0; i < 9000; i++)); do
  grep -q READY "$work/idle.log" && break
  kill -0 "$pods" 2>/dev/null || break
  sleep 0.1
done
grep -q READY "$work/idle.log" || { cat "$work/idle.log"; tail -n 30 "$work/hearthd.log"; exit 1; }

# pss PID: KiB.
pss() { awk '/^Pss:/ { sum += $2 } END { print sum + 0 }' "/proc/$1/smaps_rollup"; }
shims=()
for pid in $(pgrep -f 'hearth-shim|containerd-shim-hearth'); do shims+=("$(pss "$pid")"); done
printf '%s\n' "${shims[@]}" | sort -n | awk -v idle="$idle" -v wanted=25 \
  '{ a[NR] = $1; sum += $1 } END { printf "%d idle pods: %d shims, PSS median %.1f MiB, largest %.1f MiB (wanted <= %d)\n", idle, NR, a[int((NR + 1) / 2)] / 1024, a[NR] / 1024, wanted }'
awk -v pss="$(pss "$hearthd")" -v rss="$(awk '/^VmRSS/ { print $2 }' "/proc/$hearthd/status")" \
  'BEGIN { printf "hearthd: PSS %.1f MiB, RSS %.1f MiB (wanted <= 80)\n", pss / 1024, rss / 1024 }'
echo >&3
wait "$pods"
