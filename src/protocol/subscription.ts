import { type Identity, payloadFor } from './grant.ts'
import { matcherTypes, type WrittenMatcher } from './matcher.ts'
import type { HubLocation, Topic } from './topic.ts'
import type { Update } from './update.ts'

/** One matcher of one subscriber, as others may see it (ACT-09). */
export interface Subscription {
  readonly matchType: string
  readonly match: string
  /** The id of the connection, unique and never chosen by the client (ACT-06). */
  readonly subscriber: string
  /** The payload that the token of the connection selects (section 4.6); undefined is none. */
  readonly payload?: unknown
}

/**
 * The subscriptions of one connection, each with the payload that its token has for it. `payloads`: those of the
 * matchers in order, where the caller has found them before.
 */
export function subscriptionsOf(
  subscriber: string,
  matchers: readonly WrittenMatcher[],
  identity: Identity,
  payloads: readonly unknown[] | null,
): readonly Subscription[] {
  return matchers.map(({ type, pattern }, at) => ({
    matchType: type,
    match: pattern,
    subscriber,
    payload: payloads === null ? payloadFor(identity, pattern) : payloads[at],
  }))
}

/** The topic of a subscription's events, which is also the path of its resource (ACT-03). */
export function subscriptionTopic(hub: HubLocation, subscription: Subscription): string {
  const { matchType, match, subscriber } = subscription
  return `${hub.path}/subscriptions/${[matchType, match, subscriber].map(encodeSegment).join('/')}`
}

/** The document of a subscription: the data of its events and the answer of its resource (ACT-09, ACT-27). */
export function subscriptionDocument(hub: HubLocation, subscription: Subscription, active: boolean) {
  const { matchType, match, subscriber, payload } = subscription
  return {
    id: subscriptionTopic(hub, subscription),
    type: 'subscription',
    match_type: matchType,
    match,
    subscriber,
    active,
    ...(payload !== undefined && { payload }),
  }
}

/** Makes what is published when a subscription begins or ends. */
export type Announcement = (hub: HubLocation, subscription: Subscription, active: boolean) => Update

/**
 * The update that the hub publishes when a subscription begins or ends: private, and of the type and on the topic that
 * no publisher may use (ACT-08). Besides `parseUpdate` the only maker of updates.
 */
export function subscriptionUpdate(hub: HubLocation, subscription: Subscription, active: boolean): Update {
  return {
    id: null,
    topics: [subscriptionTopic(hub, subscription) as Topic],
    data: JSON.stringify(subscriptionDocument(hub, subscription, active)),
    type: 'mercure',
    retryMs: null,
    private: true,
  }
}

/**
 * The most bytes that the event of a subscription may have, without making the event: it holds the match as JSON and,
 * percent-encoded, in its document and in its topic.
 */
export function subscriptionBytes({ match, payload }: Subscription): number {
  const text = encoder.encodeInto(match, scratch)
  const bytes = text.read === match.length ? text.written : 3 * match.length
  return 8 * bytes + (payload === undefined ? 0 : 3 * JSON.stringify(payload).length) + EVENT_BYTES
}

/** The most bytes of the events of a connection with these matchers. */
export function announcedBytes(
  matchers: readonly WrittenMatcher[],
  identity: Identity,
  payloads: readonly unknown[] | null,
): number {
  const subscriptions = subscriptionsOf('', matchers, identity, payloads)
  return subscriptions.reduce((sum, one) => sum + subscriptionBytes(one), 0)
}

const encoder = new TextEncoder()
const scratch = new Uint8Array(16 * 1024)

/** Names, punctuation, the identifiers of the event and of the subscriber, twice, and the path of the hub. */
const EVENT_BYTES = 600

/** The subscriptions that a path below `subscriptions` asks for (ACT-20). */
export type SubscriptionPath =
  | { readonly kind: 'all' }
  | { readonly kind: 'matcher'; readonly matchType: string; readonly match: string }
  | { readonly kind: 'one'; readonly matchType: string; readonly match: string; readonly subscriber: string }

/**
 * Reads the raw path of a request: split first, then each segment is decoded once (ACT-21). Null when it is no
 * resource of the API, or names a matcher type that is not supported (ACT-30).
 */
export function parseSubscriptionPath(rawPath: string, hub: HubLocation): SubscriptionPath | null {
  const segments = subscriptionSegments(rawPath, hub)
  if (segments?.length === 0) return { kind: 'all' }
  if (segments === null) return null
  const [matchType, match, subscriber] = segments
  if (matchType == null || match == null || match === '' || !matcherTypes.includes(matchType)) return null
  if (segments.length === 2) return { kind: 'matcher', matchType, match }
  if (segments.length !== 3 || subscriber == null || subscriber === '') return null
  return { kind: 'one', matchType, match, subscriber }
}

/** The segments below `subscriptions`, decoded; null for one that is not UTF-8, or when the path is elsewhere. */
export function subscriptionSegments(rawPath: string, hub: HubLocation): readonly (string | null)[] | null {
  const base = `${hub.path}/subscriptions`
  if (rawPath === base) return []
  if (!rawPath.startsWith(`${base}/`)) return null
  return rawPath
    .slice(base.length + 1)
    .split('/')
    .map(decodeSegment)
}

/** Whether the path asks for the subscription. */
export function isSelected(subscription: Subscription, path: SubscriptionPath): boolean {
  if (path.kind === 'all') return true
  if (subscription.matchType !== path.matchType || subscription.match !== path.match) return false
  return path.kind === 'matcher' || subscription.subscriber === path.subscriber
}

/** RFC 6570 simple expansion: everything but unreserved characters, exactly once, in upper-case hex (ACT-04). */
export function encodeSegment(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

function decodeSegment(segment: string): string | null {
  try {
    return decodeURIComponent(segment)
  } catch {
    return null
  }
}

/** The entity tag of the API: the newest id in quotes, with characters escaped that would break the tag (ACT-34). */
export function subscriptionsTag(lastEventId: string): string {
  const escaped = lastEventId.replace(
    /[\0-\x20"%\x7f]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  )
  return `"${escaped}"`
}

/** The `Link` field of the API, whose cursor loses no change since the list was read (ACT-31, ACT-33). */
export function subscriptionsLink(hub: HubLocation, lastEventId: string): string {
  const quoted = lastEventId.replace(/["\\]/g, '\\$&')
  return `<${hub.url}>; rel="mercure"; last-event-id="${quoted}"; type="mercure"; content-type="application/json"`
}
