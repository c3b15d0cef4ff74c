#!/bin/sh
# Builds the website into dist/site, from README.md and docs. SITE_BASE=/folder/ when it is not at the root of its host.
set -eu
. "$(dirname "$0")/setup.sh"
"$bun" install --cwd site --frozen-lockfile --silent >&2
"$bun" scripts/site/gather.ts
cd site
NODE_ENV=production node node_modules/vitepress/bin/vitepress.js build . >&2
echo "$(dirname "$PWD")/dist/site"
