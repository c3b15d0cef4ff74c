#!/bin/sh
# Builds dist/cinnabar for this machine, or dist/cinnabar-<os>-<arch>[-musl] for each target named.
set -eu
. "$(dirname "$0")/setup.sh"
commit=$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)

compile() { # name, outfile, further options
  name=$1
  outfile=$2
  shift 2
  # Identifiers keep their names: Elysia reads the source of its handlers.
  "$bun" build --compile --bytecode --format=esm --minify-whitespace --minify-syntax \
    --no-compile-autoload-dotenv --no-compile-autoload-bunfig --tsconfig-override=scripts/tsconfig.build.json \
    --define "process.env.BUILD_COMMIT=\"$commit\"" --define "process.env.BUILD_TARGET=\"$name\"" \
    "$@" src/main.ts src/transport/sqlite-writer.ts --outfile "$outfile"
}

mkdir -p dist
if [ $# -eq 0 ]; then
  compile "$(node -p '`${process.platform}-${process.arch}`')" dist/cinnabar
else
  for target in "$@"; do compile "$target" "dist/cinnabar-$target" "--target=bun-$target"; done
fi
