import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { EventSourcePolyfill } from 'event-source-polyfill'
import { EventSource } from 'eventsource'
import OldEventSource from 'eventsource-2'
import { EventSource as EventSource3 } from 'eventsource-3'
import { createEventSource } from 'eventsource-client'
import type { Browser, Page } from 'playwright-core'
import { until } from '../support/binary.ts'
import { launchBrowser } from '../support/browser.ts'
import type { ClientPage, PolyfillOptions } from '../support/client-page.ts'
import { type Reader, Scene, type SeenUpdate } from '../support/scene.ts'
import { StreamClient } from '../support/stream-client.ts'
import { forge, secretOf, tokenFor } from '../support/tokens.ts'

/** The clients that people use, unchanged, over networks that break and a hub that comes and goes. */

const topic = 'https://example.com/accounts/1'
const cookieName = 'mercure_access_token'

let browser: Browser
let site: ReturnType<typeof Bun.serve>
let token: string
/** The same rights in the way of 0.x. */
const oldToken = forge(
  { alg: 'HS256', typ: 'JWT' },
  { mercure: { subscribe: ['https://example.com/accounts/{id}'] } },
  secretOf('issuer-a/subscriber'),
)
beforeAll(async () => {
  const script = await bundle('../support/client-page.ts')
  const page = '<script type="module" src="/client-page.js"></script>'
  site = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    routes: {
      '/client-page.js': () => new Response(script, { headers: { 'Content-Type': 'text/javascript' } }),
      '/*': () => new Response(page, { headers: { 'Content-Type': 'text/html' } }),
    },
  })
  browser = await launchBrowser()
  token = await tokenFor({ subscribe: [topic] })
})

const readers: Reader[] = []
const scenes: Scene[] = []
afterAll(async () => {
  for (const reader of readers) await reader.close()
  for (const scene of scenes) await scene.dispose()
  await browser.close()
  await site.stop(true)
})

async function bundle(entry: string): Promise<string> {
  const path = Bun.fileURLToPath(new URL(entry, import.meta.url))
  const { outputs } = await Bun.build({ entrypoints: [path], target: 'browser' })
  return (await outputs[0]?.text()) ?? ''
}

async function openScene(flags: readonly string[] = []): Promise<Scene> {
  const own = ['--hub-cors-origins', site.url.origin, '--hub-cookie-name', cookieName]
  const brief = ['--hub-retry', '100ms', '--shutdown-drain', '200ms']
  const scene = await Scene.open(topic, [...own, ...brief, ...flags])
  scenes.push(scene)
  return scene
}

/** `Class` is that of version 3 or 5, which both take a function to fetch with. */
async function openEventSource(
  url: string,
  bearer = token,
  Class: typeof EventSource | typeof EventSource3 = EventSource,
): Promise<Reader> {
  const received: SeenUpdate[] = []
  let opened = 0
  const source = new Class(url, {
    fetch: (input, init) =>
      fetch(input, { ...init, headers: { ...init.headers, Authorization: `Bearer ${bearer}` } }),
  })
  source.addEventListener('open', () => opened++)
  source.addEventListener('message', ({ lastEventId, data }) => received.push({ id: lastEventId, data }))
  return localReader(received, () => opened, source)
}

/** Version 2, which takes fields. */
async function openEventSource2(url: string, bearer = token): Promise<Reader> {
  const received: SeenUpdate[] = []
  let opened = 0
  const source = new OldEventSource(url, { headers: { Authorization: `Bearer ${bearer}` } })
  source.addEventListener('open', () => opened++)
  source.addEventListener('message', ({ lastEventId, data }) => received.push({ id: lastEventId, data }))
  // It says so at each connection that it loses, and comes back by itself.
  source.addEventListener('error', () => {})
  return localReader(received, () => opened, source)
}

async function openEventSourceClient(url: string): Promise<Reader> {
  const received: SeenUpdate[] = []
  let opened = 0
  const source = createEventSource({
    url,
    headers: { Authorization: `Bearer ${token}` },
    onConnect: () => opened++,
    onMessage: ({ id = '', data }) => received.push({ id, data }),
  })
  return localReader(received, () => opened, source)
}

type Closable = { readonly close: () => void }

function localReader(received: readonly SeenUpdate[], opened: () => number, source: Closable): Reader {
  const reader: Reader = {
    received: async () => received,
    latest: async () => received.at(-1) ?? null,
    opened: async () => opened(),
    close: async () => source.close(),
  }
  readers.push(reader)
  return reader
}

/** In this process, where it has no XMLHttpRequest. */
async function openPolyfillHere(url: string, options: PolyfillOptions): Promise<Reader> {
  const received: SeenUpdate[] = []
  let opened = 0
  const { parameter } = options
  const source = new EventSourcePolyfill(url, {
    headers: { Authorization: `Bearer ${token}` },
    ...(parameter !== undefined && { lastEventIdQueryParameterName: parameter }),
  })
  source.addEventListener('open', () => opened++)
  source.addEventListener('message', ({ lastEventId, data }) => received.push({ id: lastEventId, data }))
  return localReader(received, () => opened, source)
}

/** A reader in a page of its own; `start` runs with a page that has `clientPage`. `isOld`: the page has no fetch. */
async function openPage(
  start: (page: Page) => Promise<void>,
  isOld = false,
): Promise<Reader & { readonly page: Page }> {
  const context = await browser.newContext()
  const path = '/.well-known/mercure'
  await context.addCookies([
    { name: cookieName, value: token, domain: '127.0.0.1', path, httpOnly: true, sameSite: 'Strict' },
  ])
  const page = await context.newPage()
  if (isOld) await page.addInitScript(() => Reflect.deleteProperty(globalThis, 'fetch'))
  await page.goto(site.url.href)
  await page.waitForFunction(() => 'clientPage' in globalThis)
  await start(page)
  const reader = {
    page,
    received: () => page.evaluate(() => clientPage.received),
    latest: () => page.evaluate(() => clientPage.received.at(-1) ?? null),
    opened: () => page.evaluate(() => clientPage.opened),
    close: () => context.close(),
  }
  readers.push(reader)
  return reader
}

const openPolyfill = (url: string, options: PolyfillOptions, isOld = false) =>
  openPage(
    (page) => page.evaluate((all) => clientPage.polyfill(...all), [url, token, options] as const),
    isOld,
  )

const openFetchEventSource = (
  url: string,
  options: Parameters<ClientPage['fetchEventSource']>[2],
  bearer = token,
) =>
  openPage((page) =>
    page.evaluate((all) => clientPage.fetchEventSource(...all), [url, bearer, options] as const),
  )

const openReconnecting = (url: string, options: Parameters<ClientPage['reconnecting']>[1]) =>
  openPage((page) => page.evaluate((all) => clientPage.reconnecting(...all), [url, options] as const))

/** Where a request said from where it wants to go on. */
interface Cursors {
  readonly field: boolean
  readonly parameter: string | null
}

function cursorsOf(head: string): Cursors {
  const target = new URL(head.split(' ')[1] ?? '', 'http://hub')
  return { field: /\r\nlast-event-id: /i.test(head), parameter: target.searchParams.get('last_event_id') }
}

const streamRequests = (scene: Scene) => scene.proxy.heads.filter((head) => head.startsWith('GET '))

describe.concurrent('clients that lose their connection while updates are published', () => {
  const both = { field: true, parameter: 'earliest' }
  const parameterOnly = { field: false, parameter: expect.stringContaining('urn:uuid:') }
  const clients: readonly (readonly [
    name: string,
    cursors: object,
    open: (url: string) => Promise<Reader>,
  ])[] = [
    ['eventsource', both, openEventSource],
    ['eventsource 3', both, (url) => openEventSource(url, token, EventSource3)],
    ['eventsource 2', both, openEventSource2],
    ['eventsource-client', both, openEventSourceClient],
    [
      'event-source-polyfill, told the name of the parameter,',
      parameterOnly,
      (url) => openPolyfill(url, { parameter: 'last_event_id' }),
    ],
    [
      '@microsoft/fetch-event-source, with a handler that throws at a clean end,',
      both,
      (url) => openFetchEventSource(url, { comesBack: true }),
    ],
    ['reconnecting-eventsource', both, (url) => openReconnecting(url, { renames: false })],
  ]
  for (const [name, cursors, open] of clients) {
    test(`REC-02 REC-05 REC-12 REC-13 REC-18 ${name} resumes without gap or duplicate`, async () => {
      const scene = await openScene()
      // The first cursor stays in the URL: the field of a later request must win over it.
      await survive(scene, () => open(scene.url('&last_event_id=earliest')))
      for (const head of streamRequests(scene).slice(1)) expect(cursorsOf(head)).toMatchObject({ ...cursors })
      await scene.dispose()
    }, 60_000)
  }
})

describe.concurrent('LEG-25 clients of the 0.x generation that lose their connection', () => {
  const clients: readonly (readonly [name: string, open: (url: string) => Promise<Reader>])[] = [
    ['eventsource', (url) => openEventSource(url, oldToken)],
    ['eventsource 3', (url) => openEventSource(url, oldToken, EventSource3)],
    ['eventsource 2', (url) => openEventSource2(url, oldToken)],
    [
      '@microsoft/fetch-event-source, with a handler that throws at a clean end,',
      (url) => openFetchEventSource(url, { comesBack: true }, oldToken),
    ],
  ]
  for (const [name, open] of clients) {
    test(`LEG-17 ${name} resumes without gap or duplicate`, async () => {
      const scene = await openScene(['--hub-legacy', '8', '--hub-legacy-issuer', 'https://a.example'])
      const selector = encodeURIComponent('https://example.com/accounts/{id}')
      const url = `${scene.proxy.origin}/.well-known/mercure?topic=${selector}`
      await survive(scene, () => open(`${url}&lastEventID=earliest`))
      await scene.dispose()
    }, 60_000)
  }
})

/** The reader sees each update once and in order, over a cut connection and two ends of the hub. */
async function survive(scene: Scene, open: () => Promise<Reader>): Promise<void> {
  scene.start()
  const reader = await open()
  await scene.goesOn(reader)
  scene.proxy.cut()
  await scene.goesOn(reader)
  await scene.restart('SIGTERM')
  await scene.goesOn(reader)
  await scene.proxy.refuse()
  await scene.restart('SIGKILL')
  await scene.proxy.recover()
  await scene.goesOn(reader)
  await scene.settle(reader)
  const received = await reader.received()
  expect(await scene.known(reader)).toEqual(scene.acknowledged)
  expect(new Set(received.map(({ id }) => id)).size).toBe(received.length)
  expect(await reader.opened()).toBeGreaterThanOrEqual(4)
  await reader.close()
}

/** Publishes one update before, one during and one after an interruption, and answers with which arrived. */
async function interrupt(
  scene: Scene,
  reader: Reader,
  begin: () => unknown,
  end: () => unknown = () => scene.proxy.recover(),
): Promise<readonly boolean[]> {
  await until('the stream', async () => (await reader.opened()) === 1)
  await scene.publish()
  await until('the first', async () => (await reader.received()).length === 1)
  await begin()
  await scene.publish()
  await end()
  await until('the stream again', async () => (await reader.opened()) === 2)
  await scene.settle(reader)
  const received = await reader.received()
  return scene.acknowledged.map(({ id }) => received.some((update) => update.id === id))
}

/** Breaks as a gateway without its hub does, and waits until a client has seen it. */
async function failOnce(scene: Scene): Promise<void> {
  const before = streamRequests(scene).length
  scene.proxy.fail()
  await until('a request that is answered 502', () => streamRequests(scene).length > before)
}

describe('event-source-polyfill on connections of 3 s', () => {
  type Opener = (url: string, options: PolyfillOptions) => Promise<Reader>
  const openInOldPage: Opener = (url, options) => openPolyfill(url, options, true)
  /** How each reader is opened, with a cursor that stays in its URL or none; `first` is an id that the hub has. */
  const modes: readonly (readonly [mode: string, open: Opener, parameter: string | null, more: string])[] = [
    ['fetch', openPolyfill, null, ''],
    ['XMLHttpRequest', openInOldPage, null, ''],
    ['in a server', openPolyfillHere, null, ''],
    ['lastEventID', openPolyfill, 'lastEventID', ''],
    ['last_event_id', openPolyfill, 'last_event_id', ''],
    ['Last-Event-Id, as in its documentation', openPolyfillHere, 'Last-Event-Id', ''],
    ['Last-Event-ID', openInOldPage, 'Last-Event-ID', ''],
    ['from a page that was given a cursor', openPolyfill, null, '&last_event_id=FIRST'],
    [
      'lastEventID from a page that was given a cursor',
      openPolyfillHere,
      'lastEventID',
      '&last_event_id=FIRST',
    ],
    ['from a page with cursors of 0.x', openPolyfillHere, null, '&lastEventID=FIRST&Last-Event-ID=FIRST'],
    ['last_event_id from a page with one of 0.x', openPolyfillHere, 'last_event_id', '&lastEventID=FIRST'],
    ['from the earliest', openPolyfillHere, null, '&last_event_id=earliest'],
  ]

  test('M15 60 of 60 updates arrive in every mode, once and in order', async () => {
    const scene = await openScene(['--hub-connection-lifetime', '3s'])
    await scene.publish()
    const first = encodeURIComponent(scene.acknowledged[0]?.id ?? '')
    const opened = await Promise.all(
      modes.map(async ([mode, open, parameter, more]) => {
        const url = scene.url(more.replaceAll('FIRST', first))
        return [mode, await open(url, parameter === null ? {} : { parameter })] as const
      }),
    )
    // Until it has an event a library has no cursor, and what comes between two of its connections is not for it.
    const haveBegun = async () => {
      await scene.publish()
      const received = await Promise.all(opened.map(([, reader]) => reader.received()))
      return received.every(({ length }) => length > 0)
    }
    await until('an event for each', haveBegun)
    for (let count = 0; count < 60; count++) {
      await scene.publish()
      // A pace, not a wait: the updates are to come while connections come and go.
      await Bun.sleep(150)
    }
    await scene.settle(...opened.map(([, reader]) => reader))

    const received = new Map(
      await Promise.all(opened.map(async ([mode, reader]) => [mode, await reader.received()] as const)),
    )
    const startOf = (mode: string, more: string) => {
      if (more !== '') return more.endsWith('earliest') ? 0 : 1
      return scene.acknowledged.findIndex(({ id }) => id === received.get(mode)?.[0]?.id)
    }
    const expected = modes.map(
      ([mode, , , more]) => [mode, scene.acknowledged.slice(startOf(mode, more))] as const,
    )
    expect(Object.fromEntries(received)).toEqual(Object.fromEntries(expected))
    for (const updates of received.values()) expect(updates.length).toBeGreaterThanOrEqual(60)
    for (const [, reader] of opened) {
      expect(await reader.opened()).toBeGreaterThanOrEqual(3)
      await reader.close()
    }
    await scene.dispose()
  }, 60_000)
})

describe('clients that spell the cursor in their own way', () => {
  test('M15 event-source-polyfill resumes under its default parameter name', async () => {
    const scene = await openScene()
    const reader = await openPolyfill(scene.url(), {})
    const arrived = await interrupt(scene, reader, () => scene.proxy.refuse())
    expect(arrived).toEqual([true, true, true])
    expect(await reader.received()).toEqual(scene.acknowledged)
    expect(streamRequests(scene).at(-1)).toContain('&lastEventId=urn%3Auuid%3A')
  }, 30_000)

  test('M15 reconnecting-eventsource resumes once a gateway has answered 502', async () => {
    const scene = await openScene()
    const reader = await openReconnecting(scene.url(), { renames: false })
    const arrived = await interrupt(scene, reader, () => failOnce(scene))
    expect(arrived).toEqual([true, true, true])
    expect(await reader.received()).toEqual(scene.acknowledged)
    expect(streamRequests(scene).at(-1)).toContain('&lastEventId=urn%3Auuid%3A')
  }, 30_000)

  test('REC-05 reconnecting-eventsource resumes after a 502 when its inner class spells the parameter', async () => {
    const scene = await openScene()
    const reader = await openReconnecting(scene.url('&last_event_id=earliest'), { renames: true })
    expect(await interrupt(scene, reader, () => failOnce(scene))).toEqual([true, true, true])
    expect(await reader.received()).toEqual(scene.acknowledged)
  }, 30_000)
})

describe('ends and silences that clients take in their own way', () => {
  test('SUB-91 @microsoft/fetch-event-source resolves at a clean end and leaves it at that', async () => {
    const scene = await openScene()
    const reader = await openFetchEventSource(scene.url('&last_event_id=earliest'), { comesBack: false })
    await scene.publish()
    await scene.settle(reader)
    await (await scene.hub).stop('SIGTERM')
    await until('the end', () => reader.page.evaluate(() => clientPage.ended !== null))
    expect(await reader.page.evaluate(() => clientPage.ended)).toBe('resolved')
    expect(await reader.received()).toEqual(scene.acknowledged)
    expect(streamRequests(scene).length).toBe(1)
  }, 30_000)

  test('REC-05 SUB-99 @microsoft/fetch-event-source goes on where it was when its tab is shown again', async () => {
    const scene = await openScene()
    const reader = await openFetchEventSource(scene.url(), { comesBack: false })
    const arrived = await interrupt(
      scene,
      reader,
      () => setVisible(reader.page, false),
      () => setVisible(reader.page, true),
    )
    expect(arrived).toEqual([true, true, true])
    expect(await reader.received()).toEqual(scene.acknowledged)
    // The first preflight has allowed the field that only the second request has.
    expect(scene.proxy.heads.filter((head) => head.startsWith('OPTIONS ')).length).toBe(1)
    expect(streamRequests(scene).map((head) => cursorsOf(head).field)).toEqual([false, true])
  }, 30_000)

  test('SUB-85 event-source-polyfill stays while the hub beats, and gives up a stalled connection without loss', async () => {
    const scene = await openScene(['--hub-heartbeat', '250ms'])
    const reader = await openPolyfill(scene.url(), { parameter: 'last_event_id', heartbeatTimeout: 1500 })
    await until('the stream', async () => (await reader.opened()) === 1)
    await scene.publish()
    // A second reader says how long the silence has been: more than twice what the polyfill bears.
    const { url } = await scene.hub
    const witness = await StreamClient.open(`${url}?match=a`, { Authorization: `Bearer ${token}` })
    await until('heartbeats', () => witness.lines.filter((line) => line.startsWith(':')).length >= 13)
    witness.close()
    expect(await reader.opened()).toBe(1)
    const before = scene.proxy.accepted
    scene.proxy.stall()
    await scene.publish()
    await until('another connection', () => scene.proxy.accepted > before)
    await scene.proxy.recover()
    await scene.settle(reader)
    expect(await reader.received()).toEqual(scene.acknowledged)
  }, 30_000)
})

/** What the page is told when its tab goes to the back or comes to the front. */
async function setVisible(page: Page, isVisible: boolean): Promise<void> {
  await page.evaluate((visible) => {
    Object.defineProperty(document, 'hidden', { value: !visible, configurable: true })
    document.dispatchEvent(new Event('visibilitychange'))
  }, isVisible)
}
