#!/usr/bin/env bash
# In the lab: pods made and removed, one after the other, in jails; then what hearthd and the host have open is what it was
# after the first. Small machines without a disk of their own. Usage: loop.sh KERNEL INITRD PODS
set -euo pipefail
kernel=$1 initrd=$2 pods=$3
. "$(dirname "$0")/../host.sh"
hearth=("$root/out/bin/hearth" --config "$work/hearth.toml")
use_modules tun bridge veth erofs iptable_nat cls_u32 sch_ingress act_mirred
cat >"$work/hearth.toml" <<TOML
[daemon]
socket = "$work/hearthd.sock"
root = "$work/hearth"
state = "$work/state"
log_level = "warning"
[microvm]
kernel = "$kernel"
initrd = "$initrd"
memory_mib = 64
scratch_mib = 0
image_drives = 1
boot_timeout_s = 150
[network]
cni_bin = ["/usr/lib/cni"]
cni_conf = "$work/net.d"
TOML
"$root/out/bin/hearthd" --config "$work/hearth.toml" >"$work/hearthd.log" 2>&1 &
hearthd=$!
started+=("$hearthd")
until [ -S "$work/hearthd.sock" ]; do sleep 0.1; done

# pod NUMBER
pod() {
  local id
  printf '{"metadata": {"name": "p%s", "namespace": "loop", "uid": "u%s"}, "linux": {}}\n' "$1" "$1" >"$work/pod.json"
  id=$("${hearth[@]}" cri runp "$work/pod.json")
  [ "$1" -ne 0 ] || "${hearth[@]}" inspect "$id" | grep -A 16 '"jail"'
  "${hearth[@]}" cri stopp "$id" >/dev/null
  "${hearth[@]}" cri rmp "$id" >/dev/null
}

# What there is, a line each: name, number.
count() {
  echo "hearthd-descriptors $(find "/proc/$hearthd/fd" -mindepth 1 | wc -l)"
  echo "hearthd-threads $(find "/proc/$hearthd/task" -mindepth 1 -maxdepth 1 | wc -l)"
  echo "processes $(find /proc -maxdepth 1 -name '[0-9]*' -exec cat {}/comm \; 2>/dev/null | grep -cE 'hearth|virtiofsd')"
  echo "network-namespaces $(lsns -t net -n | wc -l)"
  echo "links $(ip -o link | wc -l)"
  echo "mounts $(wc -l </proc/self/mountinfo)"
  echo "cgroups $(find /sys/fs/cgroup -type d | wc -l)"
  echo "users $(find "$work/state/jail-users" -type f 2>/dev/null | wc -l)"
  echo "files-state $(find "$work/state" /run/netns -mindepth 1 2>/dev/null | wc -l)"
  echo "files-root $(find "$work/hearth" -mindepth 1 2>/dev/null | wc -l)"
}

# What hearthd has open, by kind.
kinds() { find "/proc/$hearthd/fd" -mindepth 1 -printf '%l\n' | sed 's/[0-9]\{1,\}/N/g' | sort | uniq -c; }

pod 0
sleep 2
count >"$work/before"
kinds >"$work/kinds-before"
echo "after the first: RSS of hearthd $(awk '/^VmRSS/ { print $2 }' "/proc/$hearthd/status") KiB, free memory $(awk '/^MemAvailable/ { print $2 }' /proc/meminfo) KiB"
begin=$SECONDS
for ((i = 1; i <= pods; i++)); do
  pod "$i" || { tail -n 30 "$work/hearthd.log"; exit 1; }
  [ $((i % 10)) -ne 0 ] || echo "$i pods in $((SECONDS - begin)) s"
done
sleep 2
count >"$work/after"
echo "after $pods more, in $((SECONDS - begin)) s: RSS of hearthd $(awk '/^VmRSS/ { print $2 }' "/proc/$hearthd/status") KiB, free memory $(awk '/^MemAvailable/ { print $2 }' /proc/meminfo) KiB"
paste -d ' ' "$work/before" "$work/after" | awk '{ printf "%-20s %6d  %6d\n", $1, $2, $4 }'
# Threads of a pool come and go.
diff <(grep -v threads "$work/before") <(grep -v threads "$work/after") >/dev/null || { echo "Something is left."; kinds | diff "$work/kinds-before" -; tail -n 30 "$work/hearthd.log"; exit 1; }
[ ! -s "$work/hearthd.log" ] || tail -n 5 "$work/hearthd.log"
echo "Everything is as it was."
