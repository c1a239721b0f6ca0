#!/usr/bin/env bash
# Installs what `make image-test` needs where no docker daemon answers. Exits non-zero, with the
# reason, where this machine cannot run that test at all.
set -euo pipefail

tools=(buildah podman runc mmdebstrap)

fail() {
  printf 'The image cannot be tested here: %s\n' "$*" >&2
  exit 1
}

if docker info >/dev/null 2>&1 || type -P "${tools[@]}" >/dev/null; then
  exit 0
fi
[[ $(id -u) == 0 ]] || fail "no docker daemon answers, and installing ${tools[*]} needs root."
command -v apt-get >/dev/null || fail "no docker daemon answers, and ${tools[*]} are Debian's."
{ apt-get update && apt-get install --yes --no-install-recommends "${tools[@]}"; } >/dev/null ||
  fail "apt-get could not install ${tools[*]}."
