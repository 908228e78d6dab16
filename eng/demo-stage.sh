# shellcheck shell=bash
# How a demo shows itself: commands as if they were typed, and a conversation with a console. Sourced, with fast and work set.

bold() { printf '\033[1m%s\033[0m\n' "$*"; }

# Shows a command as if it were typed.
type_out() {
  printf '\n\033[1;32m$\033[0m '
  if [ "${fast:-}" = --fast ]; then printf '%s' "$*"; else
    local text="$*" i
    for ((i = 0; i < ${#text}; i++)); do
      printf '%s' "${text:i:1}"
      sleep 0.01
    done
  fi
  printf '\n'
}

# Shows a command, then runs it.
show() {
  type_out "$*"
  "$@"
}

# say TEXT: types a line into the console, which reads from descriptor 3.
say() { printf '%s\n' "$1" >&3; }

# await PATTERN SECONDS PID: waits until the console has shown PATTERN since the last await; gives up when PID has ended.
seen=1
await() {
  local deadline=$((SECONDS + $2))
  # shellcheck disable=SC2154  # work is the demo's
  until tail -c "+$seen" "$work/console" | tr -d '\r' | grep -aqE "$1"; do
    kill -0 "$3" 2>/dev/null || return 1
    [ $SECONDS -lt $deadline ] || { bold "the console did not show '$1' in $2 s"; return 1; }
    sleep 0.2
  done
  seen=$(($(wc -c <"$work/console") + 1))
}
