import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdirSync } from 'node:fs'
import type { Browser, Page } from 'playwright-core'
import { type RunningHub, until } from '../support/binary.ts'
import { launchBrowser } from '../support/browser.ts'
import { consolePages, goTo, openConsole, startConsoleHub, tokenForAll } from '../support/console-page.ts'

/** How the console looks, and how it is for people who do not see it or see it otherwise. */

const axe = await Bun.file(new URL('../../node_modules/axe-core/axe.min.js', import.meta.url)).text()

/** Where the pictures are kept, for a person to look at: `CONSOLE_PICTURES`, or beside the executable. */
const pictures =
  process.env['CONSOLE_PICTURES'] ?? new URL('../../dist/console/pictures', import.meta.url).pathname

let browser: Browser
let hub: RunningHub
let load: Bun.Subprocess
beforeAll(async () => {
  browser = await launchBrowser()
  hub = await startConsoleHub(['--limits-memory', '256MiB', '--hub-subscriptions'])
  const token = await tokenForAll()
  load = Bun.spawn(
    [
      ...[new URL('../../dist/cinnabar', import.meta.url).pathname, 'bench', 'fanout', '--hub', hub.url],
      ...['--token', token, '--subscribers', '50', '--rate', '50', '--topics', '10', '--duration', '10m'],
    ],
    { env: {}, stdio: ['ignore', 'ignore', 'ignore'] },
  )
  const asked = `${hub.adminUrl}/metrics`
  await until('the load', async () => / 50$/m.test(await (await fetch(asked)).text()))
})
afterAll(async () => {
  load.kill()
  await load.exited
  await browser.close()
  await hub.dispose()
})

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
      mkdirSync(pictures, { recursive: true })
      const look = { colorScheme, width, height: width === 360 ? 740 : 900 }
      const { page, close } = await openConsole(browser, hub, 'overview', look)
      for (const name of consolePages) {
        await goTo(page, name)
        await settled(page, name)
        const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
        expect([name, beyond]).toEqual([name, 0])
        if (name === 'overview' || name === 'live')
          await page.screenshot({ path: `${pictures}/${name}-${colorScheme}-${width}.png` })
      }
      await close()
    },
    60_000,
  )
})
