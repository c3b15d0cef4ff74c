import { describe, expect, test } from 'bun:test'
import { load, type Settings } from '../../src/config/load.ts'
import { names } from '../../src/config/names.ts'
import { Server } from '../../src/serve/server.ts'
import { Log } from '../../src/telemetry/log.ts'
import { until } from '../support/binary.ts'
import { makeCertificate, shownFingerprint, temporaryFolder } from '../support/certificates.ts'
import { consoleMaterial, consoleToken } from '../support/console-material.ts'
import { RawConnection, type RawRequest, rawRequest, requestBytes } from '../support/raw-request.ts'
import { StreamClient } from '../support/stream-client.ts'
import { secretOf, tokenFor } from '../support/tokens.ts'
import { startWriter } from '../transport/sqlite/log.ts'

/** A running hub shows of every setting without `restart` that a reload has changed it. */

const path = '/.well-known/mercure'
const host = 'hub.example.com'
const audience = `http://${host}${path}`
const app = 'https://app.example.com'

type Fields = readonly (readonly [name: string, value: string])[]

interface Probe {
  readonly before?: readonly string[]
  readonly after: readonly string[]
  ask(hub: LiveHub): Promise<unknown>
  /** The answer before; a probe that waits for what only the new value brings is not asked then. */
  readonly was?: unknown
  readonly is: unknown
}

const withConsole = ['--admin-listen', '127.0.0.1:0', '--admin-console', '--admin-token', consoleToken]
const otherToken = `other-${consoleToken}`

const probes: Readonly<Record<string, Probe>> = {
  'admin.token': {
    before: withConsole,
    after: ['--admin-token', otherToken],
    ask: async (hub) => (await hub.console('hub', otherToken)).status,
    was: 401,
    is: 200,
  },
  'admin.payloads': {
    before: withConsole,
    after: ['--admin-payloads', 'none'],
    ask: async (hub) => (await (await hub.console('hub')).json()).may.payloads,
    was: 'public',
    is: 'none',
  },
  'admin.actions': {
    before: withConsole,
    after: ['--no-admin-actions'],
    ask: async (hub) => (await (await hub.console('hub')).json()).may.act,
    was: true,
    is: false,
  },
  'admin.public_urls': {
    before: withConsole,
    after: ['--admin-public-urls', 'http://console.example'],
    ask: async (hub) => (await hub.console('hub', consoleToken, { Host: 'console.example' })).status,
    was: 421,
    is: 200,
  },
  'hub.public_urls': {
    after: ['--hub-public-urls', `http://${host},http://second.example.com`],
    ask: (hub) => hub.status('GET', [['Host', 'second.example.com']]),
    was: 421,
    is: 200,
  },
  'hub.resource_identifier': {
    after: ['--hub-resource-identifier', 'urn:other'],
    ask: async (hub) => hub.status('GET', await bearer({ subscribe: ['a'], audience: 'urn:other' })),
    was: 401,
    is: 200,
  },
  'hub.anonymous': {
    after: ['--no-hub-anonymous'],
    ask: (hub) => hub.status('GET'),
    was: 200,
    is: 401,
  },
  'hub.cookie_name': {
    after: ['--hub-cookie-name', 'other'],
    ask: (hub) => hub.status('GET', [['Cookie', `other=${'x'.repeat(50)}`]]),
    was: 200,
    is: 401,
  },
  'hub.cors_origins': {
    after: ['--hub-cors-origins', app],
    ask: async (hub) =>
      (await hub.ask({ target: `${path}?match=a`, fields: [['Origin', app]] })).headers.get(
        'access-control-allow-origin',
      ),
    was: null,
    is: app,
  },
  'hub.cors_headers': {
    before: ['--hub-cors-origins', app],
    after: ['--hub-cors-headers', 'traceparent,X-Request-Id'],
    ask: async (hub) => {
      const fields = [
        ['Origin', app],
        ['Access-Control-Request-Method', 'GET'],
      ] as const
      const { headers } = await hub.ask({ method: 'OPTIONS', target: path, fields })
      return headers.get('access-control-allow-headers')?.split(', ').slice(4)
    },
    was: [],
    is: ['traceparent', 'X-Request-Id'],
  },
  'hub.publish_origins': {
    after: ['--hub-publish-origins', app],
    ask: async (hub) => {
      const token = await tokenFor({ publish: ['*'], audience })
      const cookie = ['Cookie', `__Secure-mercure_access_token=${token}`] as const
      return await hub.post('topic=a', [cookie, ['Origin', app]])
    },
    was: 400,
    is: 200,
  },
  'hub.heartbeat': {
    before: ['--hub-heartbeat', '1h'],
    after: ['--hub-heartbeat', '50ms'],
    ask: async (hub) => {
      const stream = await hub.stream()
      const comments = () => stream.received.split('\n').filter((line) => line.startsWith(':'))
      await until('a second comment', () => comments().length > 1)
      stream.close()
      return 'a second comment'
    },
    is: 'a second comment',
  },
  'hub.retry': {
    after: ['--hub-retry', '7s'],
    ask: async (hub) => {
      const stream = await hub.stream()
      await until('the first bytes', () => /\r\n\r\n.*\r\n.*\n/.test(stream.received))
      stream.close()
      return /retry: \d+/.exec(stream.received)?.[0] ?? null
    },
    was: null,
    is: 'retry: 7000',
  },
  'hub.connection_lifetime': {
    before: ['--hub-connection-lifetime', '1h'],
    after: ['--hub-connection-lifetime', '50ms'],
    ask: async (hub) => {
      const stream = await hub.stream()
      await stream.ended()
      stream.close()
      return 'ended'
    },
    is: 'ended',
  },
  issuers: {
    after: ['--issuers', issuers('another')],
    ask: async (hub) => hub.status('GET', await bearer({ subscribe: ['a'] })),
    was: 200,
    is: 401,
  },
  'limits.subscribers': {
    after: ['--limits-subscribers', '1'],
    ask: (hub) => hub.statusOfSecond(),
    was: 200,
    is: 429,
  },
  'limits.subscribers_per_ip': {
    after: ['--limits-subscribers-per-ip', '1'],
    ask: (hub) => hub.statusOfSecond(),
    was: 200,
    is: 429,
  },
  'limits.subscribers_per_token': {
    after: ['--limits-subscribers-per-token', '1'],
    ask: async (hub) => hub.statusOfSecond(await bearer({ subscribe: ['a'] })),
    was: 200,
    is: 429,
  },
  'limits.subscriber_buffer': {
    before: ['--limits-subscriber-buffer', '64MiB'],
    after: ['--limits-subscriber-buffer', '1KiB'],
    ask: async (hub) => {
      const reader = await StreamClient.open(`${hub.origin}${path}?match=a`, { Host: host })
      reader.pause()
      for (let n = 0; n < 24 && hub.server.subscriberCount > 0; n++) {
        await hub.post(`topic=a&data=${'x'.repeat(900_000)}`)
      }
      const outcome = hub.server.subscriberCount > 0 ? 'kept' : 'cut'
      reader.close()
      return outcome
    },
    was: 'kept',
    is: 'cut',
  },
  'limits.publish_rate': {
    after: ['--limits-publish-rate', '1'],
    ask: async (hub) => {
      const token = await bearer({ publish: ['*'], id: 'one' })
      const answers = await Promise.all(Array.from({ length: 9 }, () => hub.post('topic=a', token)))
      return [...new Set(answers)].sort()
    },
    was: [200],
    is: [200, 429],
  },
  'limits.body': {
    after: ['--limits-body', '100'],
    ask: (hub) => hub.post(`topic=a&data=${'x'.repeat(200)}`),
    was: 200,
    is: 413,
  },
  'limits.bodies': {
    after: ['--limits-bodies', '100B'],
    ask: (hub) => hub.post(`topic=a&data=${'x'.repeat(200)}`),
    was: 200,
    is: 413,
  },
  'limits.body_rate': {
    before: ['--limits-idle', '1s', '--limits-body-rate', '1B'],
    after: ['--limits-body-rate', '1GiB'],
    // Half a body, which has its time at the rate.
    ask: (hub) => hub.post('topic=a', [['Content-Length', '14']]),
    is: 408,
  },
  'limits.topics': {
    after: ['--limits-topics', '1'],
    ask: (hub) => hub.post('topic=a&topic=b'),
    was: 200,
    is: 413,
  },
  'limits.field': {
    after: ['--limits-field', '10'],
    ask: (hub) => hub.post(`topic=${'x'.repeat(20)}`),
    was: 200,
    is: 413,
  },
  'limits.id': {
    after: ['--limits-id', '10'],
    ask: (hub) => hub.post(`topic=a&id=${'é'.repeat(6)}`),
    was: 200,
    is: 413,
  },
  'limits.matchers': {
    after: ['--limits-matchers', '1'],
    ask: (hub) => hub.status('GET', [], 'match=a&match=b'),
    was: 200,
    is: 400,
  },
  'limits.pattern': {
    after: ['--limits-pattern', '10'],
    ask: (hub) => hub.status('GET', [], `match=${'x'.repeat(20)}`),
    was: 200,
    is: 400,
  },
  'limits.pattern_weight': {
    after: ['--limits-pattern-weight', '60'],
    ask: (hub) => hub.status('GET', [], 'match_urlpattern=/(a{60})'),
    was: 200,
    is: 400,
  },
  'limits.pattern_weight_total': {
    after: ['--limits-pattern-weight-total', '1'],
    ask: (hub) => hub.status('GET', [], 'match_urlpattern=/(a{60})'),
    was: 200,
    is: 429,
  },
  'limits.announcement': {
    before: ['--hub-subscriptions'],
    after: ['--limits-announcement', '10'],
    ask: (hub) => hub.status('GET'),
    was: 200,
    is: 400,
  },
  'limits.details': {
    after: ['--limits-details', '1'],
    ask: async (hub) => hub.status('GET', await bearer({ subscribe: ['a', 'b'] })),
    was: 200,
    is: 401,
  },
  'proxy.trusted': {
    after: ['--proxy-trusted', '127.0.0.1'],
    ask: (hub) =>
      hub.status('GET', [
        ['Host', 'internal'],
        ['X-Forwarded-Host', host],
      ]),
    was: 421,
    is: 200,
  },
  'proxy.fields': {
    before: ['--proxy-trusted', '127.0.0.1'],
    after: ['--proxy-fields', 'forwarded'],
    ask: (hub) =>
      hub.status('GET', [
        ['Host', 'internal'],
        ['X-Forwarded-Host', host],
      ]),
    was: 200,
    is: 421,
  },
  'log.level': {
    after: ['--log-level', 'debug'],
    ask: async (hub) => {
      await hub.status('GET', await bearer({ subscribe: ['a'], issuer: 'https://stranger.example' }))
      return hub.log().includes('"level":"debug"')
    },
    was: false,
    is: true,
  },
  'log.access': {
    before: ['--log-level', 'info'],
    after: ['--log-access'],
    ask: async (hub) => {
      await hub.status('GET', await bearer({ subscribe: ['a'] }))
      return hub.log().includes('"message":"request"')
    },
    was: false,
    is: true,
  },
  'shutdown.drain': {
    after: ['--shutdown-drain', '1h'],
    ask: async (hub) => {
      const streams = await Promise.all(Array.from({ length: 50 }, () => hub.stream()))
      const start = performance.now()
      await hub.server.close()
      for (const stream of streams) stream.close()
      // Their ends are spread: 3 ms apart.
      return performance.now() - start > 100
    },
    is: true,
  },
}

const withTestsOfTheirOwn = ['tls.cert_file', 'tls.key_file', 'hub.vanished_after']

describe('a reload takes', () => {
  test('every setting that does not need a restart: each has a probe here', () => {
    const live = names.filter(({ key, takes, meaning }) => {
      return takes !== 'file' && !key.includes('[]') && !meaning.restart
    })
    const probed = [...Object.keys(probes), ...withTestsOfTheirOwn]
    expect(probed.toSorted()).toEqual(live.map(({ key }) => key).toSorted())
  })

  test.each(Object.entries(probes))('%s', async (_, { before = [], after, ask, was, is }) => {
    await using hub = await LiveHub.open(before)
    if (was !== undefined) {
      expect(await ask(hub)).toEqual(was)
      await until('nobody', () => hub.server.subscriberCount === 0)
    }
    expect(await hub.server.reload(settings([...before, ...after]))).toEqual([])
    expect(await ask(hub)).toEqual(is)
  })

  test('tls.cert_file and tls.key_file', async () => {
    const folder = await temporaryFolder()
    const [one, other] = [
      await makeCertificate(folder.path, 'one'),
      await makeCertificate(folder.path, 'other'),
    ]
    await using hub = await LiveHub.open(one.flags)
    const before = await shownFingerprint(hub.origin)
    expect(await hub.server.reload(settings(other.flags))).toEqual([])
    expect(await shownFingerprint(hub.origin)).not.toBe(before)
    await folder.dispose()
  })
})

/** A hub in this process. */
class LiveHub {
  readonly server: Server
  readonly log: () => string

  private constructor(server: Server, log: () => string) {
    this.server = server
    this.log = log
  }

  static async open(flags: readonly string[]): Promise<LiveHub> {
    let lines = ''
    const write = (line: string) => {
      lines += line
    }
    const log = new Log({ level: 'error', format: 'json', write, clock: () => new Date(0) })
    const server = Server.open(settings(flags), log, startWriter, { build: {}, console: consoleMaterial })
    return new LiveHub(await server, () => lines)
  }

  /** Asks the API of the console. */
  console(path: string, token = consoleToken, fields: Record<string, string> = {}): Promise<Response> {
    const headers = { ...fields, Authorization: `Bearer ${token}` }
    return fetch(`${this.server.adminAddress}/api/${path}`, { headers })
  }

  get origin(): string {
    return this.server.addresses[0] ?? ''
  }

  ask(request: RawRequest) {
    return rawRequest(this.origin, this.#named(request))
  }

  async status(method: string, fields: Fields = [], query = 'match=a'): Promise<number> {
    return (await this.ask({ method, target: `${path}?${query}`, fields })).status
  }

  /** Publishes, with a token unless the fields hold one. */
  async post(body: string, fields?: Fields): Promise<number> {
    const isNamed = fields?.some(([name]) => name === 'Authorization' || name === 'Cookie') === true
    const credentials = [...(fields ?? []), ...(isNamed ? [] : await bearer({ publish: ['*'] }))]
    const form = ['Content-Type', 'application/x-www-form-urlencoded'] as const
    return (await this.ask({ method: 'POST', target: path, fields: [form, ...credentials], body })).status
  }

  /** A stream that has begun. */
  async stream(fields: Fields = []): Promise<RawConnection> {
    const connection = await RawConnection.open(this.origin)
    connection.send(requestBytes(this.origin, this.#named({ target: `${path}?match=a`, fields })))
    expect((await connection.answer()).status).toBe(200)
    return connection
  }

  /** The answer to a second stream while a first one is open. */
  async statusOfSecond(fields: Fields = []): Promise<number> {
    const first = await this.stream(fields)
    const status = await this.status('GET', fields)
    first.close()
    return status
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.close(0)
  }

  #named(request: RawRequest): RawRequest {
    const fields = request.fields ?? []
    const isNamed = fields.some(([name]) => name === 'Host')
    return isNamed ? request : { ...request, fields: [['Host', host], ...fields] }
  }
}

async function bearer(wish: Parameters<typeof tokenFor>[0]): Promise<Fields> {
  return [['Authorization', `Bearer ${await tokenFor({ audience, ...wish })}`]]
}

function issuers(label: string): string {
  const key = (role: string) => ({ key: secretOf(`${label}/${role}`), algorithm: 'HS256' })
  return JSON.stringify([
    { id: 'https://a.example', publisher: key('publisher'), subscriber: key('subscriber') },
  ])
}

function settings(flags: readonly string[]): Settings {
  const argv = [
    ...['--listen', '127.0.0.1:0', ...(flags.includes('--admin-listen') ? [] : ['--admin-listen', ''])],
    ...['--transport', 'memory', '--hub-anonymous'],
    ...['--log-level', 'error'],
    ...(flags.includes('--hub-public-urls') ? [] : ['--hub-public-urls', `http://${host}`]),
    ...(flags.includes('--issuers') ? [] : ['--issuers', issuers('issuer-a')]),
    ...flags,
  ]
  const devKeys = { publisher: '', subscriber: '' }
  const loaded = load({ argv, env: {}, readFile: () => '', isTerminal: false, devKeys })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  return loaded.settings
}
