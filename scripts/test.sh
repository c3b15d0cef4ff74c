#!/bin/sh
# Format, lint, types, generated pages, and all tests against the compiled binary; CI runs it by `.ci/run`.
# Ends with one line `N passed, N failed, N skipped`, counted from the runner's own report.
set -eu
. "$(dirname "$0")/setup.sh"

missing=''
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
[ -x /usr/sbin/nginx ] || missing="$missing nginx-light"
command -v openssl >/dev/null 2>&1 || missing="$missing openssl"
command -v ip >/dev/null 2>&1 || missing="$missing iproute2"
command -v curl >/dev/null 2>&1 || missing="$missing curl"
[ -f /usr/share/php/Symfony/Component/Mercure/autoload.php ] || missing="$missing php-cli php-symfony-mercure"
command -v zsh >/dev/null 2>&1 || missing="$missing zsh"
command -v fish >/dev/null 2>&1 || missing="$missing fish"
command -v mandoc >/dev/null 2>&1 || missing="$missing mandoc"
if [ -n "$missing" ] && command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
  echo "installing$missing" >&2
  apt-get update -qq >/dev/null
  # shellcheck disable=SC2086 # one word per package
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi

failed=0
step() {
  echo "== $*" >&2
  "$@" || failed=1
}
step node_modules/.bin/biome ci --error-on-warnings .
step node_modules/.bin/tsc
step "$bun" scripts/docs.ts --check
step "$bun" scripts/dashboard.ts --check
step "$bun" scripts/structure.ts --check
step "$bun" scripts/conformance.ts --check
step sh scripts/without-legacy.sh
step sh scripts/build.sh

report=$(mktemp)
trap 'rm -f "$report"' EXIT
step "$bun" test --timeout 30000 --reporter=junit --reporter-outfile="$report" "$@"
# Whether it is slower than before is asked only by who names a commit, or `auto`: tests alone judge no machine. After
# the tests, so that it has the machine to itself: a minute, or two when something looks worse.
if [ $# -eq 0 ] && [ -n "${PERFORMANCE_BASE:-}" ]; then
  step "$bun" scripts/bench/regression.ts "$PERFORMANCE_BASE" >&2
fi
"$bun" scripts/count.ts "$report" || failed=1
exit "$failed"
