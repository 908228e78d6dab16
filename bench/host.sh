# shellcheck shell=bash
# What benchmarks need of the machine they run on, the lab or this one: a folder and processes that end with the script. Sourced.

# shellcheck disable=SC2034  # for who sources it
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
work=$(mktemp -d)
# Process ids.
started=()
cleanup() {
  for pid in "${started[@]}"; do
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  # Podman's.
  umount -l "$work"/*/overlay 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT

# use_modules NAME...: what the lab's Debian has not loaded yet.
use_modules() { for module in "$@"; do modprobe -q "$module" || true; done; }

# median NUMBER...
median() { printf '%s\n' "$@" | sort -n | awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] }'; }
