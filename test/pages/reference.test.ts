import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { answers } from '../../src/http/error.ts'

/** The reference pages that are written by hand, against the code that they speak of. */

const root = new URL('../../', import.meta.url).pathname
const page = (name: string) => Bun.file(join(root, 'docs', name)).text()

describe('docs/http.md', () => {
  test('has every answer of the hub, with its cause and its cure', async () => {
    const text = await page('http.md')
    const rows = [...text.matchAll(/^\| (\d{3}) \| `([^`]+)` \| ([^|]+) \| ([^|]+) \|$/gm)].map(
      ([, status, said = '', cause = '', cure = '']) => ({ status: Number(status), said, cause, cure }),
    )
    for (const { status, text: said } of Object.values(answers)) {
      // The one text that is not fixed names the origin.
      const known = status === 421 ? /^the hub does not answer on/ : said
      const row = rows.find((each) => each.status === status && each.said.match(known) !== null)
      expect([status, said, row?.cause.length, row?.cure.length]).toEqual([
        status,
        said,
        expect.any(Number),
        expect.any(Number),
      ])
    }
    expect(rows.length).toBeGreaterThan(40)
  })
})

describe('docs/operating.md', () => {
  test('has every line that the hub logs', async () => {
    const text = (await page('operating.md')).replaceAll(/\s+/g, ' ')
    const found = new Set<string>()
    for (const file of new Bun.Glob('**/*.ts').scanSync(join(root, 'src'))) {
      const source = await Bun.file(join(root, 'src', file)).text()
      for (const [, level, message] of source.matchAll(
        /\blog\.(debug|info|warn|error)\(\s*(?:'([^'\n]+)'|"([^"\n]+)")/g,
      ))
        found.add(`\`${message}\` | ${level}`)
    }
    expect(found.size).toBeGreaterThan(15)
    const rows = text.replaceAll('`, `', '` | info | … `')
    expect([...found].filter((line) => !rows.includes(line))).toEqual([])
  })
})

describe('docs/troubleshooting.md', () => {
  test('has every reason for which a token is refused', async () => {
    const text = await page('troubleshooting.md')
    const source = await Bun.file(join(root, 'src/auth/claim-checks.ts')).text()
    const union = /export type TokenFailure =((?:\s*\| '[a-z-]+')+)/.exec(source)?.[1] ?? ''
    const reasons = [...union.matchAll(/'([a-z-]+)'/g)].map(([, reason]) => reason)
    expect(reasons.length).toBeGreaterThan(8)
    expect(reasons.filter((reason) => !text.includes(`\`${reason}\``))).toEqual([])
  })
})
