import { expect, test } from 'bun:test'
import { existsSync, statSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { slugOf } from '../../scripts/site/slug.ts'

/** The pages as a forge shows them: plain Markdown, whose links lead to files and headings of the checkout. */

const root = new URL('../../', import.meta.url).pathname
const pages = [
  ...new Bun.Glob('docs/**/*.md').scanSync(root),
  ...new Bun.Glob('*.md').scanSync(root),
].toSorted()
const texts = new Map(
  await Promise.all(pages.map(async (name) => [name, await Bun.file(join(root, name)).text()] as const)),
)

test('every link of a page leads to a file and to a heading that is there', () => {
  const broken: string[] = []
  let seen = 0
  for (const [name, text] of texts) {
    for (const link of linksOf(text)) {
      if (/^[a-z]+:/.test(link)) continue
      seen++
      const problem = problemOf(name, link)
      if (problem !== null) broken.push(`${name}: ${link} ${problem}`)
    }
  }
  expect(broken).toEqual([])
  expect(seen).toBeGreaterThan(50)
})

test('a link that leads nowhere is found', () => {
  expect(linksOf('[a](b.md) `[c](d.md)` ![e](f.png)\n```sh\n[g](h.md)\n```\n')).toEqual(['b.md', 'f.png'])
  expect(problemOf('docs/http.md', 'nothing.md')).toBe('is no file')
  expect(problemOf('docs/http.md', '#nothing')).toBe('is no heading')
  expect(problemOf('docs/http.md', '../SECURITY.md')).toBeNull()
  expect(anchorsOf('# `a.b` and C\n## 401\n## 401\n```sh\n# no\n```\n')).toEqual(['ab-and-c', '401', '401-1'])
})

function problemOf(page: string, link: string): string | null {
  const [path = '', anchor] = link.split('#')
  const place = path === '' ? page : normalize(join(dirname(page), path)).replace(/\/$/, '')
  if (!existsSync(join(root, place))) return 'is no file'
  if (anchor === undefined || statSync(join(root, place)).isDirectory()) return null
  return anchorsOf(texts.get(place) ?? '').includes(anchor) ? null : 'is no heading'
}

/** The destinations of links and pictures, without those that are code. */
function linksOf(text: string): readonly string[] {
  const found = withoutFences(text)
    .replaceAll(/`[^`\n]+`/g, '')
    .matchAll(/\]\(([^)\s]+)\)/g)
  return [...found].flatMap(([, link]) => (link === undefined ? [] : [link]))
}

function anchorsOf(text: string): readonly string[] {
  const counts = new Map<string, number>()
  return [...withoutFences(text).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => {
    const slug = slugOf(heading)
    const count = counts.get(slug) ?? 0
    counts.set(slug, count + 1)
    return count === 0 ? slug : `${slug}-${count}`
  })
}

function withoutFences(text: string): string {
  return text.replaceAll(/^ *```[\s\S]*?^ *```$/gm, '')
}
