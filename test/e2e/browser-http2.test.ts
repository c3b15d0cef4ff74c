import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { type RunningHub, startHub, until } from '../support/binary.ts'
import { launchBrowser } from '../support/browser.ts'
import { type CertificateFiles, makeCertificate, temporaryFolder } from '../support/certificates.ts'
import { type PublishFields, publisherToken } from '../support/publisher.ts'
import { tokenFor } from '../support/tokens.ts'

/**
 * A browser at a site and a hub beside it, each under its own name below example.com, as they are deployed:
 * the site sets the cookie and the hub gets it. Both names lead to loopback.
 */

const path = '/.well-known/mercure'
const books = 'https://example.com/books'
const users = 'https://example.com/users'

let certificate: CertificateFiles
let folder: Awaited<ReturnType<typeof temporaryFolder>>
let browser: Browser
let site: ReturnType<typeof Bun.serve>
let siteOrigin: string
beforeAll(async () => {
  folder = await temporaryFolder()
  certificate = await makeCertificate(folder.path, 'site', ['DNS:*.example.com'])
  const { certFile, keyFile } = certificate
  const token = await tokenFor({ subscribe: [`${users}/42`] })
  site = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    tls: { cert: Bun.file(certFile), key: Bun.file(keyFile) },
    // The browser also asks for an icon, at any time after the page: that answer must not bring the cookie back.
    fetch: ({ url }) =>
      new URL(url).pathname === '/'
        ? new Response('<title>app</title>', { headers: { ...html, 'Set-Cookie': cookie(token) } })
        : new Response(null, { status: 404 }),
  })
  siteOrigin = `https://app.example.com:${site.port}`
  browser = await launchBrowser(['--host-resolver-rules=MAP *.example.com 127.0.0.1'])
})

const hubs: RunningHub[] = []
afterAll(async () => {
  await browser.close()
  for (const hub of hubs) await hub.dispose()
  await site.stop(true)
  await folder.dispose()
})

const html = { 'Content-Type': 'text/html' }
const cookie = (token: string) =>
  `__Secure-mercure_access_token=${token}; Domain=example.com; Path=${path}; Secure; HttpOnly; SameSite=Strict`

interface TestedHub {
  readonly hub: RunningHub
  /** Its URL under the name that the browser knows. */
  readonly url: string
}

async function startSecureHub(flags: readonly string[]): Promise<TestedHub> {
  const cors = ['--hub-cors-origins', siteOrigin, '--hub-publish-origins', siteOrigin]
  const common = ['--hub-anonymous', '--transport', 'memory', '--hub-retry', '100ms']
  const hub = await startHub({ flags: [...common, ...certificate.flags, ...cors, ...flags] })
  hubs.push(hub)
  return { hub, url: `https://hub.example.com:${new URL(hub.origin).port}${path}` }
}

/** Publishes past the browser and answers with the id. */
async function publish({ hub }: TestedHub, fields: PublishFields): Promise<string> {
  const body = new URLSearchParams()
  for (const [name, value] of Object.entries(fields)) {
    for (const one of typeof value === 'string' ? [value] : value) body.append(name, one)
  }
  const headers = { authorization: `Bearer ${await publisherToken()}` }
  const tls = { ca: Bun.file(certificate.certFile), checkServerIdentity: () => undefined }
  const response = await fetch(hub.url, { method: 'POST', body, headers, tls })
  if (response.status !== 200) throw new Error(`publishing was answered ${response.status}`)
  return await response.text()
}

/** What the page keeps of one EventSource. */
interface Source {
  readonly source: EventSource
  readonly ids: string[]
  opened: number
}

declare global {
  var sources: Source[]
}

interface Site {
  readonly page: Page
  /**
   * By which protocol each stream was answered, as the browser's network log says: the page itself cannot know,
   * since resource timing hides the protocol of other origins.
   */
  readonly protocols: string[]
  /** The browser's numbers of the connections that the streams came on. */
  readonly connections: Set<number>
}

async function openSite(context: BrowserContext): Promise<Site> {
  const page = await context.newPage()
  const protocols: string[] = []
  const connections = new Set<number>()
  const session = await context.newCDPSession(page)
  await session.send('Network.enable')
  session.on('Network.responseReceived', ({ type, response }) => {
    if (type !== 'EventSource') return
    protocols.push(response.protocol ?? '')
    connections.add(response.connectionId)
  })
  await page.goto(siteOrigin)
  await page.evaluate(() => {
    globalThis.sources = []
  })
  return { page, protocols, connections }
}

/** Opens an EventSource in the page; its place in `sources` is the order of the calls. */
async function subscribe(page: Page, url: string, withCredentials: boolean): Promise<void> {
  await page.evaluate(
    ([at, credentials]) => {
      const entry: Source = {
        source: new EventSource(at, { withCredentials: credentials }),
        ids: [],
        opened: 0,
      }
      entry.source.onmessage = ({ lastEventId }) => entry.ids.push(lastEventId)
      entry.source.onopen = () => {
        entry.opened++
      }
      sources.push(entry)
    },
    [url, withCredentials] as const,
  )
}

const allOpen = (page: Page) =>
  until('the streams', () => page.evaluate(() => sources.every(({ opened }) => opened > 0)))
const idsOf = (page: Page) => page.evaluate(() => sources.map(({ ids }) => ids))

describe.each([
  ['HTTP/1.1', ['--no-http2'], 'http/1.1'],
  ['HTTP/2', ['--http2'], 'h2'],
] as const)('a browser on another origin, over %s', (_, flags, protocol) => {
  let tested: TestedHub
  let context: BrowserContext
  beforeAll(async () => {
    tested = await startSecureHub(flags)
    context = await browser.newContext({ ignoreHTTPSErrors: true })
  })

  test('SUB-60 SUB-61 SUB-96 AUT-01 each EventSource sees what it may and nothing else', async () => {
    const { page, protocols } = await openSite(context)
    const { url } = tested
    const pattern = encodeURIComponent(`${books}/:id`)
    await subscribe(page, `${url}?match=${books}/1`, false)
    await subscribe(page, `${url}?match_urlpattern=${pattern}`, false)
    await subscribe(page, `${url}?match=${users}/42`, true)
    await subscribe(page, `${url}?match=${users}/42`, false)
    await subscribe(page, `${url}?match=${users}/43&match=${users}/44`, true)
    await allOpen(page)
    const first = await publish(tested, { topic: `${books}/1`, data: 'a' })
    const second = await publish(tested, { topic: `${books}/2`, data: 'a' })
    await publish(tested, { topic: `${books}/2/pages`, data: 'a' })
    const mine = await publish(tested, { topic: `${users}/42`, data: 'a', private: 'on' })
    await publish(tested, { topic: `${users}/43`, data: 'a', private: 'on' })
    const open = await publish(tested, { topic: `${users}/42`, data: 'a' })
    const everywhere = [`${books}/1`, `${users}/42`, `${users}/43`]
    const last = await publish(tested, { topic: everywhere, data: 'a' })
    await until('the last', async () => (await idsOf(page)).every((ids) => ids.includes(last)))
    expect(await idsOf(page)).toEqual([
      [first, last],
      [first, second, last],
      [mine, open, last],
      [open, last],
      [last],
    ])
    expect(protocols).toEqual(Array.from({ length: 5 }, () => protocol))
    await page.close()
  })

  test('REC-05 REC-13 an EventSource whose streams end again and again misses nothing and sees nothing twice', async () => {
    const brief = await startSecureHub([...flags, '--hub-connection-lifetime', '500ms'])
    const { page, protocols } = await openSite(context)
    await subscribe(page, `${brief.url}?match=${users}/42&last_event_id=earliest`, true)
    const published: string[] = []
    await until('the fourth stream', async () => {
      published.push(await publish(brief, { topic: `${users}/42`, data: 'a', private: 'on' }))
      return await page.evaluate(() => (sources[0]?.opened ?? 0) >= 4)
    })
    await until('all', async () => (await idsOf(page))[0]?.length === published.length)
    expect(await idsOf(page)).toEqual([published])
    expect(new Set(protocols)).toEqual(new Set([protocol]))
    await page.close()
  })

  test('AUT-15 AUT-17 SUB-95 the page publishes with the cookie and reads the answer', async () => {
    const own = await browser.newContext({ ignoreHTTPSErrors: true })
    const { page } = await openSite(own)
    const token = await tokenFor({ publish: [`${users}/42`] })
    // The site's own cookie is for subscribing, and the first of a name counts.
    await own.clearCookies()
    await own.addCookies([
      { name: '__Secure-mercure_access_token', value: token, url: tested.url, secure: true },
    ])
    const answer = await page.evaluate(
      async ([at, topic]) => {
        const body = new URLSearchParams({ topic, data: 'a' })
        const response = await fetch(at, { method: 'POST', body, credentials: 'include' })
        return { status: response.status, id: await response.text() }
      },
      [tested.url, `${users}/42`] as const,
    )
    expect(answer).toEqual({ status: 200, id: expect.stringMatching(/^urn:uuid:/) })
    await own.close()
  })
})

describe('HTTP/2', () => {
  test('a page opens 30 EventSources at once, on one connection, and each gets its own', async () => {
    const tested = await startSecureHub(['--http2'])
    const context = await browser.newContext({ ignoreHTTPSErrors: true })
    const { page, protocols, connections } = await openSite(context)
    for (let n = 0; n < 30; n++) await subscribe(page, `${tested.url}?match=${books}/${n}`, false)
    await allOpen(page)
    const ids: string[] = []
    for (let n = 0; n < 30; n++) ids.push(await publish(tested, { topic: `${books}/${n}`, data: 'a' }))
    await until('all', async () => (await idsOf(page)).every(({ length }) => length === 1))
    expect(await idsOf(page)).toEqual(ids.map((id) => [id]))
    expect(protocols).toEqual(Array.from({ length: 30 }, () => 'h2'))
    expect(connections.size).toBe(1)
    await context.close()
  })
})
