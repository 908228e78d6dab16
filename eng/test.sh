#!/usr/bin/env bash
# ./test: builds everything with warnings as errors, checks formatting, runs every test project.
set -euo pipefail
cd "$(dirname "$0")/.."
. eng/common.sh

require_dotnet
passed=0 failed=0 skipped=0

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

shell_scripts() { grep -rlE '^#!/usr/bin/env bash|^# shellcheck shell' build test demo .ci eng lab bench fuzz 2>/dev/null; }

step "Building"
dotnet build Hearth.slnx -c Release --nologo -v quiet || die "the build failed"
check "dotnet format is clean" dotnet format Hearth.slnx --verify-no-changes --no-restore
apt_install shellcheck acpica-tools
# shellcheck disable=SC2046
check "shellcheck is clean" shellcheck -x $(shell_scripts)

for project in tests/*.Tests/*.csproj; do
  name=$(basename "$project" .csproj)
  step "$name"
  log="out/test/$name.log"
  mkdir -p out/test
  status=0
  "tests/$name/bin/Release/net10.0/$name" -noColor 2>&1 | tee "$log" || status=$?
  summary=$(grep -E 'Total: [0-9]+, Errors: [0-9]+, Failed: [0-9]+, Skipped: [0-9]+' "$log" | tail -n 1 || true)
  if [ -z "$summary" ]; then
    failed=$((failed + 1))
    printf 'FAILED: %s ended with status %s and no summary\n' "$name" "$status" >&2
    continue
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
done

if [ "$skipped" -gt 0 ]; then
  printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
else
  printf '%d passed, %d failed\n' "$passed" "$failed"
fi
[ "$failed" -eq 0 ]
