#!/bin/sh
# Shows that everything compiles and keeps its order without src/legacy and the one line that hands it in: in a copy.
set -eu
. "$(dirname "$0")/setup.sh"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# Tests read the protocol contract beside the checkout.
ln -s "$PWD/../shared" "$folder/shared"
copy="$folder/checkout"
mkdir "$copy"
cp -R package.json tsconfig.json ARCHITECTURE.md src test scripts "$copy"
ln -s "$PWD/node_modules" "$copy/node_modules"
mkdir "$copy/site"
cp site/package.json "$copy/site"
cd "$copy"
rm -r src/legacy test/legacy
lines=$(grep -rc 'legacy/' src | awk -F: '{ sum += $2 } END { print sum }')
[ "$lines" = 1 ] || { echo "src/legacy is handed in by $lines lines" >&2; exit 1; }
sed -i.bak '/legacy\//d' src/main.ts
node_modules/.bin/tsc
"$bun" test test/tidy.test.ts
