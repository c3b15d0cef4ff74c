import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { Browser, Page } from 'playwright-core'
import { type RunningHub, startHub, until } from '../support/binary.ts'
import { launchBrowser } from '../support/browser.ts'
import { type CertificateFiles, makeCertificate, temporaryFolder } from '../support/certificates.ts'
import { type Gateway, type GatewayName, gatewayProgram, gateways, startGateway } from '../support/gateway.ts'
import { freePort } from '../support/ports.ts'
import { publisherToken } from '../support/publisher.ts'
import { tokenFor } from '../support/tokens.ts'

/** The configurations in `deploy/`: HTTPS at a proxy, with a browser before it and the hub behind it. */

const topic = 'https://example.com/behind'
const cookie = '__Secure-mercure_access_token'

interface Seen {
  readonly data: readonly string[]
  readonly errors: number
  readonly state: number
}

/** What the page collects; it runs in the browser. */
const script = `
  window.seen = { data: [], errors: 0 }
  window.source = new EventSource('/.well-known/mercure?match=${topic}')
  window.source.onmessage = ({ data }) => window.seen.data.push(data)
  window.source.onerror = () => window.seen.errors++
  window.look = () => ({ ...window.seen, state: window.source.readyState })
`

/** A proxy of a kind with its hub, both on their own. */
class Scene {
  readonly #folder: Awaited<ReturnType<typeof temporaryFolder>>
  readonly #flags: readonly string[]
  readonly #address: string
  readonly gateway: Gateway
  #hub: RunningHub

  private constructor(
    folder: Awaited<ReturnType<typeof temporaryFolder>>,
    flags: readonly string[],
    hub: RunningHub,
    gateway: Gateway,
  ) {
    this.#folder = folder
    this.#flags = flags
    this.#hub = hub
    this.#address = new URL(hub.origin).host
    this.gateway = gateway
  }

  static async open(name: GatewayName): Promise<Scene> {
    const folder = await temporaryFolder()
    const certificate: CertificateFiles = await makeCertificate(folder.path)
    const port = freePort()
    // Readers come back soon, so that they meet the gateway while the hub is away.
    const flags = [
      ...['--hub-public-urls', `https://localhost:${port}`, '--proxy-trusted', '127.0.0.1'],
      ...['--hub-retry', '100ms', '--shutdown-drain', '0'],
    ]
    const hub = await startHub({ flags })
    const place = { port, hub: new URL(hub.origin).host, certificate, folder: folder.path }
    return new Scene(folder, flags, hub, await startGateway(name, place))
  }

  async stopHub(): Promise<void> {
    expect(await this.#hub.stop('SIGTERM')).toBe(0)
  }

  /** Starts it again where it was, beside the port that every test hub gets. */
  async startHub(): Promise<void> {
    const { directory } = this.#hub
    this.#hub = await startHub({ flags: [...this.#flags, '--listen', this.#address], directory })
  }

  /** Asks the proxy, whose certificate nobody knows. */
  async request(path: string, init: BunFetchRequestInit = {}): Promise<Response> {
    return await fetch(`${this.gateway.origin}${path}`, { ...init, tls: { rejectUnauthorized: false } })
  }

  async publish(data: string): Promise<string> {
    const body = new URLSearchParams({ topic, data, private: 'on' })
    const headers = { Authorization: `Bearer ${await publisherToken()}` }
    const response = await this.request('/.well-known/mercure', { method: 'POST', body, headers })
    expect(response.status).toBe(200)
    return await response.text()
  }

  async dispose(): Promise<void> {
    await this.gateway.dispose()
    await this.#hub.dispose()
    await this.#folder.dispose()
  }
}

let browser: Browser
beforeAll(async () => {
  browser = await launchBrowser()
}, 60_000)
afterAll(() => browser.close())

async function openPage({ gateway }: Scene): Promise<{ page: Page; attempts: () => number }> {
  const context = await browser.newContext({ ignoreHTTPSErrors: true })
  const value = await tokenFor({ subscribe: [topic] })
  await context.addCookies([{ name: cookie, value, url: gateway.origin, secure: true, httpOnly: true }])
  const page = await context.newPage()
  let attempts = 0
  page.on('request', (request) => {
    if (request.url().includes('/.well-known/mercure')) attempts++
  })
  await page.goto(`${gateway.origin}/healthz`)
  await page.evaluate(script)
  return { page, attempts: () => attempts }
}

const look = (page: Page) => page.evaluate<Seen>('look()')

// The one reason to skip: nginx is not on this machine.
test.skipIf(gatewayProgram('nginx') === null)(
  'nginx tells a publisher whose hub is away when to come back',
  async () => {
    const scene = await Scene.open('nginx')
    try {
      await scene.stopHub()
      const body = new URLSearchParams({ topic })
      const response = await scene.request('/.well-known/mercure', { method: 'POST', body })
      expect(response.status).toBe(503)
      expect(response.headers.get('Retry-After')).toBe('2')
    } finally {
      await scene.dispose()
    }
  },
)

describe.each(gateways)('%s', (name) => {
  // The one reason to skip: it is not on this machine. scripts/test.sh installs it where it can.
  const run = test.skipIf(gatewayProgram(name) === null)

  run(
    'lets the cookie through, replays what was missed, and holds pages while the hub restarts',
    async () => {
      const scene = await Scene.open(name)
      try {
        // Without the origin that the proxy names this would be a 421, and the cookie would not be taken.
        const { page, attempts } = await openPage(scene)
        await until('the stream', async () => (await look(page)).state === 1)
        const first = await scene.publish('1')
        await scene.publish('2')
        await until('both', async () => (await look(page)).data.length === 2)

        const token = await tokenFor({ subscribe: [topic] })
        const query = new URLSearchParams({ match: topic, last_event_id: first })
        const headers = { Authorization: `Bearer ${token}`, Accept: 'text/event-stream' }
        const replay = await scene.request(`/.well-known/mercure?${query}`, { headers })
        let text = ''
        const decoder = new TextDecoder()
        for await (const chunk of replay.body ?? []) {
          text += decoder.decode(chunk, { stream: true })
          if (text.includes('data: 2')) break
        }
        expect(text).not.toContain('data: 1')

        const before = attempts()
        await scene.stopHub()
        await until('the page comes back', () => attempts() > before)
        await scene.startHub()
        await scene.publish('3')
        await until('the third', async () => (await look(page)).data.length >= 3, 25_000)
        await scene.publish('4')
        await until('the fourth', async () => (await look(page)).data.length >= 4)
        const { data, state, errors } = await look(page)
        expect({ data, state }).toEqual({ data: ['1', '2', '3', '4'], state: 1 })
        expect(errors).toBeGreaterThan(0)
        await page.close()
      } finally {
        await scene.dispose()
      }
    },
    90_000,
  )
})
