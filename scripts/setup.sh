# Sourced by the other scripts: installs what a checkout needs and leaves $bun behind.
# Bun comes from npm at the version that package.json pins, so Node.js and npm are enough to start from.
cd "$(dirname "$0")/.."
pinned=$(node -p "require('./package.json').devDependencies.bun")
bun="$PWD/.tools/node_modules/.bin/bun"
if [ "$("$bun" --version 2>/dev/null || true)" != "$pinned" ]; then
  echo "installing bun $pinned" >&2
  npm install --prefix .tools --no-save --no-package-lock --no-audit --no-fund --loglevel=error "bun@$pinned" >&2
fi
"$bun" install --frozen-lockfile --silent >&2
