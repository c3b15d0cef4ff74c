import type { SubscriptionDocuments } from '../http/subscription-documents.ts'
import {
  encodeSegment,
  type Subscription,
  type SubscriptionPath,
  subscriptionSegments,
  subscriptionsLink,
  subscriptionsTag,
} from '../protocol/subscription.ts'
import type { HubLocation, Topic } from '../protocol/topic.ts'
import type { Update } from '../protocol/update.ts'
import { SELECTOR } from './selector.ts'

const CONTEXT = 'https://mercure.rocks/'

/** A URL of this generation may hold a token, which is to stay in it. */
export const noReferrer = { 'Referrer-Policy': 'no-referrer' } as const

/** Whether the subscription was made with a selector. */
export function isLegacy({ matchType }: Subscription): boolean {
  return matchType === SELECTOR
}

/** The topic of its events, which is also the path of its resource (LEG-19). */
export function legacyTopic(hub: HubLocation, { match, subscriber }: Subscription): string {
  return `${hub.path}/subscriptions/${encodeSegment(match)}/${encodeSegment(subscriber)}`
}

/** The update that tells of its beginning or end: private, and without a type of its own. */
export function legacyUpdate(hub: HubLocation, subscription: Subscription, active: boolean): Update {
  const document = { '@context': CONTEXT, ...member(hub, subscription, 'Subscription', active) }
  const topics = [legacyTopic(hub, subscription) as Topic]
  return { id: null, topics, data: JSON.stringify(document), type: null, retryMs: null, private: true }
}

/** Its document in a collection of 1.0, which has no selectors: with `topic` in place of `match` (LEG-19). */
export function legacyInCurrent(hub: HubLocation, subscription: Subscription): object {
  return member(hub, subscription, 'subscription', true)
}

function member(hub: HubLocation, subscription: Subscription, type: string, active: boolean) {
  const { match, subscriber, payload } = subscription
  const id = legacyTopic(hub, subscription)
  return { id, type, topic: match, subscriber, active, ...(payload !== undefined && { payload }) }
}

/** The JSON-LD documents of the resources of 0.x (LEG-20). They show what was subscribed with a selector. */
export function legacyDocuments(hub: HubLocation): SubscriptionDocuments {
  return {
    path: (rawPath) => parsePath(rawPath, hub),
    one: (subscription, lastEventID) => ({
      '@context': CONTEXT,
      ...member(hub, subscription, 'Subscription', true),
      lastEventID,
    }),
    head: (rawPath, lastEventID) => ({
      '@context': CONTEXT,
      id: rawPath,
      type: 'Subscriptions',
      lastEventID,
    }),
    member: (subscription) =>
      isLegacy(subscription) ? member(hub, subscription, 'Subscription', true) : null,
    fields: (lastEventId) => ({
      ...noReferrer,
      'Content-Type': 'application/ld+json',
      // Without quotes, as hubs of this generation have sent it.
      ETag: subscriptionsTag(lastEventId).slice(1, -1),
      Link: subscriptionsLink(hub, lastEventId),
    }),
  }
}

function parsePath(rawPath: string, hub: HubLocation): SubscriptionPath | null {
  const segments = subscriptionSegments(rawPath, hub)
  if (segments === null || segments.length > 2) return null
  const [match, subscriber] = segments
  if (match === undefined) return { kind: 'all' }
  if (match === null || match === '') return null
  if (segments.length === 1) return { kind: 'matcher', matchType: SELECTOR, match }
  return subscriber == null || subscriber === ''
    ? null
    : { kind: 'one', matchType: SELECTOR, match, subscriber }
}
