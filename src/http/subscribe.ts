import type { Hub } from '../hub/hub.ts'
import type { CloseReason, Cursor, Subscriber } from '../hub/subscriber.ts'
import { ProtocolError } from '../protocol/error.ts'
import { decodeQuery, type FormPair } from '../protocol/form.ts'
import { anonymous, type Identity } from '../protocol/grant.ts'
import type { Matcher } from '../protocol/matcher.ts'
import { announcedBytes } from '../protocol/subscription.ts'
import type { Due } from '../stream/deadlines.ts'
import { EventStream, type EventStreamOptions, type StreamOwner } from '../stream/event-stream.ts'
import { readForm } from './body.ts'
import { hardening } from './error.ts'
import type { Exchange } from './exchange.ts'
import type { Counted, SubscriberCount } from './subscriber-count.ts'
import type { Uploads } from './uploads.ts'

export interface SubscribeOptions extends EventStreamOptions {
  readonly hub: Hub
  readonly isAnonymousAllowed: boolean
  /** Whether subscriptions have resources of their own (section 7). */
  readonly hasSubscriptions: boolean
  /** Bytes of the events that tell of one connection; 0 is unlimited. */
  readonly announcementBytesMax: number
  readonly counts: SubscriberCount
  readonly bodyBytesMax: number
  readonly uploads: Uploads
  /** A connection ends between 80 % and 100 % of it, in milliseconds; 0 is unlimited. */
  readonly lifetimeMs: number
  /** Milliseconds since the epoch, as tokens count. */
  readonly epochClock: () => number
}

/** GET and QUERY on the hub URL (section 1), in the order of SUB-40. */
export async function subscribe(
  exchange: Exchange,
  options: SubscribeOptions,
  headers: Headers,
): Promise<EventStream> {
  const asked = await accept(exchange, options, headers)
  return new EventStream(headers, new Registration(exchange, asked, options), options)
}

/** HEAD: the same checks and fields, and no subscription (GEN-23). */
export async function subscribeHead(
  exchange: Exchange,
  options: SubscribeOptions,
  headers: Headers,
): Promise<Response> {
  await accept(exchange, options, headers)
  return new Response(null, { headers })
}

/** What was asked for and may be had. */
interface Asked {
  readonly matchers: readonly Matcher[]
  readonly identity: Identity
  readonly cursor: Cursor
  readonly address: string | null
}

/** The checks in their order; then the fields of the answer are set. */
async function accept(exchange: Exchange, options: SubscribeOptions, headers: Headers): Promise<Asked> {
  const identity = await identify(exchange, options)
  const { request, dialect } = exchange
  const query = decodeQuery(queryOf(request.url))
  const { matchers, lastEventId } = dialect.subscription(request, query, await readBody(exchange, options))
  if (options.hasSubscriptions) {
    refuseDots(matchers)
    refuseLarge(matchers, identity, options.announcementBytesMax)
  }
  const address = options.counts.needsAddress ? exchange.address() : null
  options.counts.check(address, identity.holder)
  const cursor = await options.hub.locate(lastEventId)
  for (const [name, value] of Object.entries(streamFields)) headers.set(name, value)
  for (const [name, value] of Object.entries(dialect.cursorFields(cursor.lastEventId)))
    headers.set(name, value)
  return { matchers, identity, cursor, address }
}

/**
 * What ties a stream to the hub, from its first byte to its end: its subscriber, its place in the counts, and the
 * time at which it ends. Lives as long as the stream, so what it needed to begin is given up.
 */
class Registration implements StreamOwner, Due {
  readonly #exchange: Exchange
  readonly #options: SubscribeOptions
  #asked: Asked | null
  #subscriber: Subscriber | null = null
  #counted: Counted | null = null
  #ending: 'expired' | 'lifetime' = 'lifetime'
  dueAt = Number.POSITIVE_INFINITY
  place = -1

  constructor(exchange: Exchange, asked: Asked, options: SubscribeOptions) {
    this.#exchange = exchange
    this.#asked = asked
    this.#options = options
  }

  onOpen(stream: EventStream): void {
    const asked = this.#asked
    if (asked === null) return
    this.#asked = null
    const { hub, counts } = this.#options
    // The heartbeat takes its place, until the connection waits for another request.
    this.#exchange.stayOpen(true)
    this.#counted = counts.add(asked.address, asked.identity.holder)
    this.#subscriber = hub.subscribe(asked.matchers, asked.identity, asked.cursor, stream)
    if (!this.#subscriber.isEnded) this.#endOnTime(asked.identity)
  }

  end(reason: CloseReason): void {
    if (this.#subscriber !== null) this.#options.hub.end(this.#subscriber, reason)
  }

  onClosed(): void {
    const { counts, streams } = this.#options
    streams.deadlines.remove(this)
    if (this.#counted !== null) counts.remove(this.#counted)
    this.#counted = null
    this.#exchange.stayOpen(false)
  }

  onDue(): void {
    this.end({ kind: this.#ending })
  }

  /** When its token expires or its lifetime is over, whichever is first (SUB-87, SUB-89). */
  #endOnTime({ expiresAt }: Identity): void {
    const { lifetimeMs, random, epochClock, streams } = this.#options
    // Spread over a fifth, so that streams opened together do not all come back together.
    const lifetime = lifetimeMs === 0 ? Number.POSITIVE_INFINITY : lifetimeMs * (0.8 + 0.2 * random())
    const untilExpiry = expiresAt === null ? Number.POSITIVE_INFINITY : expiresAt - epochClock()
    const ms = Math.min(lifetime, untilExpiry)
    if (ms === Number.POSITIVE_INFINITY) return
    this.#ending = untilExpiry <= lifetime ? 'expired' : 'lifetime'
    this.dueAt = streams.deadlines.now + ms
    streams.deadlines.add(this)
  }
}

const streamFields = {
  ...hardening,
  'Content-Type': 'text/event-stream',
  'Cache-Control': 'private, no-cache, no-store, must-revalidate, max-age=0',
  Pragma: 'no-cache',
  'X-Accel-Buffering': 'no',
}

/** A presented token decides; without one the hub must allow anonymous readers (SUB-41, SUB-42). */
async function identify(exchange: Exchange, options: SubscribeOptions): Promise<Identity> {
  const credentials = exchange.dialect.credentials(exchange.request)
  if (credentials !== null) return await exchange.authenticate(credentials.token, 'subscriber')
  if (options.isAnonymousAllowed) return anonymous
  throw new ProtocolError('missing-token', 'the hub has no anonymous subscribers')
}

/** Only QUERY has a body that counts; one on GET or HEAD is ignored (GEN-25). */
async function readBody(exchange: Exchange, options: SubscribeOptions): Promise<readonly FormPair[]> {
  if (exchange.request.method !== 'QUERY') return []
  const { bodyBytesMax, uploads } = options
  return await readForm(exchange, { limit: bodyBytesMax, isOptional: true, uploads, share: QUERY_SHARE })
}

/** Where anybody may subscribe, anybody may send such a body: publishers keep the other half. */
const QUERY_SHARE = 0.5

/** URL parsers collapse these segments, so that their resources could not be reached (ACT-12). */
function refuseDots(matchers: readonly Matcher[]): void {
  if (matchers.some(({ pattern }) => pattern === '.' || pattern === '..')) {
    throw new ProtocolError('invalid-matcher', 'a matcher is a dot segment')
  }
}

/** All that is subscribed is told, twice, to others: a connection must not make the hub write without measure. */
function refuseLarge(matchers: readonly Matcher[], identity: Identity, bytesMax: number): void {
  if (bytesMax > 0 && announcedBytes(matchers, identity) > bytesMax) {
    throw new ProtocolError('announcement-too-large', 'the matchers are too long to be announced')
  }
}

function queryOf(url: string): string {
  const start = url.indexOf('?')
  if (start === -1) return ''
  const end = url.indexOf('#', start)
  return end === -1 ? url.slice(start + 1) : url.slice(start + 1, end)
}
