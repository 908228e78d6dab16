#!/usr/bin/env bash
# In the lab: `ctr run --rm` and `podman run --rm` of `true` from a local image, Hearth against runc under the same manager,
# in turns, with where Hearth's time goes; then many `ctr run` at a time, and the memory of their pods.
# Usage: managers.sh KERNEL INITRD ROUNDS PODS
set -euo pipefail
kernel=$1 initrd=$2 rounds=$3 pods=$4
. "$(dirname "$0")/../host.sh"
image=127.0.0.1:5000/busybox:1

use_modules tun bridge veth overlay iptable_nat xt_comment xt_conntrack xt_MASQUERADE cls_u32 sch_ingress act_mirred
"$root/lab/images.sh" serve 5000 &
started+=($!)
cat >"$work/hearth.toml" <<TOML
[daemon]
root = "$work/hearth"
state = "$work/state"
[microvm]
kernel = "$kernel"
initrd = "$initrd"
memory_mib = 128
boot_timeout_s = 3600
TOML
export HEARTH_CONFIG="$work/hearth.toml"

# wrap NAME PROGRAM: a program that writes down when it is called, and when it has ended: "NAME COMMAND BEGIN END", microseconds.
mkdir "$work/bin"
wrap() {
  cat >"$work/bin/$1" <<SH
#!/bin/bash
begin=\${EPOCHREALTIME/./}
HEARTH_CONFIG=$work/hearth.toml "$2" "\$@"
status=\$?
for word in "\$@"; do case "\$word" in create | start | kill | delete | state | exec) echo "$1 \$word \$begin \${EPOCHREALTIME/./}" >>"$work/calls"; break ;; esac; done
exit \$status
SH
  chmod 755 "$work/bin/$1"
}
wrap containerd-shim-hearth-v2 "$root/out/bin/hearth-shim"
wrap hearth-oci "$root/out/bin/hearth-oci"
wrap runc "$(command -v runc)"
PATH="$work/bin:$PATH" containerd --log-level debug --root "$work/ctd" --state "$work/ctd-state" --address "$work/ctd.sock" >"$work/containerd.log" 2>&1 &
started+=($!)
# Fifty at a time: each is starved of the CPU for longer than its ten seconds.
ctr=(ctr --connect-timeout 3600s --address "$work/ctd.sock")
for ((i = 0; i < 600; i++)); do
  "${ctr[@]}" version >/dev/null 2>&1 && curl -sf http://127.0.0.1:5000/v2/ >/dev/null && break
  sleep 0.1
done
"${ctr[@]}" image pull --plain-http "$image" >/dev/null
"${ctr[@]}" events >"$work/events" &
started+=($!)

cat >"$work/containers.conf" <<TOML
[containers]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "$work/podman-tmp"
[engine.runtimes]
hearth = ["$work/bin/hearth-oci"]
runc = ["$work/bin/runc"]
[network]
cni_plugin_dirs = ["/usr/lib/cni"]
network_config_dir = "$work/net.d"
TOML
printf '[storage]\ndriver = "overlay"\ngraphroot = "%s/podman"\nrunroot = "%s/podman-run"\n' "$work" "$work" >"$work/storage.conf"
printf '[[registry]]\nlocation = "127.0.0.1:5000"\ninsecure = true\n' >"$work/registries.conf"
export CONTAINERS_CONF="$work/containers.conf" CONTAINERS_STORAGE_CONF="$work/storage.conf" CONTAINERS_REGISTRIES_CONF="$work/registries.conf"
podman pull -q "$image" >/dev/null

# timed NAME COMMAND...: keeps the milliseconds, and where they began and ended.
declare -A seen
timed() {
  local name=$1
  shift
  begin=${EPOCHREALTIME/./}
  "$@" >"$work/log" 2>&1 </dev/null || { cat "$work/log"; tail -n 40 "$work/containerd.log"; exit 1; }
  end=${EPOCHREALTIME/./}
  seen[$name]+=" $(((end - begin) / 1000))"
  echo "$name $(((end - begin) / 1000)) ms"
}
# shellcheck disable=SC2086
of() { median ${seen[$1]}; }
# stage NAME BEGIN END: of the breakdown, in microseconds.
stages=()
stage() {
  [[ " ${stages[*]-} " == *" $1 "* ]] || stages+=("$1")
  seen[$1]+=" $((($3 - $2) / 1000))"
}
# call NAME COMMAND WHICH: the WHICH (3 begin, 4 end) of its last call.
call() { awk -v n="$1" -v c="$2" -v w="$3" '$1 == n && $2 == c { at = $w } END { print at }' "$work/calls"; }
# event TOPIC: when the last one was, in microseconds.
event() { date -d "$(awk -v t="$1" '$6 == t { at = $1 " " $2 " " $3 } END { print at }' "$work/events")" +%s%6N; }
breakdown() {
  for name in "${stages[@]}"; do printf '%8d ms  %s\n' "$(of "$name")" "${name//_/ }"; done | sort -rn
  stages=()
}
ratio() { awk -v n="$1" -v a="$(of "$1-hearth")" -v b="$(of "$1-runc")" 'BEGIN { printf "%-22s hearth %8d ms   runc %8d ms   ratio %.2f\n", n, a, b, a / b }'; }

for ((i = 0; i <= rounds; i++)); do
  # The first of each fills caches.
  if [ "$i" -eq 1 ]; then seen=() stages=(); fi
  timed ctr-runc "${ctr[@]}" run --rm --runtime io.containerd.runc.v2 "$image" "r$i" true
  timed ctr-hearth "${ctr[@]}" run --rm --runtime io.containerd.hearth.v2 "$image" "h$i" true
  sleep 1
  stage ctr,_image_and_snapshot "$begin" "$(call containerd-shim-hearth-v2 start 3)"
  stage the_shim_starts "$(call containerd-shim-hearth-v2 start 3)" "$(call containerd-shim-hearth-v2 start 4)"
  stage the_machine_comes_up_and_the_container_is_made "$(call containerd-shim-hearth-v2 start 4)" "$(event /tasks/create)"
  stage the_container_starts "$(event /tasks/create)" "$(event /tasks/start)"
  stage true_runs_to_its_end "$(event /tasks/start)" "$(event /tasks/exit)"
  stage the_machine_ends "$(event /tasks/exit)" "$(event /tasks/delete)"
  stage the_shim_ends "$(event /tasks/delete)" "$(call containerd-shim-hearth-v2 delete 3)"
  stage "containerd_calls_the_shim's_delete" "$(call containerd-shim-hearth-v2 delete 3)" "$(call containerd-shim-hearth-v2 delete 4)"
  stage containerd_and_ctr_forget_it "$(call containerd-shim-hearth-v2 delete 4)" "$end"
done
ratio ctr
breakdown
grep -o 'The machine came up in [^.]*' "$work/containerd.log" | tail -n "$rounds"

for ((i = 0; i <= rounds; i++)); do
  if [ "$i" -eq 1 ]; then seen=() stages=(); fi
  timed podman-runc podman --runtime runc run --rm "$image" true
  timed podman-hearth podman --runtime hearth run --rm "$image" true
  stage podman,_network,_conmon "$begin" "$(call hearth-oci create 3)"
  stage create "$(call hearth-oci create 3)" "$(call hearth-oci create 4)"
  stage start "$(call hearth-oci start 3)" "$(call hearth-oci start 4)"
  stage true_ends,_podman_hears_of_it "$(call hearth-oci start 4)" "$(call hearth-oci delete 3)"
  stage delete "$(call hearth-oci delete 3)" "$(call hearth-oci delete 4)"
  stage podman_cleans_up "$(call hearth-oci delete 4)" "$end"
done
ratio podman
breakdown

# pss NAME: KiB of all processes of that name, and their number.
pss() {
  local pid sum=0 number=0
  for pid in $(pgrep "$1" || true); do
    # It may end meanwhile.
    sum=$((sum + $(awk '/^Pss:/ { s += $2 } END { print s + 0 }' "/proc/$pid/smaps_rollup" 2>/dev/null || echo 0)))
    number=$((number + 1))
  done
  echo "$sum $number"
}

began=$SECONDS
runs=()
for ((i = 0; i < pods; i++)); do
  # Each waits to be ended, so that all are there at one time, and does nothing meanwhile: who asks each second takes all of a slow host.
  "${ctr[@]}" run --rm --runtime io.containerd.hearth.v2 "$image" "p$i" \
    sh -c "trap 'exit 3' TERM; echo up; sleep 100000 & wait" >"$work/p$i" 2>&1 &
  runs+=($!)
done
for ((i = 0; i < 9000; i++)); do
  [ "$(cat "$work"/p[0-9]* | grep -c '^up$')" -lt "$pods" ] || break
  for run in "${runs[@]}"; do
    kill -0 "$run" 2>/dev/null || {
      echo "one of $pods at a time has ended by itself, after $((SECONDS - began)) s"
      grep -v '^up$' "$work"/p[0-9]*
      grep -v level=debug "$work/containerd.log" | tail -n 60
      exit 1
    }
  done
  sleep 1
done
echo "$(cat "$work"/p[0-9]* | grep -c '^up$') of $pods at a time ran after $((SECONDS - began)) s"
for name in hearth-shim containerd-shim hearth-vmm virtiofsd; do
  read -r sum number <<<"$(pss "$name")"
  [ "$number" -eq 0 ] || awk -v n="$name" -v s="$sum" -v c="$number" -v p="$pods" 'BEGIN { printf "  %-16s %3d processes, %6.1f MiB PSS a pod\n", n, c, s / 1024 / p }'
done
free -m | awk '/^Mem:/ { print "  the host: " $3 " MiB used, " $7 " available" }'
for ((i = 0; i < pods; i++)); do "${ctr[@]}" task kill "p$i" || true; done
failed=0
for run in "${runs[@]}"; do
  status=0
  wait "$run" || status=$?
  [ "$status" -eq 3 ] || failed=$((failed + 1))
done
echo "$failed of $pods failed; all over after $((SECONDS - began)) s"
[ "$failed" -eq 0 ] || { cat "$work"/p[0-9]*; grep -v level=debug "$work/containerd.log" | tail -n 30; exit 1; }
