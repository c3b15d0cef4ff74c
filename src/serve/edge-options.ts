import type { Authenticator } from '../auth/authenticate.ts'
import type { Settings } from '../config/load.ts'
import { Cors } from '../http/cors.ts'
import { currentDialect, type Dialect, type DialectOptions } from '../http/dialect.ts'
import type { EdgeOptions } from '../http/edge.ts'
import { PublishRate } from '../http/rate.ts'
import type { EarlierTokens } from '../http/request/credentials.ts'
import { parseOrigins } from '../http/request/origin.ts'
import { Proxies } from '../http/request/proxy.ts'
import type { RequestIds } from '../http/request/request-id.ts'
import type { UploadLimits, Uploads } from '../http/request/uploads.ts'
import type { SubscriberCount, SubscriberLimits } from '../http/subscriber-count.ts'
import { Turn } from '../http/turn.ts'
import type { Hub } from '../hub/hub.ts'
import type { MatcherPool } from '../hub/matcher-pool.ts'
import type { HubLocation } from '../protocol/topic.ts'
import { updateForm } from '../protocol/update.ts'
import type { Drive } from '../protocol/work.ts'
import type { OpenStreams } from '../stream/open-streams.ts'
import type { AccessLog } from './access-log.ts'
import { firstOf, type Generation } from './generations/generation.ts'
import { processLoop } from './loop.ts'

/** The parts that the edge stands on. A reload exchanges the authenticator and the rate, and nothing else. */
export interface EdgeParts {
  readonly location: HubLocation
  readonly hub: Hub
  readonly streams: OpenStreams
  readonly counts: SubscriberCount
  readonly matchers: MatcherPool
  readonly drive: Drive
  readonly rate: PublishRate
  readonly authenticator: Authenticator
  /** Those before 1.0 that are spoken too. */
  readonly generations: readonly Generation[]
  readonly earlierTokens: EarlierTokens
  readonly uploads: Uploads
  readonly health: EdgeOptions['health']
  readonly version: EdgeOptions['version']
  readonly onUnexpected: EdgeOptions['onUnexpected']
  readonly onMisdirected: EdgeOptions['onMisdirected']
  readonly onAnswer: EdgeOptions['onAnswer']
  readonly tracer: EdgeOptions['tracer']
  readonly onRefused: EdgeOptions['onRefused']
  readonly requestIds: RequestIds
  /** Hears of each request, where the settings ask for it. */
  readonly access: AccessLog
  readonly explainsRefusals: EdgeOptions['explainsRefusals']
}

/** The options of the edge under these settings. Each reload makes new ones; open streams keep those of their start. */
export function edgeOptions(settings: Settings, parts: EdgeParts): EdgeOptions {
  const { location, hub, streams, counts, matchers, drive, rate, authenticator, uploads, generations } = parts
  const { health, version, onUnexpected, onMisdirected, onAnswer, tracer, onRefused, requestIds } = parts
  const { limits, hub: own } = settings
  const exposed = generations.flatMap(({ exposedFields }) => exposedFields)
  const cors = new Cors(parseOrigins(own.corsOrigins), own.corsOrigins.length > 0, own.corsHeaders, exposed)
  const turn = new Turn(processLoop)
  const canPublish = authenticator.hasKeys('publisher')
  const canRead = authenticator.hasKeys('subscriber')
  return {
    health,
    version,
    onUnexpected,
    onMisdirected,
    onAnswer,
    tracer,
    onRefused,
    requestIds,
    access: settings.log.access ? parts.access : null,
    explainsRefusals: parts.explainsRefusals,
    loop: processLoop,
    location,
    dialects: dialects(settings, parts),
    cors,
    proxies: new Proxies(settings.proxy.trusted, settings.proxy.fields),
    publicOrigins: own.publicUrls,
    resourceIdentifier: own.resourceIdentifier,
    metadata: {
      hasKeys: canPublish || canRead,
      authorizationServers: settings.issuers.flatMap(({ authorizationServer }) => authorizationServer ?? []),
      cookieName: own.cookieName,
      hasSubscriptions: own.subscriptions,
    },
    authenticator,
    canPublish,
    canSubscribe: canRead || own.anonymous,
    subscriptions: own.subscriptions ? { hub, location, loop: processLoop, drive } : null,
    publishing: {
      hub,
      location,
      cors,
      origins: parseOrigins(own.publishOrigins),
      limits,
      form: updateForm(limits),
      rate,
      turn,
      drive,
      uploads,
      isStoredLater: settings.transport === 'sqlite' || settings.transport === 'redis',
    },
    subscribing: {
      hub,
      location,
      streams,
      isAnonymousAllowed: own.anonymous,
      hasSubscriptions: own.subscriptions,
      announcementBytesMax: limits.announcement,
      counts,
      matchers,
      patternWeightMax: limits.patternWeight,
      drive,
      bodyBytesMax: limits.body,
      uploads,
      bufferBytesMax: limits.subscriberBuffer,
      retryMs: own.retry,
      lifetimeMs: own.connectionLifetime,
      random: Math.random,
      ends: settings.log.access ? parts.access : null,
    },
    idleSeconds: idleSeconds(settings),
    isSecure: settings.tls.certFile !== null,
  }
}

/** That of 1.0 comes last: it takes every request. */
function dialects(settings: Settings, { location, generations, earlierTokens }: EdgeParts): Dialect[] {
  const { hub, limits } = settings
  const isAlone = generations.length === 0
  const options: DialectOptions = {
    location,
    cookieName: hub.cookieName,
    limits,
    earlierTokens: isAlone ? earlierTokens : null,
    foreignDocument: (subscription) => firstOf(generations, (one) => one.document(subscription)),
  }
  const make = (changes: Partial<DialectOptions>) => currentDialect({ ...options, ...changes })
  return [...generations.map((generation) => generation.dialect(make)), make({})]
}

/** The limits on the number of open streams. */
export function subscriberLimits({ limits }: Settings): SubscriberLimits {
  return {
    subscribers: limits.subscribers,
    perAddress: limits.subscribersPerIp,
    perHolder: limits.subscribersPerToken,
  }
}

/** The limits on the bodies that the hub is receiving. */
export function uploadLimits({ limits }: Settings): UploadLimits {
  return { bytes: limits.bodies, idleMs: limits.idle, bytesPerSecond: limits.bodyRate }
}

/** The idle time for Bun 1.4.5, in seconds: Bun looks every four, and closes that much early. */
export function idleSeconds({ limits }: Settings): number {
  return Math.min(255, Math.ceil(limits.idle / 1000) + 4)
}

/** An empty table of buckets. */
export function publishRate({ limits }: Settings): PublishRate {
  return new PublishRate(limits.publishRate, () => performance.now())
}
