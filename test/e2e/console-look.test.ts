import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdirSync } from 'node:fs'
import type { Browser, Page } from 'playwright-core'
import { binaryPath, type RunningHub, until } from '../support/binary.ts'
import { launchBrowser } from '../support/browser.ts'
import { consoleToken } from '../support/console-material.ts'
import { consolePages, goTo, openConsole, startConsoleHub, tokenForAll } from '../support/console-page.ts'
import { publish } from '../support/publisher.ts'

/** How the console looks, and how it is for people who do not see it or see it otherwise. */

const axe = await Bun.file(new URL('../../node_modules/axe-core/axe.min.js', import.meta.url)).text()

/**
 * The pictures are kept beside the executable, for a person to look at. PICTURES=write puts those of the wide page into
 * docs/pictures, once the hub has a few minutes to show.
 */
const isWriting = process.env['PICTURES'] === 'write'
const folderOf = (width: number) =>
  new URL(
    isWriting && width === 1360 ? '../../docs/pictures' : '../../dist/console/pictures',
    import.meta.url,
  ).pathname

let browser: Browser
let hub: RunningHub
let load: Bun.Subprocess
let shop: { close(): void } | null = null
beforeAll(async () => {
  browser = await launchBrowser()
  hub = await startConsoleHub(['--limits-memory', '256MiB', '--hub-subscriptions'])
  const token = await tokenForAll()
  load = Bun.spawn(
    [
      ...[binaryPath(), 'bench', 'fanout', '--hub', hub.url],
      ...['--token', token, '--subscribers', '400', '--rate', '4', '--topics', '10', '--duration', '20m'],
    ],
    { env: {}, stdio: ['ignore', 'ignore', 'ignore'] },
  )
  const asked = `${hub.adminUrl}/metrics`
  await until('the load', async () => / 400$/m.test(await (await fetch(asked)).text()))
  shop = sell(hub.url, token)
  if (isWriting) await until('a few minutes', async () => (await samples()) >= 24, 300_000)
}, 360_000)
afterAll(async () => {
  shop?.close()
  load.kill()
  await load.exited
  await browser.close()
  await hub.dispose()
})

/** Publishes what a shop would, more in some moments than in others, until it is closed. */
function sell(url: string, token: string): { close(): void } {
  let sold = 0
  const publishOne = () => {
    sold++
    const [kind, type] = kinds[sold % kinds.length] ?? kinds[0]
    const topic = `https://shop.example/${kind}/${(sold * 7) % 90}`
    const data = JSON.stringify({ '@id': topic, status: states[sold % states.length], quantity: sold % 12 })
    const fields = { topic: [topic, `https://shop.example/${kind}`], type, data }
    void publish(url, sold % 9 === 0 ? { ...fields, private: 'on' } : fields, token).catch(() => {})
  }
  const timer = setInterval(() => {
    const wave = 2 + Math.sin(performance.now() / 9000) + Math.sin(performance.now() / 31_000)
    for (let at = 0; at < wave; at++) publishOne()
  }, 40)
  return { close: () => clearInterval(timer) }
}

const kinds = [
  ['orders', 'order.status'],
  ['products', 'stock'],
  ['orders', 'order.status'],
  ['chat', 'message'],
] as const
const states = ['packed', 'paid', 'sent', 'delivered', 'returned']

/** Samples that the hub has of the time since its start. */
async function samples(): Promise<number> {
  const headers = { Authorization: `Bearer ${consoleToken}` }
  const { series } = await (await fetch(`${hub.adminUrl}/api/series`, { headers })).json()
  return series.rows.length
}

/** Waits until the page shows what the hub has answered. */
async function settled(page: Page, name: string): Promise<void> {
  const awaited: Readonly<Record<string, string>> = {
    overview: '.timeline',
    live: '.feed tbody tr:nth-child(20)',
    topics: '.share',
    subscribers: '.streams tbody tr',
    history: '.feed tbody tr',
    playground: '.tabs',
    memory: '.stack-bar',
    configuration: '.settings',
  }
  await page.waitForSelector(awaited[name] ?? 'main')
}

/** The rules that the page breaks, with the elements. */
async function findings(page: Page): Promise<readonly string[]> {
  // The policy of the page lets no script in, and this is none of the page: the debugger runs it.
  await page.evaluate(axe)
  return await page.evaluate(async () => {
    const axe = Reflect.get(window, 'axe')
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']
    const { violations } = await axe.run(document, { runOnly: { type: 'tag', values: tags } })
    return violations.map(
      ({ id, nodes }: { id: string; nodes: { html: string; failureSummary: string }[] }) =>
        `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join(' | ')}`.slice(
          0,
          600,
        ),
    )
  })
}

describe.each(['light', 'dark'] as const)('in the %s theme', (colorScheme) => {
  test('axe-core finds nothing on any page, and the browser complains of nothing', async () => {
    const { page, problems, close } = await openConsole(browser, hub, 'overview', { colorScheme })
    for (const name of consolePages) {
      await goTo(page, name)
      await settled(page, name)
      if (name === 'playground') {
        await page.getByRole('button', { name: 'Make one for an hour' }).click()
        await page.getByText('To publish: accepted').waitFor()
      }
      expect([name, await findings(page)]).toEqual([name, []])
      if (name === 'history') {
        await page.locator('.feed button').first().click()
        await page.locator('.inspector').waitFor()
        expect(['inspector', await findings(page)]).toEqual(['inspector', []])
        await page.keyboard.press('Escape')
        await page.getByRole('button', { name: 'Prune…' }).click()
        expect(['dialog', await findings(page)]).toEqual(['dialog', []])
        await page.keyboard.press('Escape')
        await page.getByRole('dialog').waitFor({ state: 'detached' })
      }
    }
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByLabel('Token').waitFor()
    expect(['sign in', await findings(page)]).toEqual(['sign in', []])
    expect(problems).toEqual([])
    await close()
  }, 120_000)

  test.each([1360, 360])(
    '%d px wide nothing scrolls sideways; pictures are kept',
    async (width) => {
      const pictures = folderOf(width)
      mkdirSync(pictures, { recursive: true })
      const look = { colorScheme, width, height: width === 360 ? 740 : 860 }
      const { page, close } = await openConsole(browser, hub, 'overview', look)
      for (const name of consolePages) {
        await goTo(page, name)
        await settled(page, name)
        const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
        expect([name, beyond]).toEqual([name, 0])
        if (name === 'overview' || name === 'live')
          await page.screenshot({
            path: `${pictures}/console-${name}-${colorScheme}${width === 360 ? '-narrow' : ''}.png`,
          })
      }
      await close()
    },
    60_000,
  )
})
