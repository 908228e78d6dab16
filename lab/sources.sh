#!/usr/bin/env bash
# Prints this machine's apt sources for one Debian suite, in one-line form. Usage: sources.sh SUITE
set -euo pipefail
suite=$1
# shellcheck disable=SC2016  # apt fills these in, and leaves a field it has nothing for as it is
apt-get indextargets --format '$(SITE)|$(RELEASE)|$(COMPONENT)|$(REPO_URI)|$(SIGNED_BY)|$(CREATED_BY)' |
  awk -F'|' -v suite="$suite" '
    $6 == "Packages" && ($2 == suite || $2 == suite "-updates" || $2 == suite "-security") && $3 ~ /^(main|contrib|non-free|non-free-firmware)$/ {
      line = "deb " ($5 == "" || $5 ~ /^\$\(/ ? "" : "[signed-by=" $5 "] ") $4 " " $2 " " $3
      if (!seen[line]++) print line
    }'
