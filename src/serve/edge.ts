import type { Authenticator } from '../auth/authenticate.ts'
import type { Settings } from '../config/load.ts'
import type { AppOptions } from '../http/app.ts'
import { Cors } from '../http/cors.ts'
import { currentDialect } from '../http/dialect.ts'
import { parseOrigins } from '../http/origin.ts'
import { Proxies } from '../http/proxy.ts'
import type { PublishRate } from '../http/rate.ts'
import type { SubscriberCount, SubscriberLimits } from '../http/subscriber-count.ts'
import { Turn } from '../http/turn.ts'
import type { Hub } from '../hub/hub.ts'
import type { HubLocation } from '../protocol/topic.ts'
import type { OpenStreams } from '../stream/event-stream.ts'
import { inLaterTurn } from './loop.ts'

/** What the edge stands on. It outlives a reload, apart from the authenticator and the rate. */
export interface Inside {
  readonly location: HubLocation
  readonly hub: Hub
  readonly streams: OpenStreams
  readonly counts: SubscriberCount
  readonly rate: PublishRate
  readonly authenticator: Authenticator
  readonly health: AppOptions['health']
  readonly version: AppOptions['version']
  readonly onUnexpected: AppOptions['onUnexpected']
}

/** The edge as the settings want it. Made again at each reload; open streams keep the one they began with. */
export function edge(settings: Settings, inside: Inside): AppOptions {
  const { location, hub, streams, counts, rate, authenticator, health, version, onUnexpected } = inside
  const { limits, hub: own } = settings
  const cors = new Cors(parseOrigins(own.corsOrigins), own.corsOrigins.length > 0)
  const turn = new Turn(inLaterTurn)
  const canPublish = authenticator.hasKeys('publisher')
  const canRead = authenticator.hasKeys('subscriber')
  return {
    health,
    version,
    onUnexpected,
    location,
    dialect: currentDialect({ location, cookieName: own.cookieName, limits }),
    cors,
    proxies: new Proxies(settings.proxy.trusted, settings.proxy.fields),
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
    publishing: { hub, location, cors, origins: parseOrigins(own.publishOrigins), limits, rate, turn },
    subscribing: {
      hub,
      streams,
      isAnonymousAllowed: own.anonymous,
      hasSubscriptions: own.subscriptions,
      counts,
      bodyBytesMax: limits.body,
      bufferBytesMax: limits.subscriberBuffer,
      retryMs: own.retry,
      lifetimeMs: own.connectionLifetime,
      epochClock: Date.now,
      random: Math.random,
    },
    isSecure: settings.tls.certFile !== null,
  }
}

/** The part of the limits that open streams are counted against. */
export function subscriberLimits({ limits }: Settings): SubscriberLimits {
  return {
    subscribers: limits.subscribers,
    perAddress: limits.subscribersPerIp,
    perHolder: limits.subscribersPerToken,
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
