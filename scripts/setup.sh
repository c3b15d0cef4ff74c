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

# Installs Debian's packages for commands and files that are missing, where it can:
#   need curl ip:iproute2 /a/file:its-package
need() {
  missing=''
  for each in "$@"; do
    case $each in
      /*) [ -e "${each%%:*}" ] || missing="$missing ${each##*:}" ;;
      *) command -v "${each%%:*}" >/dev/null 2>&1 || missing="$missing ${each##*:}" ;;
    esac
  done
  if [ -z "$missing" ] || [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then return; fi
  echo "installing$missing" >&2
  # A server among them is started by those who need it, and not by its installation.
  policy=/usr/sbin/policy-rc.d
  if [ -e "$policy" ]; then policy=''
  else
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
  fi
  apt-get update -qq >/dev/null
  # shellcheck disable=SC2086 # one word per package
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null || installed=$?
  if [ -n "$policy" ]; then rm -f "$policy"; fi
  return "${installed:-0}"
}
