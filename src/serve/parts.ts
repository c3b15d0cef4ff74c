import { health } from '../admin/health.ts'
import type { MetricSources } from '../admin/metrics.ts'
import { type Authenticator, openAuthenticator } from '../auth/authenticate.ts'
import type { Settings } from '../config/load.ts'
import { hubUrl } from '../config/location.ts'
import { PublishRate } from '../http/rate.ts'
import { SubscriberCount } from '../http/subscriber-count.ts'
import { Hub, type HubEvent } from '../hub/hub.ts'
import { LocalPresence } from '../hub/presence.ts'
import type { Transport } from '../hub/transport.ts'
import { type HubLocation, hubLocation } from '../protocol/topic.ts'
import { OpenStreams } from '../stream/event-stream.ts'
import { Counters, EventLog, type Log } from '../telemetry/log.ts'
import { type Inside, subscriberLimits } from './edge.ts'
import { after, inLaterTurn } from './loop.ts'

/** The hub with all that listeners are made of, before anything listens. */
export interface Parts {
  /** Resolves when the log is open. Rejects with a plain Error for the operator. */
  readonly opened: Promise<void>
  readonly inside: Inside
  readonly sources: MetricSources
  readonly openAuthenticator: (settings: Settings) => Promise<Authenticator>
}

/**
 * Opens the keys and begins to open the log. `version`: what the page at the root shows. Rejects with a plain Error for
 * the operator.
 */
export async function openParts(
  settings: Settings,
  transport: Transport,
  log: Log,
  version: string | null,
): Promise<Parts> {
  // One URL for the life of the process: patterns and the reserved namespace depend on it (GEN-12).
  const location = hubLocation(hubUrl(settings))
  const counters = new Counters()
  const openKeys = authenticatorOpener(location, counters, log)
  const authenticator = await openKeys(settings)
  const events = new EventLog(log)
  const hub = openHub(settings, transport, location, (event) => {
    counters.observe(event)
    events.observe(event)
  })
  const streams = new OpenStreams({
    clock: monotonic,
    heartbeatMs: settings.hub.heartbeat,
    schedule: inLaterTurn,
    after,
  })
  const opened = hub.open()
  // Whoever awaits it hears of its failure.
  opened.catch(() => {})
  const inside: Inside = {
    location,
    hub,
    streams,
    authenticator,
    counts: new SubscriberCount(subscriberLimits(settings)),
    rate: publishRate(settings),
    health: health(() => hub.check()),
    version,
    onUnexpected: (error) => log.error('unexpected error', { error: String(error), stack: stackOf(error) }),
  }
  const sources: MetricSources = {
    counters,
    gauges: () => hub.gauges,
    stats: () => transport.stats(),
    waitingBytes: () => streams.waitingBytes,
    clock: monotonic,
    residentBytes: () => process.memoryUsage.rss(),
    memoryLimitBytes: () => settings.limits.memory,
    loopLagSeconds: () => streams.lagMs / 1000,
    headPosition: () => hub.head.position,
  }
  return { opened, inside, sources, openAuthenticator: openKeys }
}

function authenticatorOpener(
  location: HubLocation,
  counters: Counters,
  log: Log,
): Parts['openAuthenticator'] {
  return ({ issuers, limits }) =>
    openAuthenticator({
      issuers,
      hub: location,
      limits,
      clock: Date.now,
      cacheEntries: IDENTITIES_MAX,
      onFailure: (reason) => {
        counters.tokenRefused(reason)
        log.debug('token refused', { reason })
      },
      onKeySetFailure: (issuer, problem) => log.warn('key set not loaded', { issuer, problem }),
    })
}

/** An empty table of buckets. */
export function publishRate({ limits }: Settings): PublishRate {
  return new PublishRate(limits.publishRate, () => performance.now())
}

/** One timer writes the heartbeats of all streams. */
export function startBeat(streams: OpenStreams): ReturnType<typeof setInterval> {
  return setInterval(() => streams.beat(), streams.beatMs)
}

/** Identities of verified tokens that are remembered: about 2 KB each. */
const IDENTITIES_MAX = 10_000

/** Milliseconds that follow the wall at the start and never step afterwards. */
export function monotonic(): number {
  return performance.timeOrigin + performance.now()
}

function openHub(
  settings: Settings,
  transport: Transport,
  location: HubLocation,
  observe: (event: HubEvent) => void,
): Hub {
  return new Hub({
    transport,
    location,
    clock: () => performance.now(),
    schedule: inLaterTurn,
    newId: () => `urn:uuid:${crypto.randomUUID()}`,
    observe,
    after,
    presence: settings.hub.subscriptions ? new LocalPresence() : null,
    presenceGraceMs: settings.hub.presenceGrace,
    // What was given up is collected now, so that the next look sees it: about 20 ms, and only under pressure.
    // Left to itself the collector frees too little to matter.
    dropCaches: () => Bun.gc(true),
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

function stackOf(error: unknown): string | null {
  return error instanceof Error ? (error.stack ?? null) : null
}
