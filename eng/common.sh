# shellcheck shell=bash
# What every script here needs: where the cache is, how progress looks, how packages are installed.

export HEARTH_CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/hearth"
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_SKIP_FIRST_TIME_EXPERIENCE=1

step() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

require_dotnet() {
  command -v dotnet >/dev/null || die "the .NET 10 SDK is not on PATH. Install it (package dotnet-sdk-10.0) and run this again."
  case "$(dotnet --version 2>&1)" in
    10.*) ;;
    *) die "the .NET 10 SDK is needed; this is what dotnet says: $(dotnet --version 2>&1 | head -n 1)" ;;
  esac
}

# One compiler process for all projects that this script and those it starts build, which ends with it: without, each project
# starts one of its own, some seconds each.
share_compiler() {
  case "${SharedCompilationId:-}" in hearth-*) return 0 ;; esac
  export UseSharedCompilation=true SharedCompilationId="hearth-$$"
  trap 'pkill -f -- "-pipename:$SharedCompilationId( |\$)" || true' EXIT
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# Installs Debian packages that are not there yet; touches the network only if one is missing.
apt_install() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  command -v apt-get >/dev/null || die "these Debian packages are needed and this is not Debian: ${missing[*]}"
  step "Installing Debian packages: ${missing[*]}"
  apt_update
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2 ||
    die "apt-get could not install: ${missing[*]}"
}

# Prints the folder that a Debian package was unpacked to: for one whose installation would start a service.
apt_unpack() {
  local package=$1 folder="$HEARTH_CACHE/unpacked/$1" work
  if [ ! -d "$folder" ]; then
    step "Unpacking the Debian package $package"
    apt_update
    mkdir -p "$HEARTH_CACHE/unpacked"
    work=$(mktemp -d "$HEARTH_CACHE/unpacked/.work.XXXXXX")
    (cd "$work" && apt-get download -qq "$package" >&2 && dpkg-deb -x ./*.deb tree) || die "apt-get could not download: $package"
    mv "$work/tree" "$folder"
    rm -rf "$work"
  fi
  printf '%s\n' "$folder"
}

# Prints the folder that a package of another Debian release was unpacked to, without what it depends on; nothing where there is none,
# and then the same path with .missing behind it is a file that says why. Asks whom this machine has its own packages from.
apt_unpack_of() {
  local suite=$1 package=$2 folder="$HEARTH_CACHE/unpacked/$2-$1" work said
  if [ ! -d "$folder" ]; then
    step "Unpacking the Debian package $package of $suite"
    mkdir -p "$HEARTH_CACHE/unpacked"
    work=$(mktemp -d "$HEARTH_CACHE/unpacked/.work.XXXXXX")
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
    # Lists and packages of its own: nothing of this machine's apt is touched.
    cat >"$work/apt.conf" <<END
Dir::Etc::sourcelist "$work/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "$work/lists";
Dir::State::status "/dev/null";
Dir::Cache "$work/cache";
Acquire::Languages "none";
Acquire::http::Timeout "20";
Acquire::Retries "1";
APT::Sandbox::User "";
APT::Update::Error-Mode "any";
END
    if said=$({ lab/sources.sh "$suite" >"$work/sources.list" && cd "$work" && export APT_CONFIG="$work/apt.conf" &&
      apt-get update -qq && apt-get download -qq "$package" && dpkg-deb -x ./*.deb tree; } 2>&1); then
      mv "$work/tree" "$folder"
      rm -f "$folder.missing"
    else
      printf 'Debian %s: no package %s: %s\n' "$suite" "$package" "$(tail -n 1 <<<"$said")" | tee "$folder.missing" >&2
    fi
    rm -rf "$work"
  fi
  [ ! -d "$folder" ] || printf '%s\n' "$folder"
}

# Once for a whole run of ./test or ./demo.
apt_update() {
  [ -n "${HEARTH_APT_UPDATED:-}" ] && return 0
  as_root apt-get update -qq >&2 || die "apt-get update failed: is the Debian mirror reachable?"
  export HEARTH_APT_UPDATED=1
}
