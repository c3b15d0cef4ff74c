import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { until } from '../support/binary.ts'
import { launchBrowser } from '../support/browser.ts'

/** The website in dist/site, as sh scripts/site.sh builds it. */

setDefaultTimeout(60_000)

const root = new URL('../../', import.meta.url).pathname
const site = join(root, 'dist/site')
if (!existsSync(site)) throw new Error('dist/site is missing: run sh scripts/site.sh')
const pages = [...new Bun.Glob('*.html').scanSync(site)].toSorted()

/** One of each kind: the first page, samples, tables, pictures, files, a long list, and none. */
const kinds = ['index', 'browser', 'tokens', 'configuration', 'performance', 'deploy', 'changes', '404']

interface Violation {
  readonly id: string
  readonly nodes: readonly string[]
}

describe('the website', () => {
  let server: Bun.Server<undefined>
  let browser: Browser
  beforeAll(async () => {
    server = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch: async (request) => {
        const { pathname } = new URL(request.url)
        const file = Bun.file(join(site, pathname === '/' ? 'index.html' : decodeURIComponent(pathname)))
        return (await file.exists()) ? new Response(file) : new Response('none', { status: 404 })
      },
    })
    browser = await launchBrowser()
  })
  afterAll(async () => {
    await browser.close()
    await server.stop(true)
  })

  test('has a page for every page of docs', () => {
    const wanted = [...new Bun.Glob('*.md').scanSync(join(root, 'docs'))]
    expect(pages).toEqual(expect.arrayContaining(wanted.map((name) => name.replace(/md$/, 'html'))))
  })

  test('no link leads to a page, a file or a heading that is not there', async () => {
    const ids = new Map<string, Set<string>>()
    const links: (readonly [from: string, to: URL])[] = []
    for (const name of pages) {
      const found = new Set<string>()
      ids.set(`/${name}`, found)
      const base = new URL(`/${name}`, server.url)
      await new HTMLRewriter()
        .on('[id]', { element: (element) => void found.add(element.getAttribute('id') ?? '') })
        .on('[href], [src]', {
          element: (element) => {
            const to = element.getAttribute('href') ?? element.getAttribute('src') ?? ''
            links.push([name, new URL(to, base)])
          },
        })
        .transform(new Response(Bun.file(join(site, name))))
        .text()
    }
    const inside = links.filter(([, to]) => to.origin === server.url.origin)
    expect(inside.length).toBeGreaterThan(500)
    const broken = inside.filter(([, { pathname, hash }]) => {
      const path = pathname === '/' ? '/index.html' : decodeURIComponent(pathname)
      if (!existsSync(join(site, path))) return true
      return hash !== '' && ids.get(path)?.has(decodeURIComponent(hash.slice(1))) !== true
    })
    expect(broken.map(([from, to]) => `${from}: ${to.pathname}${to.hash}`)).toEqual([])
  })

  test('a page loads nothing from elsewhere, and no script of it fails', async () => {
    const page = await browser.newPage()
    const elsewhere = new Set<string>()
    const failures: string[] = []
    page.on('request', (request) => {
      const url = request.url()
      if (!url.startsWith(server.url.href) && !url.startsWith('data:')) elsewhere.add(url)
    })
    page.on('pageerror', (error) => failures.push(String(error)))
    for (const kind of kinds) {
      await page.goto(new URL(`/${kind}.html`, server.url).href, { waitUntil: 'networkidle' })
    }
    expect([...elsewhere]).toEqual([])
    expect(failures).toEqual([])
    await page.close()
  })

  test('its search finds a setting, without asking anybody', async () => {
    const page = await browser.newPage()
    await page.goto(server.url.href)
    await search(page, 'heartbeat')
    const found = await page.locator('.VPLocalSearchBox .result').allTextContents()
    expect(found.join()).toContain('Configuration')
    await page.close()
  })

  for (const colorScheme of ['light', 'dark'] as const) {
    test(`axe finds nothing on a page of any kind, ${colorScheme}`, async () => {
      const context = await browser.newContext({ colorScheme, reducedMotion: 'reduce' })
      const page = await context.newPage()
      const found: Record<string, readonly Violation[]> = {}
      for (const kind of kinds) {
        await page.goto(new URL(`/${kind}.html`, server.url).href)
        await page.waitForSelector('main')
        found[kind] = await violations(page)
      }
      await page.goto(server.url.href)
      await search(page, 'cookie')
      found['search'] = await violations(page)
      expect(Object.entries(found).filter(([, each]) => each.length > 0)).toEqual([])
      await context.close()
    })
  }
})

async function search(page: Page, words: string): Promise<void> {
  await page.locator('#local-search button').first().click()
  await page.locator('#localsearch-input').fill(words)
  await until('a result', async () => (await page.locator('.VPLocalSearchBox .result').count()) > 0)
}

/** What axe-core finds in the page as it is shown. */
async function violations(page: Page): Promise<readonly Violation[]> {
  await page.addScriptTag({ path: join(root, 'site/node_modules/axe-core/axe.min.js') })
  return await page.evaluate<readonly Violation[]>(
    `axe.run().then(({ violations }) => violations.map(({ id, nodes }) => ({ id, nodes: nodes.slice(0, 3).map(({ html }) => html.slice(0, 160)) })))`,
  )
}
