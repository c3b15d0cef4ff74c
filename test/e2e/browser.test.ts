import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync } from 'node:fs'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { type RunningHub, startHub, until } from '../support/binary.ts'
import { chromiumPath, launchBrowser } from '../support/browser.ts'
import { publish } from '../support/publisher.ts'
import { tokenFor } from '../support/tokens.ts'

/** A real browser with a plain EventSource, on a page of another origin than the hub's. */

const cookieName = 'mercure_access_token'
const topic = 'https://example.com/browser'

interface Seen {
  readonly opened: number
  readonly ids: readonly string[]
  readonly data: readonly string[]
  readonly state: number
}

/** What the page collects; it runs in the browser. */
const script = `
  window.seen = { opened: 0, ids: [], data: [], state: 0 }
  window.subscribe = (url, withCredentials) => {
    window.source = new EventSource(url, { withCredentials })
    window.source.onopen = () => { window.seen.opened++ }
    window.source.onmessage = ({ lastEventId, data }) => {
      window.seen.ids.push(lastEventId)
      window.seen.data.push(data)
    }
  }
  window.look = () => ({ ...window.seen, state: window.source.readyState })
`

// The one reason to skip: there is no browser on this machine. scripts/test.sh installs it where it can.
describe.skipIf(!existsSync(chromiumPath))('a browser', () => {
  let browser: Browser
  let hub: RunningHub
  let listed: Bun.Server<undefined>
  let other: Bun.Server<undefined>
  const contexts: BrowserContext[] = []

  beforeAll(async () => {
    listed = servePage()
    other = servePage()
    const origins = ['--hub-cors-origins', `http://localhost:${listed.port}`]
    hub = await startHub({ flags: ['--hub-anonymous', '--hub-cookie-name', cookieName, ...origins] })
    browser = await launchBrowser()
  }, 60_000)
  afterAll(async () => {
    for (const context of contexts) await context.close()
    await browser.close()
    await hub.dispose()
    await listed.stop(true)
    await other.stop(true)
  })

  function servePage(): Bun.Server<undefined> {
    const headers = { 'Content-Type': 'text/html; charset=utf-8' }
    return Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      fetch: () => new Response(`<!doctype html><title>page</title><script>${script}</script>`, { headers }),
    })
  }

  /** The hub under the name that shares its cookies with the page: cookies know no port. */
  const hubUrl = (of: RunningHub) => of.url.replace('127.0.0.1', 'localhost')

  async function openPage(server: Bun.Server<undefined>, token: string | null): Promise<Page> {
    const context = await browser.newContext()
    contexts.push(context)
    if (token !== null)
      await context.addCookies([
        { name: cookieName, value: token, domain: 'localhost', path: '/', httpOnly: true },
      ])
    const page = await context.newPage()
    await page.goto(`http://localhost:${server.port}/`)
    return page
  }

  const subscribe = (page: Page, url: string, withCredentials: boolean) =>
    page.evaluate(`subscribe(${JSON.stringify(url)}, ${withCredentials})`)
  const look = (page: Page) => page.evaluate<Seen>('look()')
  const opened = (page: Page, times = 1) =>
    until('the stream', async () => (await look(page)).opened >= times)

  test('SUB-95 SUB-62 a page of a listed origin receives public updates, and no private one', async () => {
    const page = await openPage(listed, null)
    await subscribe(page, `${hubUrl(hub)}?match=${topic}`, false)
    await opened(page)
    await publish(hub.url, { topic, data: 'secret', private: 'on' })
    const id = await publish(hub.url, { topic, data: 'two\nlines' })
    await until('the update', async () => (await look(page)).ids.length > 0)
    expect(await look(page)).toEqual({ opened: 1, ids: [id], data: ['two\nlines'], state: 1 })
    await page.close()
  })

  test('SUB-96 SUB-61 with the cookie it receives the private updates that the cookie grants', async () => {
    const page = await openPage(listed, await tokenFor({ subscribe: [topic] }))
    const both = `match=${topic}&match=${topic}/other`
    await subscribe(page, `${hubUrl(hub)}?${both}`, true)
    await opened(page)
    await publish(hub.url, { topic: `${topic}/other`, data: 'not granted', private: 'on' })
    await publish(hub.url, { topic, data: 'granted', private: 'on' })
    await until('the update', async () => (await look(page)).ids.length > 0)
    expect((await look(page)).data).toEqual(['granted'])
    await page.close()
  })

  test('SUB-17 a cookie that is not sent grants nothing', async () => {
    const page = await openPage(listed, await tokenFor({ subscribe: [topic] }))
    await subscribe(page, `${hubUrl(hub)}?match=${topic}`, false)
    await opened(page)
    await publish(hub.url, { topic, data: 'secret', private: 'on' })
    await publish(hub.url, { topic, data: 'open' })
    await until('the update', async () => (await look(page)).ids.length > 0)
    expect((await look(page)).data).toEqual(['open'])
    await page.close()
  })

  test('SUB-96 a page of another origin receives nothing, with or without the cookie', async () => {
    for (const withCredentials of [true, false]) {
      const page = await openPage(other, await tokenFor({ subscribe: [topic] }))
      await subscribe(page, `${hubUrl(hub)}?match=${topic}`, withCredentials)
      await until('the refusal', async () => (await look(page)).state === 2)
      await publish(hub.url, { topic, data: 'open' })
      expect(await look(page)).toEqual({ opened: 0, ids: [], data: [], state: 2 })
      await page.close()
    }
  })

  test('REC-12 REC-13 REC-18 a page goes on after a restart of the hub without gap or duplicate', async () => {
    const flags = ['--hub-anonymous', '--hub-cors-origins', '*', '--transport', 'sqlite']
    const first = await startHub({ flags })
    const address = new URL(first.origin)
    const page = await openPage(listed, null)
    await subscribe(page, `${hubUrl(first)}?match=${topic}`, false)
    await opened(page)
    const ids = [
      await publish(first.url, { topic, data: '1' }),
      await publish(first.url, { topic, data: '2' }),
    ]
    await until('both', async () => (await look(page)).ids.length === 2)
    expect(await first.stop('SIGTERM')).toBe(0)
    // It listens where it did before, beside the port that every test hub gets.
    const again = await startHub({ flags: [...flags, '--listen', address.host], directory: first.directory })
    const url = `${first.origin}/.well-known/mercure`
    ids.push(await publish(url, { topic, data: '3' }))
    await opened(page, 2)
    ids.push(await publish(url, { topic, data: '4' }))
    await until('all four', async () => (await look(page)).ids.length >= 4)
    expect((await look(page)).ids).toEqual(ids)
    await page.close()
    await again.dispose()
  }, 30_000)
})
