#!/usr/bin/env bash
# ./test: builds everything with warnings as errors, checks formatting and scripts, runs every test project; those that
# boot guests run in the lab. Ends with "N passed, N failed[, N skipped]". Usage: ./test [--no-lab]
set -euo pipefail
cd "$(dirname "$0")/.."
. eng/common.sh
. eng/setup.sh

lab=1
case "${1:-}" in
  "") ;;
  --no-lab) lab="" ;;
  *) die "usage: ./test [--no-lab]" ;;
esac

require_dotnet
share_compiler
passed=0 failed=0 skipped=0
mkdir -p out/test

# check NAME CMD...: a check that is not a test project counts as one test.
check() {
  local name=$1
  shift
  step "$name"
  if "$@"; then passed=$((passed + 1)); else
    failed=$((failed + 1))
    printf 'FAILED: %s\n' "$name" >&2
  fi
}

# count NAME STATUS LOG: adds up what a test program that has ended with STATUS says in LOG.
count() {
  local name=$1 status=$2 log=$3 summary bad
  # The summary's numbers; a program without tests prints only "Total: 0", and is a defect.
  summary=$(grep -aE 'Total: [0-9]+, Errors: [0-9]+, Failed: [0-9]+, Skipped: [0-9]+' "$log" | tail -n 1 || true)
  if [ -z "$summary" ]; then
    failed=$((failed + 1))
    printf 'FAILED: %s ended with status %s and no summary\n' "$name" "$status" >&2
    return
  fi
  field() { sed -nE "s/.*$1: ([0-9]+).*/\1/p" <<<"$summary"; }
  bad=$(($(field Failed) + $(field Errors)))
  failed=$((failed + bad))
  skipped=$((skipped + $(field Skipped)))
  passed=$((passed + $(field Total) - $(field Failed) - $(field Skipped)))
  if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then
    failed=$((failed + 1))
    printf 'FAILED: %s ended with status %s\n' "$name" "$status" >&2
  fi
}

# run_tests PROJECT CMD...: runs a test program and adds its counts up.
run_tests() {
  local name=$1 status=0
  shift
  step "$name"
  "$@" 2>&1 | tee "out/test/$name.log" || status=$?
  count "$name" "$status" "out/test/$name.log"
}

# start_tests NAME CMD...: the same in the background; await_tests prints and counts it.
started_names=() started_pids=()
start_tests() {
  local name=$1
  shift
  step "$name (in the background)"
  "$@" >"out/test/$name.log" 2>&1 </dev/null &
  started_names+=("$name")
  started_pids+=($!)
}

await_tests() {
  local i status
  for i in "${!started_names[@]}"; do
    status=0
    wait "${started_pids[i]}" || status=$?
    step "${started_names[i]}"
    cat "out/test/${started_names[i]}.log"
    count "${started_names[i]}" "$status" "out/test/${started_names[i]}.log"
  done
}

program() { echo "tests/$1/bin/Release/net10.0/$1"; }

shell_scripts() { git ls-files -co --exclude-standard | while read -r file; do head -n 1 "$file" | grep -qE '^#!/usr/bin/env bash|^#!/bin/bash|^# shellcheck shell' && echo "$file"; done; }

# The package that others build on has the same bytes whenever it is made: here, in two steps of an archive's times.
pack() { dotnet pack src/Hearth.Firecracker -c Release --no-build --nologo -v quiet -o "out/test/pack/$1"; }
packs_alike() { rm -rf out/test/pack && pack 1 && sleep 2 && pack 2 && diff -r out/test/pack/1 out/test/pack/2; }

apt_install shellcheck acpica-tools busybox-static curl gcc libc6-dev linux-libc-dev cpio kmod iproute2 erofs-utils skopeo umoci attr libcap2-bin util-linux containernetworking-plugins iptables
apt_unpack docker-registry >/dev/null
step "Building"
dotnet build Hearth.slnx -c Release --nologo -v quiet || die "the build failed"
check "dotnet format is clean" dotnet format Hearth.slnx --verify-no-changes --no-restore
# shellcheck disable=SC2046
check "shellcheck is clean" shellcheck -x $(shell_scripts)
check "Hearth.Firecracker is packed reproducibly" packs_alike
./build
# For SeccompTests, which run in the lab where there is no KVM: that has no compiler.
cc -w -static -o out/inject tests/Hearth.Vmm.Tests/Vcpus/inject.c

dotnet_root=$(dirname "$(readlink -f "$(command -v dotnet)")")
# in_lab PROJECT [OPTION...]: a test program in the lab, with the runtime it needs. In one of another Debian release with suite=NAME.
# Where the lab itself fails (status 125) once more, never for a test.
suite=""
in_lab() {
  local status=0
  in_lab_once "$@" || status=$?
  [ "$status" -eq 125 ] || return "$status"
  step "The lab did not get to the end; trying once more"
  in_lab_once "$@"
}
in_lab_once() {
  local name=$1
  shift
  # shellcheck disable=SC2086  # two words, or none
  lab/run ${suite:+--suite $suite} --mem 6144 --timeout 2700 --share "$dotnet_root:$dotnet_root" -- \
    env DOTNET_ROOT="$dotnet_root" DOTNET_TieredPGO=0 \
    HEARTH_GUEST_KERNEL="${HEARTH_GUEST_KERNEL:-}" HEARTH_GUEST_ROOTFS="${HEARTH_GUEST_ROOTFS:-}" \
    HEARTH_AGENT_INITRD="${HEARTH_AGENT_INITRD:-}" HEARTH_HOSTILE_GUEST="${HEARTH_HOSTILE_GUEST:-}" HEARTH_STOCK_KERNEL="${HEARTH_STOCK_KERNEL:-}" HEARTH_STOCK_INITRD="${HEARTH_STOCK_INITRD:-}" \
    "$(program "$name")" -noColor "$@"
}

# Guests of a few instructions run on whatever KVM there is; without any, the lab has one.
kvm_in_lab=""
if [ -n "$lab" ]; then
  setup_lab
  { [ -r /dev/kvm ] && [ -w /dev/kvm ]; } || kvm_in_lab=1
fi
# after PID CMD...: when another of this script's processes is over.
after() {
  while kill -0 "$1" 2>/dev/null; do sleep 1; done
  "${@:2}"
}
tiny_guests=Hearth.Vmm.Tests.Vcpus pod_tests=Hearth.Lab.Tests.Pods manager_tests=Hearth.Lab.Tests.Managers
# Pods of the host want root and cgroups of version 2, as the lab has, and no guest.
host_pods=Hearth.Runtime.Tests.OciPods.OciHandlerTests
# A lab is one CPU's work. One runs beside what needs none, and then two beside each other, the long ones first.
if [ -n "$lab" ]; then
  setup_guest
  setup_agent_initrd
  setup_stock_kernel
  setup_hostile_guest
  setup_containerds
  lab/images.sh build >/dev/null
  start_tests Hearth.Runtime.Tests-host-pods in_lab Hearth.Runtime.Tests -class "$host_pods"
  start_tests Hearth.Lab.Tests-pods after "${started_pids[-1]}" in_lab Hearth.Lab.Tests -namespace "$pod_tests"
  start_tests Hearth.Lab.Tests-machines after "${started_pids[-1]}" in_lab Hearth.Lab.Tests -namespace- "$pod_tests" -namespace- "$manager_tests"
fi

for project in tests/*.Tests/*.csproj; do
  name=$(basename "$project" .csproj)
  case "$kvm_in_lab:$name" in
    *:Hearth.Lab.Tests) ;;
    1:Hearth.Kvm.Tests) run_tests "$name" in_lab "$name" ;;
    1:Hearth.Vmm.Tests)
      run_tests "$name" "$(program "$name")" -noColor -namespace- "$tiny_guests"
      run_tests "$name" in_lab "$name" -namespace "$tiny_guests"
      ;;
    *:Hearth.Runtime.Tests) run_tests "$name" "$(program "$name")" -noColor -class- "$host_pods" ;;
    *) run_tests "$name" "$(program "$name")" -noColor ;;
  esac
done
if [ -n "$lab" ]; then
  start_tests Hearth.Lab.Tests-managers in_lab Hearth.Lab.Tests -namespace "$manager_tests" -class- "$manager_tests.DockerShimTests"
  # The managers of today, which Debian 12 does not have.
  if later=$(lab/build.sh sid 2>&1 >/dev/null); then
    suite=sid start_tests Hearth.Lab.Tests-later after "${started_pids[-1]}" \
      in_lab Hearth.Lab.Tests -class "$manager_tests.DockerShimTests" -class "$manager_tests.DockerTests" -class "$manager_tests.PodmanTests"
  else
    skipped=$((skipped + 1))
    printf 'SKIPPED: Hearth.Lab.Tests-later: a lab of Debian sid cannot be made here: %s\n' "$(tail -n 1 <<<"$later")" >&2
  fi
  await_tests
fi

if [ "$skipped" -gt 0 ]; then
  printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
else
  printf '%d passed, %d failed\n' "$passed" "$failed"
fi
[ "$failed" -eq 0 ]
