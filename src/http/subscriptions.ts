import type { Hub } from '../hub/hub.ts'
import { ProtocolError } from '../protocol/error.ts'
import { mayRead } from '../protocol/grant.ts'
import {
  parseSubscriptionPath,
  type SubscriptionPath,
  subscriptionDocument,
  subscriptionsLink,
  subscriptionsTag,
} from '../protocol/subscription.ts'
import type { HubLocation } from '../protocol/topic.ts'
import { hardening } from './error.ts'
import type { Exchange } from './exchange.ts'
import { toFieldValue } from './field-value.ts'

/** What the subscription API reads from; null where the feature is off. */
export interface SubscriptionsOptions {
  readonly hub: Hub
  readonly location: HubLocation
}

/** GET below `subscriptions` (section 7.2). A token is always required, and each URL is granted by itself. */
export async function subscriptions(exchange: Exchange, options: SubscriptionsOptions): Promise<Response> {
  const { request, dialect } = exchange
  const rawPath = pathOf(request.url)
  const credentials = dialect.credentials(request)
  if (credentials === null) throw new ProtocolError('missing-token', 'the subscription API needs a token')
  const identity = await exchange.authenticate(credentials.token, 'subscriber')
  if (!mayRead(identity, [rawPath])) {
    throw new ProtocolError('insufficient-scope', 'the token does not grant subscribe on the resource')
  }
  // Read before the list, so that a reader that goes on from here loses no change (ACT-32).
  const lastEventId = options.hub.head.id ?? 'earliest'
  const headers = fields(options.location, lastEventId)
  if (isKnown(request, headers.get('etag') ?? '')) return new Response(null, { status: 304, headers })
  const path = parseSubscriptionPath(rawPath, options.location)
  const document = path === null ? null : await documentOf(path, rawPath, options)
  if (document === null) throw new ProtocolError('not-found', 'no such subscription')
  return new Response(JSON.stringify(document), { headers })
}

async function documentOf(path: SubscriptionPath, rawPath: string, { hub, location }: SubscriptionsOptions) {
  const found = await hub.presence.find(path)
  const documents = found.map((subscription) => subscriptionDocument(location, subscription, true))
  if (path.kind === 'one') return documents[0] ?? null
  return { id: rawPath, type: 'subscriptions', subscriptions: documents }
}

function fields(location: HubLocation, lastEventId: string): Headers {
  return new Headers({
    ...hardening,
    'Content-Type': 'application/json',
    'Cache-Control': 'private, must-revalidate',
    ETag: toFieldValue(subscriptionsTag(lastEventId)),
    Link: toFieldValue(subscriptionsLink(location, lastEventId)),
  })
}

/** RFC 9110 section 13.1.2: weak comparison, lists and `*`. */
function isKnown(request: Request, tag: string): boolean {
  const field = request.headers.get('if-none-match')
  if (field === null) return false
  if (field.trim() === '*') return true
  return [...field.matchAll(/(?:W\/)?("[^"]*")/g)].some(([, candidate]) => candidate === tag)
}

/** The path as it was sent: percent-encoded, without the query (ACT-23). */
function pathOf(url: string): string {
  const start = url.indexOf('/', url.indexOf('://') + 3)
  return url.slice(start).replace(/[?#].*$/s, '')
}
