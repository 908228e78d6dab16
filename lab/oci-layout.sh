# shellcheck shell=bash
# Makes OCI images out of folders with tar and sha256sum alone. Sourced; the caller sets layout to a folder of its own.
# The same folders give the same digests.
# shellcheck disable=SC2154,SC2034  # layout comes from the caller; digest, size and registry_pid are for it

# blob FILE: moves a file into the layout under its digest; sets digest and size.
blob() {
  digest=$(sha256sum <"$1" | cut -c1-64)
  size=$(stat -c %s "$1")
  mkdir -p "$layout/blobs/sha256"
  mv "$1" "$layout/blobs/sha256/$digest"
}

# layer FOLDER: one more layer, of all that is in FOLDER, owned by root; adds to layers and diff_ids, which the caller
# empties before an image's first.
layer() {
  tar -C "$1" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -cf "$layout/layer.tar" .
  diff_ids+="${diff_ids:+,}\"sha256:$(sha256sum <"$layout/layer.tar" | cut -c1-64)\""
  gzip -n -6 "$layout/layer.tar"
  blob "$layout/layer.tar.gz"
  layers+="${layers:+,}{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+gzip\",\"digest\":\"sha256:$digest\",\"size\":$size}"
}

# image NAME CONFIG: an image of the layers so far; CONFIG is the object "config" of its configuration. Its digest is left
# in digest.
image() {
  printf '{"architecture":"amd64","os":"linux","config":%s,"rootfs":{"type":"layers","diff_ids":[%s]}}' "$2" "$diff_ids" >"$layout/json"
  blob "$layout/json"
  printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":%s},"layers":[%s]}' \
    "$digest" "$size" "$layers" >"$layout/json"
  blob "$layout/json"
  manifests+="${manifests:+,}{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"sha256:$digest\",\"size\":$size,\"annotations\":{\"org.opencontainers.image.ref.name\":\"$1\"}}"
  printf '{"imageLayoutVersion":"1.0.0"}' >"$layout/oci-layout"
  printf '{"schemaVersion":2,"manifests":[%s]}' "$manifests" >"$layout/index.json"
}

# busybox_root FOLDER: Debian's static busybox with a link for each of its programs, and the files that every image has.
busybox_root() {
  local applet
  mkdir -p "$1"/{bin,etc,home/app,root,tmp,usr/bin,var/log,www}
  chmod 1777 "$1/tmp"
  cp /bin/busybox "$1/bin/busybox"
  for applet in $(/bin/busybox --list); do [ "$applet" = busybox ] || ln -s busybox "$1/bin/$applet"; done
  printf 'root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\nwww-data:x:33:33:www-data:/var/www:/bin/false\napp:x:1000:1000:app:/home/app:/bin/sh\n' >"$1/etc/passwd"
  printf 'root:x:0:\ndaemon:x:1:\nwww-data:x:33:\napp:x:1000:\nextra:x:50000:app\n' >"$1/etc/group"
}

# registry_up FOLDER PORT [readonly]: Debian's docker-registry on loopback, in the background; sets registry_pid.
registry_up() {
  local read_only=""
  [ "${3:-}" = "" ] || read_only=", maintenance: {readonly: {enabled: true}}"
  printf 'version: 0.1\nstorage: {filesystem: {rootdirectory: %s}%s}\nhttp: {addr: "127.0.0.1:%s"}\nlog: {level: error}\n' \
    "$1" "$read_only" "$2" >"$layout/registry.yml"
  docker-registry serve "$layout/registry.yml" >"$layout/registry.log" 2>&1 &
  registry_pid=$!
}
