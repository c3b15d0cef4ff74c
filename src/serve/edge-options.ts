import type { Authenticator } from '../auth/authenticate.ts'
import type { Settings } from '../config/load.ts'
import { Cors } from '../http/cors.ts'
import type { EarlierTokens } from '../http/credentials.ts'
import { currentDialect, type Dialect, type DialectOptions } from '../http/dialect.ts'
import type { EdgeOptions } from '../http/edge.ts'
import { parseOrigins } from '../http/origin.ts'
import { Proxies } from '../http/proxy.ts'
import { PublishRate } from '../http/rate.ts'
import type { SubscriberCount, SubscriberLimits } from '../http/subscriber-count.ts'
import { Turn } from '../http/turn.ts'
import type { Hub } from '../hub/hub.ts'
import type { MatcherPool } from '../hub/matcher-pool.ts'
import type { HubLocation } from '../protocol/topic.ts'
import type { Drive } from '../protocol/work.ts'
import type { OpenStreams } from '../stream/open-streams.ts'
import { firstOf, type Generation } from './generation.ts'
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
  readonly health: EdgeOptions['health']
  readonly onUnexpected: EdgeOptions['onUnexpected']
  readonly onAnswer: EdgeOptions['onAnswer']
}

/** The edge as the settings want it. Made again at each reload; open streams keep the one they began with. */
export function edgeOptions(settings: Settings, parts: EdgeParts): EdgeOptions {
  const { location, hub, streams, counts, matchers, drive, rate, authenticator, generations } = parts
  const { health, onUnexpected, onAnswer } = parts
  const { limits, hub: own } = settings
  const exposed = generations.flatMap(({ exposedFields }) => exposedFields)
  const cors = new Cors(parseOrigins(own.corsOrigins), own.corsOrigins.length > 0, exposed)
  const turn = new Turn(processLoop)
  const canPublish = authenticator.hasKeys('publisher')
  const canRead = authenticator.hasKeys('subscriber')
  return {
    health,
    onUnexpected,
    onAnswer,
    loop: processLoop,
    location,
    dialects: dialects(settings, parts),
    cors,
    proxies: new Proxies(settings.proxy.trusted),
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
    subscriptions: own.subscriptions ? { hub, loop: processLoop } : null,
    publishing: { hub, location, cors, origins: parseOrigins(own.publishOrigins), limits, rate, turn, drive },
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
      bufferBytesMax: limits.subscriberBuffer,
      retryMs: own.retry,
      lifetimeMs: own.connectionLifetime,
      random: Math.random,
    },
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

/** The part of the limits that open streams are counted against. */
export function subscriberLimits({ limits }: Settings): SubscriberLimits {
  return {
    subscribers: limits.subscribers,
    perAddress: limits.subscribersPerIp,
    perHolder: limits.subscribersPerToken,
  }
}

/** An empty table of buckets. */
export function publishRate({ limits }: Settings): PublishRate {
  return new PublishRate(limits.publishRate, () => performance.now())
}
