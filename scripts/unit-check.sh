#!/bin/sh
# Boots a service manager with the unit and dist/cinnabar, which is built first: the part of scripts/release-check.sh that
# is for systemd, in a minute. For root on Debian.
set -eu
. "$(dirname "$0")/setup.sh"
need debootstrap systemd-nspawn:systemd-container dpkg-deb:dpkg
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sh scripts/build.sh >&2
deb=$("$bun" scripts/release/deb-here.ts "$work")
sh scripts/release/debian-root.sh "$work/debian" >&2
sh scripts/release/try-unit.sh "$deb" "$work/debian"
