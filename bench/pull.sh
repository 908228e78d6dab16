#!/usr/bin/env bash
# On this machine: pulling an image of some 200 MiB from a registry on loopback and making a root file system of it,
# against containerd's pull and unpack, and skopeo's copy with umoci's unpack. Paired rounds, each from nothing.
# Usage: bench/pull.sh ROUNDS (as root: containerd and umoci need it)
set -euo pipefail
cd "$(dirname "$0")/.."
. eng/common.sh
. lab/oci-layout.sh
rounds=$1

[ "$(id -u)" -eq 0 ] || die "containerd and umoci unpack as root: run this as root"
apt_install skopeo umoci
registry=$(apt_unpack docker-registry)
peer=$(apt_unpack containerd)
PATH="$PATH:$registry/usr/bin:$peer/usr/bin"
. bench/host.sh
layout="$work/layout"
mkdir "$layout"

# Three layers, of folders that every machine with the SDK has.
make_image() {
  local sdk folder layers="" diff_ids="" manifests=""
  sdk=$(dirname "$(readlink -f "$(command -v dotnet)")")
  mkdir "$work/layer"
  for folder in shared packs templates; do
    mkdir "$work/layer/$folder"
    cp -a "$sdk/$folder/." "$work/layer/$folder/"
    layer "$work/layer"
    rm -rf "$work/layer/$folder"
  done
  image x '{}'
}

start_servers() {
  # A port of this process' own number, among those that nothing else takes.
  host=127.0.0.1:$((20000 + $$ % 10000))
  registry_up "$work/registry" "${host#*:}"
  started+=("$registry_pid")
  printf 'version = 2\nroot = "%s"\nstate = "%s"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "%s"\n' \
    "$work/containerd" "$work/state" "$work/sock" >"$work/containerd.toml"
  containerd -c "$work/containerd.toml" >/dev/null 2>&1 &
  started+=($!)
  until skopeo copy -q --dest-tls-verify=false "oci:$layout:x" "docker://$host/bench:1" 2>/dev/null && ctr -a "$work/sock" version >/dev/null 2>&1; do :; done
}

# timed CMD...: sets took to its microseconds.
timed() {
  local begin=${EPOCHREALTIME/./}
  "$@" >"$work/log" 2>&1 || die "$1 failed: $(tail -n 5 "$work/log")"
  took=$((${EPOCHREALTIME/./} - begin))
}

copy_and_unpack() { skopeo copy -q --src-tls-verify=false "docker://$host/bench:1" "oci:$work/copy:x" && umoci unpack --image "$work/copy:x" "$work/bundle"; }

forget() {
  rm -rf "$work/store" "$work/copy" "$work/bundle"
  ctr -a "$work/sock" image rm --sync "$host/bench:1" >/dev/null 2>&1 || true
}

make_image
start_servers
hearth=() containerd=() umoci=()
for ((i = 0; i <= rounds; i++)); do
  forget
  timed out/bin/hearth pull --root "$work/store" "$host/bench:1"
  ours=$took
  timed ctr -a "$work/sock" image pull --plain-http "$host/bench:1"
  theirs=$took
  timed copy_and_unpack
  # The first round warms the page cache for all.
  [ "$i" -eq 0 ] && continue
  hearth+=("$ours") containerd+=("$theirs") umoci+=("$took")
done
awk -v h="$(median "${hearth[@]}")" -v c="$(median "${containerd[@]}")" -v u="$(median "${umoci[@]}")" -v m="$(du -m "$work"/store/images/*/rootfs.erofs | cut -f1)" \
  'BEGIN { printf "pull and flatten, %d MiB: %.2f s; containerd %.2f s, skopeo and umoci %.2f s; ratio to containerd %.2f (wanted <= 1.5)\n", m, h / 1e6, c / 1e6, u / 1e6, h / c }'
