#!/bin/sh
# Builds the hub and runs it for development. Flags go to `cinnabar serve`.
set -eu
. "$(dirname "$0")/setup.sh"
sh scripts/build.sh >&2
exec dist/cinnabar serve --dev "$@"
