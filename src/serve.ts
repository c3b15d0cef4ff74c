import { adminApp } from './admin/app.ts'
import { type Health, health } from './admin/health.ts'
import { type MetricSources, metrics } from './admin/metrics.ts'
import { type Authenticator, openAuthenticator } from './auth/authenticate.ts'
import { hubUrl } from './config/location.ts'
import type { Settings } from './config.ts'
import { type AppOptions, hubApp } from './http/app.ts'
import { Cors } from './http/cors.ts'
import { currentDialect } from './http/dialect.ts'
import { OpenStreams } from './http/event-source.ts'
import { parseOrigins } from './http/origin.ts'
import { Proxies } from './http/proxy.ts'
import { PublishRate } from './http/rate.ts'
import { SubscriberCount } from './http/subscriber-count.ts'
import { after } from './http/timer.ts'
import { Hub } from './hub/hub.ts'
import { LocalPresence } from './hub/presence.ts'
import type { Transport } from './hub/transport.ts'
import { type HubLocation, hubLocation } from './protocol/topic.ts'
import { Counters, type Log } from './telemetry.ts'
import { MemoryTransport } from './transport/memory.ts'
import { SqliteTransport } from './transport/sqlite.ts'

/**
 * The hub as a process: composition only. `open` builds from the inside out (log, hub, edge, listeners);
 * `close` takes down from the outside in, and the log goes last.
 */
export class Server {
  readonly #parts: Parts
  readonly #listeners: Listener[] = []
  readonly #beat: ReturnType<typeof setInterval>
  readonly #watch: ReturnType<typeof setInterval>

  private constructor(parts: Parts) {
    this.#parts = parts
    this.#beat = setInterval(() => parts.streams.beat(), parts.streams.beatMs)
    this.#watch = setInterval(() => parts.hub.look(process.memoryUsage.rss()), WATCH_MS)
  }

  /** Rejects with a plain Error for the operator; whatever was opened before is closed again. */
  static async open(settings: Settings, log: Log): Promise<Server> {
    const parts = await openParts(settings, log)
    const server = new Server(parts)
    try {
      for (const address of settings.listen)
        server.#listeners.push(listen(hubApp(parts.app), address, settings))
      if (settings.admin.listen !== null) {
        const plain = { ...settings, tls: { certFile: null, keyFile: null }, http2: false, http3: false }
        const app = adminApp(parts.health, metrics(parts.sources))
        server.#listeners.push(listen(app, settings.admin.listen, plain))
      }
    } catch (error) {
      await server.close(0)
      throw error
    }
    return server
  }

  /** Where it listens, as URLs or `unix:` paths: the hub listeners in order, then the admin listener. */
  get addresses(): readonly string[] {
    return this.#listeners.map(({ url }) => url)
  }

  get subscriberCount(): number {
    return this.#parts.hub.subscriberCount
  }

  /** Ends streams spread over at most `drainMs`, with a jittered reconnection time, then everything else. */
  async close(drainMs: number): Promise<void> {
    const { hub, authenticator } = this.#parts
    hub.stop()
    for (const listener of this.#listeners) listener.stop(false)
    await drain(hub, drainMs)
    await hub.close()
    clearInterval(this.#beat)
    clearInterval(this.#watch)
    for (const listener of this.#listeners) listener.stop(true)
    authenticator.close()
  }
}

/** Settings that this version knows and cannot carry out yet, a line each: none is ignored in silence. */
export function unsupported({ transport, history, hub }: Settings): readonly string[] {
  const later: readonly (readonly [boolean, string])[] = [
    [transport === 'redis', 'transport: redis is not part of this version'],
    [history.rules.length > 0, 'history.rules: rules are not part of this version'],
    [hub.legacy !== 'off', 'hub.legacy: the 0.x generation is not part of this version'],
  ]
  return later.filter(([isAsked]) => isAsked).map(([, text]) => text)
}

/** How often the memory budget looks at the process, in milliseconds. */
const WATCH_MS = 200

/** What the listeners are made of. */
export interface Parts {
  readonly app: AppOptions
  readonly health: Health
  readonly sources: MetricSources
  readonly hub: Hub
  readonly streams: OpenStreams
  readonly authenticator: Authenticator
}

async function openParts(settings: Settings, log: Log): Promise<Parts> {
  // One URL for the life of the process: patterns and the reserved namespace depend on it (GEN-12).
  const location = hubLocation(hubUrl(settings))
  const counters = new Counters()
  const authenticator = await openAuthenticator({
    issuers: settings.issuers,
    hub: location,
    limits: settings.limits,
    clock: Date.now,
    cacheEntries: IDENTITIES_MAX,
    onFailure: (reason) => {
      counters.tokenRefused(reason)
      log.debug('token refused', { reason })
    },
    onKeySetFailure: (issuer, problem) => log.warn('key set not loaded', { issuer, problem }),
  })
  const transport = openTransport(settings)
  const hub = openHub(settings, transport, location, counters)
  const streams = new OpenStreams(monotonic, settings.hub.heartbeat)
  await hub.open()
  const alive = health(() => hub.check())
  const app = edge(settings, { location, hub, streams, authenticator, log, health: alive })
  const sources: MetricSources = {
    counters,
    gauges: () => hub.gauges,
    stats: () => transport.stats(),
    waitingBytes: () => streams.waitingBytes,
    clock: monotonic,
    residentBytes: () => process.memoryUsage.rss(),
  }
  return { app, health: alive, sources, hub, streams, authenticator }
}

/** Identities of verified tokens that are remembered: about 2 KB each. */
const IDENTITIES_MAX = 10_000

/** Milliseconds that follow the wall at the start and never step afterwards. */
function monotonic(): number {
  return performance.timeOrigin + performance.now()
}

function openTransport({ transport, sqlite, history }: Settings): Transport {
  const retention = { maxCount: history.maxCount, maxAgeMs: history.maxAge, maxBytes: history.maxBytes }
  switch (transport) {
    case 'memory':
      return new MemoryTransport({ retention, clock: monotonic })
    case 'local':
      return new MemoryTransport({ retention: { ...retention, maxCount: 0 }, clock: monotonic })
    case 'sqlite':
      return new SqliteTransport({ ...sqlite, retention, clock: monotonic, startWriter })
    case 'redis':
      throw new Error('transport: redis is not part of this version')
    default:
      return transport satisfies never
  }
}

// The compiler follows this spelling: the worker is a file of the executable.
function startWriter(): Worker {
  return new Worker(new URL('./transport/sqlite-writer.ts', import.meta.url).href)
}

function openHub(settings: Settings, transport: Transport, location: HubLocation, counters: Counters): Hub {
  return new Hub({
    transport,
    location,
    clock: () => performance.now(),
    schedule: (run) => {
      setImmediate(run)
    },
    newId: () => `urn:uuid:${crypto.randomUUID()}`,
    observe: (event) => counters.observe(event),
    after,
    presence: settings.hub.subscriptions ? new LocalPresence() : null,
    presenceGraceMs: settings.hub.presenceGrace,
    // What was given up is collected now, so that the next look sees it.
    dropCaches: () => Bun.gc(false),
    limits: {
      memoryBytes: settings.limits.memory,
      sliceMs: 8,
      pendingBytes: 16 * 1024 * 1024,
      remembered: 100_000,
      pageEntries: 500,
      pageBytes: 256 * 1024,
    },
  })
}

interface Inside {
  readonly location: HubLocation
  readonly hub: Hub
  readonly streams: OpenStreams
  readonly authenticator: Authenticator
  readonly log: Log
  readonly health: Health
}

function edge(settings: Settings, inside: Inside): AppOptions {
  const { location, hub, streams, authenticator, log } = inside
  const { limits, hub: own } = settings
  const canPublish = authenticator.hasKeys('publisher')
  const canRead = authenticator.hasKeys('subscriber')
  return {
    health: inside.health,
    location,
    dialect: currentDialect({ location, cookieName: own.cookieName, limits }),
    cors: new Cors(parseOrigins(own.corsOrigins), own.corsOrigins.length > 0),
    proxies: new Proxies(settings.proxy.trusted),
    publicOrigins: own.publicUrls,
    resourceIdentifier: resourceIdentifier(settings),
    metadata: {
      hasKeys: canPublish || canRead,
      authorizationServers: settings.issuers.flatMap(({ authorizationServer }) => authorizationServer ?? []),
      cookieName: own.cookieName,
      hasSubscriptions: own.subscriptions,
    },
    authenticate: (token, role, audience) => authenticator.authenticate(token, role, audience),
    canPublish,
    canSubscribe: canRead || own.anonymous,
    subscriptions: own.subscriptions ? { hub, location } : null,
    publishing: {
      hub,
      location,
      origins: parseOrigins(own.publishOrigins),
      limits,
      rate: new PublishRate(limits.publishRate, () => performance.now()),
    },
    subscribing: {
      hub,
      streams,
      isAnonymousAllowed: own.anonymous,
      hasSubscriptions: own.subscriptions,
      counts: new SubscriberCount({
        subscribers: limits.subscribers,
        perAddress: limits.subscribersPerIp,
        perHolder: limits.subscribersPerToken,
      }),
      bodyBytesMax: limits.body,
      bufferBytesMax: limits.subscriberBuffer,
      retryMs: own.retry,
      lifetimeMs: own.connectionLifetime,
      epochClock: Date.now,
      random: Math.random,
      after,
    },
    isSecure: settings.tls.certFile !== null,
    onUnexpected: (error) => log.error('unexpected error', { error: String(error), stack: stackOf(error) }),
  }
}

/** Null derives it from each request; so does a port that the system chooses. */
export function resourceIdentifier({ hub }: Settings): string | null {
  if (hub.resourceIdentifier !== null) {
    return URL.parse(hub.resourceIdentifier)?.port === '0' ? null : hub.resourceIdentifier
  }
  const [publicUrl] = hub.publicUrls
  return publicUrl === undefined ? null : `${publicUrl}${hub.path}`
}

function stackOf(error: unknown): string | null {
  return error instanceof Error ? (error.stack ?? null) : null
}

interface Listener {
  readonly url: string
  stop(isForced: boolean): void
}

type Address = Settings['listen'][number]
type App = ReturnType<typeof hubApp> | ReturnType<typeof adminApp>
type Transfer = Pick<Settings, 'tls' | 'http2' | 'http3'>

function listen(app: App, address: Address, { tls, http2, http3 }: Transfer): Listener {
  const isSecure = tls.certFile !== null && tls.keyFile !== null
  const common = {
    ...(isSecure && { tls: { cert: Bun.file(tls.certFile), key: Bun.file(tls.keyFile) } }),
    http2,
    ...(http3 && isSecure && { http3 }),
    development: false,
    // The hub counts bodies itself, after it has seen the token (PUB-02).
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
  }
  // Elysia's type knows ports only; Bun takes the path of a socket as well.
  if (address.kind === 'unix') app.listen({ ...common, unix: address.path } as object)
  else {
    // A second hub on the port must fail, not share it.
    const place = { hostname: address.host, port: address.port, reusePort: false }
    app.listen({ ...common, ...place, idleTimeout: IDLE_TIMEOUT_S })
  }
  const { server } = app
  if (server === null) throw new Error('the listener did not start')
  const scheme = isSecure ? 'https' : 'http'
  const url =
    address.kind === 'unix' ? `unix:${address.path}` : `${scheme}://${hostText(address.host)}:${server.port}`
  return { url, stop: (isForced) => void server.stop(isForced) }
}

/** Seconds after which a connection that neither sends nor streams is closed. */
const IDLE_TIMEOUT_S = 30

function hostText(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

/** Spread so that the readers do not all come back at once; a few need no spreading. */
async function drain(hub: Hub, drainMs: number): Promise<void> {
  const subscribers = hub.subscribers
  const wholeMs = Math.min(drainMs, subscribers.length * APART_MS)
  const start = performance.now()
  for (let ended = 0; ended < subscribers.length; ) {
    const share = wholeMs === 0 ? 1 : (performance.now() - start) / wholeMs
    const due = Math.min(subscribers.length, Math.ceil(share * subscribers.length))
    for (const subscriber of subscribers.slice(ended, due)) hub.end(subscriber, { kind: 'shutdown' })
    ended = due
    if (ended < subscribers.length) await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** How far the ends of two streams are apart at most, in milliseconds. */
const APART_MS = 3
