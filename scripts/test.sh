#!/bin/sh
# Format, lint, types, generated pages, and all tests against the compiled binary; CI runs it by `.ci/run`.
# Ends with one line `N passed, N failed, N skipped`, counted from the runner's own report.
set -eu
. "$(dirname "$0")/setup.sh"

need chromium firefox-esr openssl ip:iproute2 curl zsh fish mandoc /usr/sbin/nginx:nginx-light caddy /usr/sbin/haproxy:haproxy redis-server \
  php:php-cli /usr/share/php/Symfony/Component/Mercure/autoload.php:php-symfony-mercure \
  /usr/share/php/Symfony/Component/HttpFoundation/autoload.php:php-symfony-http-foundation \
  /usr/share/php/Twig/autoload.php:php-twig /usr/lib/python3/dist-packages/requests:python3-requests \
  ruby go:golang-go java:default-jdk-headless /usr/bin/python3:python3 \
  /usr/lib/python3/dist-packages/django/__init__.py:python3-django

failed=0
step() {
  echo "== $*" >&2
  "$@" || failed=1
}
step node_modules/.bin/biome ci --error-on-warnings .
step node_modules/.bin/tsc
step node_modules/.bin/tsc -p src/admin/page
step "$bun" scripts/docs.ts --check
step "$bun" scripts/dashboard.ts --check
step "$bun" scripts/structure.ts --check
step "$bun" scripts/conformance.ts --check
step sh scripts/without-legacy.sh
step sh scripts/build.sh
step sh scripts/site.sh

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
