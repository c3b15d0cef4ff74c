#!/bin/sh
# Builds everything that is released into dist/release, and the website into dist/site: executables, archives, packages for Debian, container images,
# a bill of materials and checksums. The same commit makes the same bytes. No daemon is needed, and nothing but what
# npm and Debian's packages have.
set -eu
. "$(dirname "$0")/setup.sh"

need dpkg-deb:dpkg zip
if [ -n "$(git status --porcelain 2>/dev/null)" ]; then
  echo 'the checkout has changes that are in no commit: what is built is not that of the commit it names' >&2
fi

# The one for this machine writes the manual page and the completions.
sh scripts/build.sh >&2
sh scripts/build.sh linux-x64 linux-arm64 linux-x64-musl linux-arm64-musl darwin-x64 darwin-arm64 windows-x64 >&2
"$bun" scripts/release/release.ts
sh scripts/site.sh >&2
echo "$PWD/dist/release"
