import { matcherTypes } from '../protocol/matcher.ts'
import {
  parseSubscriptionPath,
  type Subscription,
  type SubscriptionPath,
  subscriptionDocument,
  subscriptionsLink,
  subscriptionsTag,
} from '../protocol/subscription.ts'
import type { HubLocation } from '../protocol/topic.ts'

/** How one generation shows who is subscribed, on its resources below `subscriptions`. */
export interface SubscriptionDocuments {
  /** The subscriptions that the raw path asks for; null when it is no resource. */
  path(rawPath: string): SubscriptionPath | null
  /** The document of one active subscription. */
  one(subscription: Subscription, lastEventId: string): object
  /** The members of a collection before `subscriptions`. */
  head(rawPath: string, lastEventId: string): object
  /** The document of a subscription in a collection, or null: this generation does not show it. */
  member(subscription: Subscription): object | null
  /** `Content-Type`, `ETag` and `Link`, as text. */
  fields(lastEventId: string): Readonly<Record<string, string>>
}

/** Of a subscription of another generation, or null: it is none. */
export type ForeignDocument = (subscription: Subscription) => object | null

/** Those of the 1.0 generation (section 7.2). */
export function currentDocuments(location: HubLocation, foreign: ForeignDocument): SubscriptionDocuments {
  return {
    path: (rawPath) => parseSubscriptionPath(rawPath, location),
    one: (subscription) => subscriptionDocument(location, subscription, true),
    head: (rawPath) => ({ id: rawPath, type: 'subscriptions' }),
    member: (subscription) =>
      matcherTypes.includes(subscription.matchType)
        ? subscriptionDocument(location, subscription, true)
        : foreign(subscription),
    fields: (lastEventId) => ({
      'Content-Type': 'application/json',
      ETag: subscriptionsTag(lastEventId),
      Link: subscriptionsLink(location, lastEventId),
    }),
  }
}
