#!/usr/bin/env bash
# Small OCI images made from Debian's busybox-static, and a registry that has them: what tests, demo and benchmarks pull.
# Usage: lab/images.sh build        makes them once, and prints the folder with the registry's storage and a layout
#        lab/images.sh serve PORT   serves that folder on 127.0.0.1:PORT until it is ended
#   busybox:1  every program of busybox            web:1    httpd on port 80, whose page says "hearth"
#   app:1      the same as user app (1000)         pause:1  waits for SIGTERM
set -euo pipefail
cd "$(dirname "$0")/.."
. eng/common.sh
. lab/oci-layout.sh

hash=$(cat lab/images.sh lab/oci-layout.sh | sha256sum | cut -c1-16)
target="$HEARTH_CACHE/images/$hash"

build() {
  [ -f "$target/complete" ] && return 0
  apt_install busybox-static skopeo
  local registry work port manifests="" layers="" diff_ids="" name path='"Env":["PATH=/usr/bin:/bin"]'
  registry=$(apt_unpack docker-registry)
  export PATH="$PATH:$registry/usr/bin"
  mkdir -p "$HEARTH_CACHE/images"
  exec 9>"$HEARTH_CACHE/images/lock"
  flock 9
  [ -f "$target/complete" ] && return 0
  step "Making images from Debian packages"
  work=$(mktemp -d "$HEARTH_CACHE/images/building.XXXXXX")
  # shellcheck disable=SC2064  # these values, now
  trap "rm -rf '$work'" EXIT
  layout="$work/layout"
  mkdir "$layout"
  busybox_root "$work/base"
  layer "$work/base"
  image busybox "{$path,\"Cmd\":[\"sh\"]}"
  image app "{$path,\"Cmd\":[\"sh\"],\"User\":\"app\",\"WorkingDir\":\"/home/app\",\"Labels\":{\"made-by\":\"hearth\"}}"
  image pause "{$path,\"Entrypoint\":[\"sh\",\"-c\",\"trap 'exit 0' TERM INT; while :; do sleep 3600 & wait; done\"]}"
  mkdir -p "$work/page/www"
  echo hearth >"$work/page/www/index.html"
  layer "$work/page"
  image web "{$path,\"Entrypoint\":[\"httpd\",\"-f\",\"-v\",\"-p\",\"80\",\"-h\",\"/www\"],\"ExposedPorts\":{\"80/tcp\":{}}}"

  port=$((20000 + $$ % 10000))
  registry_up "$work/registry" "$port"
  # shellcheck disable=SC2064
  trap "kill $registry_pid 2>/dev/null || true; rm -rf '$work'" EXIT
  for name in busybox app pause web; do
    for _ in $(seq 100); do
      skopeo copy -q --dest-tls-verify=false "oci:$layout:$name" "docker://127.0.0.1:$port/$name:1" 2>"$work/log" && break
      sleep 0.1
    done
    skopeo inspect --raw --tls-verify=false "docker://127.0.0.1:$port/$name:1" >/dev/null || die "the registry did not take $name: $(cat "$work/log")"
  done
  kill "$registry_pid"
  wait "$registry_pid" 2>/dev/null || true
  rm -rf "$target"
  mkdir "$target"
  mv "$layout" "$work/registry" "$target/"
  touch "$target/complete"
}

case "${1:-}" in
  build)
    build
    echo "$target"
    ;;
  serve)
    [[ "${2:-}" =~ ^[1-9][0-9]*$ ]] || die "usage: lab/images.sh build|serve PORT"
    [ -f "$target/complete" ] || die "there are no images yet: lab/images.sh build"
    layout=$(mktemp -d)
    trap 'kill "${registry_pid:-}" 2>/dev/null || true; rm -rf "$layout"' EXIT
    trap 'exit 0' INT TERM
    # Installed in the lab; elsewhere unpacked by build.
    PATH="$PATH:$HEARTH_CACHE/unpacked/docker-registry/usr/bin"
    registry_up "$target/registry" "$2" readonly
    wait "$registry_pid"
    ;;
  *) die "usage: lab/images.sh build|serve PORT" ;;
esac
