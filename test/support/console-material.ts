import { pruneHistory } from '../../src/history/prune.ts'
import type { ConsoleMaterial } from '../../src/serve/console/console.ts'

/** The token of the console in tests. */
export const consoleToken = 'a-token-of-the-console-of-this-test-0123456789'

/** As the executable gives it to the console, with a page that is nothing. */
export const consoleMaterial: ConsoleMaterial = {
  version: '1.2.3',
  commit: 'abc',
  configuration: { file: 'hub.toml', origins: new Map(), warnings: [] },
  page: async () => ({ html: '<!doctype html>', policy: "default-src 'none'" }),
  prune: (path, { keepCount: maxCount, keepAge, matches, isDryRun }) => {
    const keep = { maxCount, maxAgeMs: keepAge === null ? null : keepAge * 1000, maxBytes: null }
    return pruneHistory(path, { keep, matches, now: Date.now(), isDryRun, pause: async () => {} })
  },
}
