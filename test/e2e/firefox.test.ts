import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { RunningHub } from '../support/binary.ts'
import { consoleToken } from '../support/console-material.ts'
import { consolePages, publishTo, startConsoleHub } from '../support/console-page.ts'
import { Firefox } from '../support/firefox.ts'

/** The second engine that people use: the console, and a plain EventSource. */

const axe = await Bun.file(new URL('../../node_modules/axe-core/axe.min.js', import.meta.url)).text()
const topic = 'https://shop.example/orders/48213'

let hub: RunningHub
let site: Bun.Server<undefined>
beforeAll(async () => {
  const headers = { 'Content-Type': 'text/html; charset=utf-8' }
  const page = '<!doctype html><title>page</title>'
  site = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response(page, { headers }) })
  const cors = ['--hub-cors-origins', site.url.origin]
  hub = await startConsoleHub([
    ...cors,
    '--hub-subscriptions',
    '--hub-connection-lifetime',
    '2s',
    '--hub-retry',
    '200ms',
  ])
})
afterAll(async () => {
  await hub.dispose()
  await site.stop(true)
})

describe.each([
  { theme: 'light', width: 1360, height: 900 },
  { theme: 'dark', width: 360, height: 780 },
] as const)('the console in Firefox, $theme, $width pixels', (look) => {
  test('opens every page, and neither the browser nor axe-core has anything to say', async () => {
    const firefox = await Firefox.launch(look)
    try {
      await firefox.goto(`${hub.adminUrl}/#token=${consoleToken}`)
      await firefox.waitForElement('.tile')
      expect(await firefox.evaluate('location.hash')).toBe('#/overview')
      const dark = `matchMedia('(prefers-color-scheme: dark)').matches`
      expect(await firefox.evaluate(`[${dark}, innerWidth]`)).toEqual([look.theme === 'dark', look.width])
      await firefox.evaluate(`(0, eval)(${JSON.stringify(axe)}), null`)
      for (const name of consolePages) {
        await firefox.evaluate(`void (location.hash = '#/${name}')`)
        await firefox.waitForElement(`nav .group a[href="#/${name}"][aria-current]`)
        await firefox.waitForElement('h1')
        const tags = JSON.stringify(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'])
        const run = `axe.run(document, { runOnly: { type: 'tag', values: ${tags} } })`
        const found = `${run}.then(({ violations }) => violations.map(({ id, nodes }) => [id, nodes[0].html]))`
        expect([name, await firefox.evaluate(found)]).toEqual([name, []])
        const overflow = 'document.documentElement.scrollWidth - document.documentElement.clientWidth'
        expect([name, await firefox.evaluate(overflow)]).toEqual([name, 0])
      }
      expect(firefox.problems).toEqual([])
    } finally {
      await firefox.close()
    }
  }, 60_000)
})

test('the live page shows a publication in Firefox', async () => {
  const firefox = await Firefox.launch()
  try {
    await firefox.goto(`${hub.adminUrl}/#token=${consoleToken}`)
    await firefox.waitForElement('.tile')
    await firefox.evaluate(`void (location.hash = '#/live')`)
    await firefox.waitForElement('.link', 'live')
    await publishTo(hub, { topic, data: 'a word for Firefox' })
    await firefox.waitForElement('.feed tr', 'a word for Firefox')
    expect(firefox.problems).toEqual([])
  } finally {
    await firefox.close()
  }
}, 60_000)

test('an EventSource in Firefox goes on after every end of its stream, without gap or repeat', async () => {
  const firefox = await Firefox.launch()
  try {
    await firefox.goto(site.url.href)
    const url = `${hub.url}?match=${encodeURIComponent(topic)}`
    await firefox.evaluate(`void (() => {
      window.seen = { opened: 0, data: [] }
      const source = new EventSource(${JSON.stringify(url)})
      source.onopen = () => { seen.opened++ }
      source.onmessage = ({ data }) => { seen.data.push(data) }
    })()`)
    await firefox.waitFor('seen.opened > 0')
    const sent: string[] = []
    while (Number(await firefox.evaluate('seen.opened')) < 3) {
      sent.push(`update ${sent.length}`)
      await publishTo(hub, { topic, data: sent.at(-1) ?? '' })
    }
    await firefox.waitFor(`seen.data.at(-1) === ${JSON.stringify(sent.at(-1))}`)
    expect(await firefox.evaluate('seen.data')).toEqual(sent)
  } finally {
    await firefox.close()
  }
}, 60_000)
