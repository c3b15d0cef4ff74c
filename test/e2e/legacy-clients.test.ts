import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { EventSourcePolyfill } from 'event-source-polyfill'
import { until } from '../support/binary.ts'
import { launchBrowser } from '../support/browser.ts'
import { CurlStream } from '../support/curl.ts'
import { Scene, type SeenUpdate } from '../support/scene.ts'
import { forge, secretOf } from '../support/tokens.ts'

/** Clients of the 0.x generation, unchanged, on a hub with `hub.legacy`. */

const topic = 'https://example.com/accounts/1'
const selector = encodeURIComponent('https://example.com/accounts/{id}')
const flags = ['--hub-legacy', '8', '--hub-legacy-issuer', 'https://a.example', '--hub-retry', '100ms']

const token = (role: 'publisher' | 'subscriber') =>
  forge(
    { alg: 'HS256', typ: 'JWT' },
    { mercure: { publish: [topic], subscribe: ['https://example.com/accounts/{id}'] } },
    secretOf(`issuer-a/${role}`),
  )

let site: ReturnType<typeof Bun.serve>
beforeAll(() => {
  site = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: () => new Response('<!doctype html>', { headers: { 'Content-Type': 'text/html' } }),
  })
})
const scenes: Scene[] = []
afterAll(async () => {
  for (const scene of scenes) await scene.dispose()
  await site.stop(true)
})

async function openScene(): Promise<Scene> {
  const brief = ['--shutdown-drain', '200ms', '--hub-cors-origins', site.url.origin]
  const scene = await Scene.open(topic, [...flags, ...brief])
  scenes.push(scene)
  return scene
}

const oldUrl = (scene: Scene, more = '') =>
  `${scene.proxy.origin}/.well-known/mercure?topic=${selector}${more}`

describe('LEG-25 a subscriber of 0.x that loses its connection', () => {
  test('event-source-polyfill, whose page begins with lastEventID, has neither gap nor repeat', async () => {
    const scene = await openScene()
    const received: SeenUpdate[] = []
    const source = new EventSourcePolyfill(oldUrl(scene, '&lastEventID=earliest'), {
      headers: { Authorization: `Bearer ${token('subscriber')}` },
    })
    source.addEventListener('message', ({ lastEventId, data }) => received.push({ id: lastEventId, data }))
    const reader = {
      received: async () => received,
      latest: async () => received.at(-1) ?? null,
      opened: async () => 1,
      close: async () => source.close(),
    }
    scene.start()
    await scene.goesOn(reader)
    scene.proxy.cut()
    await scene.goesOn(reader)
    await scene.restart('SIGTERM')
    await scene.goesOn(reader)
    await scene.settle(reader)
    expect(await scene.known(reader)).toEqual(scene.acknowledged)
    source.close()
  })

  test('Chromium, whose EventSource sends the cookie mercureAuthorization, has neither gap nor repeat', async () => {
    const scene = await openScene()
    const browser = await launchBrowser()
    try {
      const context = await browser.newContext()
      const cookie = { name: 'mercureAuthorization', value: token('subscriber'), domain: '127.0.0.1' }
      await context.addCookies([
        { ...cookie, path: '/.well-known/mercure', httpOnly: true, sameSite: 'Strict' },
      ])
      const page = await context.newPage()
      await page.goto(site.url.href)
      await page.evaluate(
        (url) => {
          const received: SeenUpdate[] = []
          Reflect.set(globalThis, 'received', received)
          const source = new EventSource(url, { withCredentials: true })
          source.onmessage = ({ lastEventId, data }) => received.push({ id: lastEventId, data })
        },
        oldUrl(scene, '&lastEventID=earliest&Last-Event-ID=earliest'),
      )
      const seen = (): Promise<readonly SeenUpdate[]> =>
        page.evaluate(() => Reflect.get(globalThis, 'received'))
      const reader = {
        received: seen,
        latest: async () => (await seen()).at(-1) ?? null,
        opened: async () => 1,
        close: async () => context.close(),
      }
      scene.start()
      await scene.goesOn(reader)
      scene.proxy.cut()
      await scene.goesOn(reader)
      await scene.settle(reader)
      expect(await scene.known(reader)).toEqual(scene.acknowledged)
    } finally {
      await browser.close()
    }
  })
})

describe('LEG-24 a publisher of 0.x', () => {
  /** Runs a program and answers with what it prints. */
  async function run(command: readonly string[], stdin = ''): Promise<string> {
    const child = Bun.spawn([...command], { stdio: [new Blob([stdin]), 'pipe', 'pipe'], timeout: 20_000 })
    const [out, err] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ])
    expect([await child.exited, err]).toEqual([0, ''])
    return out
  }

  async function received(scene: Scene, by: (url: string) => Promise<string>) {
    const { url } = await scene.hub
    const updates: SeenUpdate[] = []
    let isOpen = false
    const source = new EventSourcePolyfill(`${url}?topic=${selector}`, {
      headers: { Authorization: `Bearer ${token('subscriber')}` },
    })
    source.addEventListener('open', () => {
      isOpen = true
    })
    source.addEventListener('message', ({ lastEventId, data }) => updates.push({ id: lastEventId, data }))
    await until('the stream', () => isOpen)
    const id = await by(url)
    await until('the update', () => updates.length > 0)
    source.close()
    return { id, updates }
  }

  test('curl, as the guides have it, gets the id and nothing else', async () => {
    const scene = await openScene()
    const { id, updates } = await received(scene, (url) =>
      run([
        ...['curl', '-sS', '-d', `topic=${topic}`, '-d', 'data={"headline":"new"}', '-d', 'private=on'],
        ...['-H', `Authorization: Bearer ${token('publisher')}`, '-X', 'POST', url],
      ]),
    )
    expect(updates).toEqual([{ id, data: '{"headline":"new"}' }])
    const { url } = await scene.hub
    const reader = new CurlStream([
      ...['-H', 'Accept: text/event-stream'],
      `${url}?topic=${selector}&lastEventID=earliest&authorization=${token('subscriber')}`,
    ])
    await until('the past', () => reader.events.length > 0)
    expect(reader.ids).toEqual([id])
    reader.close()
  })

  const library = '/usr/share/php/Symfony/Component/Mercure/autoload.php'
  test('symfony/mercure of Debian publishes and reads the id', async () => {
    if (!(await Bun.file(library).exists()))
      throw new Error('php-symfony-mercure is missing: apt-get install it')
    const scene = await openScene()
    const script = `<?php
      require '${library}';
      require '/usr/share/php/Symfony/Component/HttpClient/autoload.php';
      use Symfony\\Component\\Mercure\\{Hub, Update};
      use Symfony\\Component\\Mercure\\Jwt\\StaticTokenProvider;
      [, $url, $token, $topic] = $argv;
      $hub = new Hub($url, new StaticTokenProvider($token));
      echo $hub->publish(new Update([$topic], "line 1\\nline 2", true, null, null, 1500));
    `
    const { id, updates } = await received(scene, (url) =>
      run(
        ['php', '-d', 'error_reporting=E_ALL & ~E_DEPRECATED', '--', url, token('publisher'), topic],
        script,
      ),
    )
    expect(updates).toEqual([{ id, data: 'line 1\nline 2' }])
  })
})
