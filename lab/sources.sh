#!/usr/bin/env bash
# Prints this machine's apt sources for one Debian suite, in one-line form; of a suite that it has none for, the archive of its
# own suite's component main under that name. Usage: sources.sh SUITE
set -euo pipefail
of() {
  # shellcheck disable=SC2016  # apt fills these in, and leaves a field it has nothing for as it is
  apt-get indextargets --format '$(SITE)|$(RELEASE)|$(COMPONENT)|$(REPO_URI)|$(SIGNED_BY)|$(CREATED_BY)' |
    awk -F'|' -v suite="$1" '
      $6 == "Packages" && ($2 == suite || $2 == suite "-updates" || $2 == suite "-security") && $3 ~ /^(main|contrib|non-free|non-free-firmware)$/ {
        line = "deb " ($5 == "" || $5 ~ /^\$\(/ ? "" : "[signed-by=" $5 "] ") $4 " " $2 " " $3
        if (!seen[line]++) print line
      }'
}
found=$(of "$1")
own=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
[ -n "$found" ] || found=$(of "$own" | sed -n "s/ $own main\$/ $1 main/p")
[ -n "$found" ] || {
  printf 'the apt sources have no component main of "%s", whose archive could be asked for %s\n' "$own" "$1" >&2
  exit 1
}
printf '%s\n' "$found"
