#!/usr/bin/env bash
# On this machine: CPU time and wall time from exec of hearth-vmm to its first answer on the API socket.
# Usage: bench/api.sh ROUNDS
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=$1
. bench/host.sh

cpu=() wall=()
for ((i = 0; i <= rounds; i++)); do
  socket="$work/$i.sock"
  begin=${EPOCHREALTIME/./}
  out/bin/hearth-vmm --api-sock "$socket" </dev/null >/dev/null 2>&1 &
  pid=$!
  until [ -S "$socket" ]; do :; done
  opened=${EPOCHREALTIME/./}
  curl -sS -o "$work/answer" --unix-socket "$socket" http://localhost/
  # The first field is nanoseconds on a CPU, one file a thread.
  ns=$(cat /proc/$pid/task/*/schedstat | awk '{ sum += $1 } END { print sum }')
  kill $pid
  wait $pid 2>/dev/null || true
  grep -q vmm_version "$work/answer"
  # The first start reads the binary from disk and is not counted.
  [ "$i" -eq 0 ] && continue
  cpu+=("$((ns / 1000))") wall+=("$((opened - begin))")
done
awk -v c="$(median "${cpu[@]}")" -v w="$(median "${wall[@]}")" \
  'BEGIN { printf "API socket answering: %.2f ms CPU (wanted <= 8), %.2f ms wall to the open socket\n", c / 1000, w / 1000 }'
