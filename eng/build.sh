#!/usr/bin/env bash
# ./build: publishes each program under src/programs (or those named) into out/bin/.
set -euo pipefail
cd "$(dirname "$0")/.."
. eng/common.sh

require_dotnet
share_compiler
apt_install clang lld zlib1g-dev
mkdir -p out/bin
programs=("$@")
if [ ${#programs[@]} -eq 0 ]; then
  for project in src/programs/*/*.csproj; do programs+=("$(basename "$project" .csproj)"); done
fi
for program in "${programs[@]}"; do
  step "Publishing $program"
  dotnet publish "src/programs/$program/$program.csproj" -c Release --nologo -v quiet -o "out/publish/$program"
  install -m 755 "out/publish/$program/$program" "out/bin/.$program.new"
  mv -f "out/bin/.$program.new" "out/bin/$program"
done
