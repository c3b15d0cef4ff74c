#!/bin/sh
# Builds dist/cinnabar for this machine, or dist/cinnabar-<os>-<arch>[-musl] for each target named.
set -eu
. "$(dirname "$0")/setup.sh"
commit=$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
# When that was, for the manual page: what is built from the same commit has the same date.
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || true)}
date=$(EPOCH=$epoch node -p "process.env.EPOCH && new Date(process.env.EPOCH * 1000).toISOString().slice(0, 10)")
native=$(node -p '`${process.platform}-${process.arch}`')

# What is imported by a call becomes a chunk of its own, so that no command evaluates the others. Until the hub listens
# (`main.ts`) functions are compiled to machine code after four times as many calls as usual: a start runs most of its
# code a few times.
compile() { # name, outfile, further options
  name=$1
  outfile=$2
  shift 2
  # Identifiers keep their names: Elysia reads the source of its handlers.
  "$bun" build --compile --bytecode --format=esm --splitting --minify-whitespace --minify-syntax \
    --compile-jit-policy=4 \
    --no-compile-autoload-dotenv --no-compile-autoload-bunfig --tsconfig-override=scripts/tsconfig.build.json \
    --define "process.env.BUILD_COMMIT=\"$commit\"" --define "process.env.BUILD_DATE=\"$date\"" \
    --define "process.env.BUILD_TARGET=\"$name\"" \
    "$@" src/main.ts src/transport/sqlite/writer.ts --outfile "$outfile"
}

# A run tells which functions a start uses. Laid together they take 2 MB less memory than among all the others. It ends
# as soon as the hub listens: what comes later depends on the machine and the moment, and with it what is built.
record() { # folder with the executable; leaves the file `order` in it
  mkfifo "$1/lines"
  # As most do it reads a file, and as this machine may have one it reads its own.
  echo 'hub = { anonymous = true }' >"$1/cinnabar.toml"
  BUN_BYTECODE_ORDER_OUT="$1/order" "$1/cinnabar" serve --config "$1/cinnabar.toml" --log-format json \
    --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 --sqlite-path "$1/cinnabar.db" 2>"$1/lines" &
  hub=$!
  while IFS= read -r line; do
    echo "$line" >>"$1/log"
    case $line in *'"listening"'*) kill "$hub" ;; esac
  done <"$1/lines"
  wait "$hub" || { cat "$1/log" >&2; return 1; }
}

mkdir -p dist
# The page of the console, which the executable carries as text.
"$bun" scripts/console.ts
first=$(mktemp -d)
trap 'rm -rf "$first"' EXIT
compile "$native" "$first/cinnabar" >/dev/null
if record "$first"; then order="--bytecode-order=$first/order"
else
  echo 'what was built does not run here: its functions stay as they are' >&2
  order=''
fi
if [ $# -eq 0 ]; then
  compile "$native" dist/cinnabar ${order:+"$order"}
else
  for target in "$@"; do compile "$target" "dist/cinnabar-$target" ${order:+"$order"} "--target=bun-$target"; done
fi
