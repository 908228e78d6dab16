#!/usr/bin/env bash
# In the lab: one image of many files as a container's root by virtio-fs (how the roots that containerd prepared reach the guest: ctr) and as
# an EROFS drive with a scratch disk over it (how Hearth's own images do: hearth run), by the guest's clock; what runc has, beside them; and what
# it costs to make an image of a prepared root. Usage: roots.sh KERNEL INITRD ROUNDS
set -euo pipefail
kernel=$1 initrd=$2 rounds=$3
. "$(dirname "$0")/../host.sh"
use_modules tun bridge veth overlay erofs loop iptable_nat xt_comment xt_conntrack xt_MASQUERADE cls_u32 sch_ingress act_mirred

# An image as a language's runtime is: 2000 files in 100 folders, 32 MiB.
layout="$work/layout" manifests="" layers="" diff_ids=""
mkdir "$layout"
. "$root/lab/oci-layout.sh"
busybox_root "$work/base"
for ((folder = 0; folder < 100; folder++)); do
  mkdir -p "$work/base/tree/$folder"
  for ((file = 0; file < 20; file++)); do head -c 16384 /dev/urandom >"$work/base/tree/$folder/$file"; done
done
layer "$work/base"
image localhost/many:1 '{"Env":["PATH=/usr/bin:/bin"],"Cmd":["sh"]}'
tar -C "$layout" -cf "$work/image.tar" oci-layout index.json blobs
image=localhost/many:1

cat >"$work/hearth.toml" <<TOML
[daemon]
socket = "$work/hearthd.sock"
root = "$work/hearth"
state = "$work/state"
log_level = "warning"
[microvm]
kernel = "$kernel"
initrd = "$initrd"
memory_mib = 256
boot_timeout_s = 300
[network]
cni_bin = ["/usr/lib/cni"]
cni_conf = "$work/net.d"
TOML
export HEARTH_CONFIG="$work/hearth.toml"
"$root/out/bin/hearthd" --config "$work/hearth.toml" >"$work/hearthd.log" 2>&1 &
started+=($!)
ln -s "$root/out/bin/hearth-shim" "$work/containerd-shim-hearth-v2"
PATH="$work:$PATH" containerd --root "$work/ctd" --state "$work/ctd-state" --address "$work/ctd.sock" >"$work/containerd.log" 2>&1 &
started+=($!)
ctr=(ctr --connect-timeout 300s --address "$work/ctd.sock")
for ((i = 0; i < 600; i++)); do
  "${ctr[@]}" version >/dev/null 2>&1 && [ -S "$work/hearthd.sock" ] && break
  sleep 0.1
done
"${ctr[@]}" image import "$work/image.tar" >/dev/null
"$root/out/bin/hearth" load -i "$work/image.tar" >/dev/null

# What a program does with its root. The guest's clock has hundredths of a second; "093" would be octal to the shell.
cat >"$work/job" <<'SH'
now() { read -r up _ </proc/uptime; echo $((${up%.*} * 100 + 1${up#*.} - 100)); }
stage() { at=$(now); echo "RESULT $1 $(((at - last) * 10))"; last=$(now); }
last=$(now)
find /tree | wc -l >/dev/null; stage names
tar -cf - /tree 2>/dev/null | cat >/dev/null; stage cold-read
tar -cf - /tree 2>/dev/null | cat >/dev/null; stage warm-read
for i in 0 1 2 3 4; do cp -r /tree/$i /new$i; done; stage copy-100-files
for i in 5 6 7 8 9; do for f in /tree/$i/*; do echo x >>$f; done; done; stage change-100-files
rm -r /new0 /new1 /new2 /new3 /new4; stage remove-100-files
SH
run_runc() { "${ctr[@]}" run --rm --runtime io.containerd.runc.v2 "$image" "r$1" sh -c "$(cat "$work/job")"; }
run_virtiofs() { "${ctr[@]}" run --rm --runtime io.containerd.hearth.v2 "$image" "f$1" sh -c "$(cat "$work/job")"; }
run_image() { "$root/out/bin/hearth" run --rm --pull never "$image" sh -c "$(cat "$work/job")"; }

declare -A seen
kinds=(virtiofs image runc)
stages=(names cold-read warm-read copy-100-files change-100-files remove-100-files)
for ((i = 0; i < rounds; i++)); do
  for kind in "${kinds[@]}"; do
    # As after the host has been up for a while: what the host has in its cache is another matter.
    echo 3 >/proc/sys/vm/drop_caches
    "run_$kind" "$i" >"$work/log" 2>&1 </dev/null || { cat "$work/log"; tail -n 30 "$work/containerd.log" "$work/hearthd.log"; exit 1; }
    for stage in "${stages[@]}"; do
      value=$(sed -n "s/^RESULT $stage \([0-9]*\).*/\1/p" "$work/log")
      [ -n "$value" ] || { cat "$work/log"; exit 1; }
      seen[$kind-$stage]+=" $value"
    done
    echo "round $i $kind: $(tr '\n' ' ' <"$work/log")"
  done
  # What an image of a prepared root would cost before its container can start, once for each.
  mkdir -p "$work/mounted"
  "${ctr[@]}" image mount "$image" "$work/mounted" >/dev/null
  begin=${EPOCHREALTIME/./}
  truncate -s 128M "$work/root.ext4"
  mke2fs -q -t ext4 -O ^has_journal -E lazy_itable_init=1 -d "$work/mounted" "$work/root.ext4"
  seen[making]+=" $(((${EPOCHREALTIME/./} - begin) / 1000))"
  rm "$work/root.ext4"
  "${ctr[@]}" image unmount --rm "$work/mounted" >/dev/null
done
printf '%-20s %12s %12s %12s\n' "ms" "virtio-fs" "image" "runc"
for stage in "${stages[@]}"; do
  # shellcheck disable=SC2086
  printf '%-20s %12s %12s %12s\n' "$stage" "$(median ${seen[virtiofs-$stage]})" "$(median ${seen[image-$stage]})" "$(median ${seen[runc-$stage]})"
done
# shellcheck disable=SC2086
echo "making an ext4 image of the prepared root: $(median ${seen[making]}) ms"
