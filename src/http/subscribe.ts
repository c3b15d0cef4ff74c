import type { Hub } from '../hub/hub.ts'
import type { MatcherPool } from '../hub/matcher-pool.ts'
import type { CloseReason, Cursor, Subscriber } from '../hub/subscriber.ts'
import { ProtocolError } from '../protocol/error.ts'
import { decodeQuery, type FormPair } from '../protocol/form.ts'
import { anonymous, type Identity, payloadsInSteps } from '../protocol/grant.ts'
import { isLight, type Matcher, type WrittenMatcher } from '../protocol/matcher.ts'
import { announcedBytes } from '../protocol/subscription.ts'
import type { HubLocation } from '../protocol/topic.ts'
import type { Drive } from '../protocol/work.ts'
import type { Deadlines, Due } from '../stream/deadlines.ts'
import { EventStream, type EventStreamOptions, type StreamOwner } from '../stream/event-stream.ts'
import type { SubscribeRequest } from './dialect.ts'
import { hardening } from './error.ts'
import type { Exchange } from './exchange.ts'
import { readForm } from './request/body.ts'
import type { Uploads } from './request/uploads.ts'
import type { Counted, SubscriberCount } from './subscriber-count.ts'

export interface SubscribeOptions extends EventStreamOptions {
  readonly hub: Hub
  readonly location: HubLocation
  readonly isAnonymousAllowed: boolean
  /** Whether subscriptions have resources of their own (section 7). */
  readonly hasSubscriptions: boolean
  /** Bytes of the events that tell of one connection; 0 is unlimited. */
  readonly announcementBytesMax: number
  readonly counts: SubscriberCount
  readonly matchers: MatcherPool
  /** The limit on the weight of the matchers of one request. */
  readonly patternWeightMax: number
  readonly drive: Drive
  readonly bodyBytesMax: number
  readonly uploads: Uploads
  /** The lifetime of a connection, which ends between 80 % and 100 % of it, in milliseconds; 0 is unlimited. */
  readonly lifetimeMs: number
  /** Hears of the end of each stream; null where nobody wants to. */
  readonly ends: StreamEnds | null
}

/** Hears of the ends of streams. */
export interface StreamEnds {
  ended(exchange: Exchange, end: StreamEnd): void
}

/** The end of a stream. */
export interface StreamEnd {
  /** Why it ended: the kind of a `CloseReason`. */
  readonly reason: string
  /** For how long it was open; 0 for one that never began. */
  readonly ms: number
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
  giveBack(await accept(exchange, options, headers), options)
  return new Response(null, { headers })
}

/** A request that passed the checks. It counts: the caller calls `giveBack` when no stream comes of it. */
interface Asked {
  readonly matchers: readonly Matcher[]
  readonly identity: Identity
  /** The payloads of its subscriptions, where finding them takes long. */
  readonly payloads: readonly unknown[] | null
  readonly cursor: Cursor
  readonly counted: Counted
}

type Held = Pick<Asked, 'counted' | 'matchers' | 'identity'>

/**
 * Makes the checks in their order, then sets the fields of the answer. The limits of connections come before the hub
 * compiles anything, so that they limit that too: no more is compiled at once than may be open at once.
 */
async function accept(exchange: Exchange, options: SubscribeOptions, headers: Headers): Promise<Asked> {
  const identity = await identify(exchange, options)
  const { request, dialect } = exchange
  const query = decodeQuery(queryOf(request.url), dialect.form)
  const written = dialect.subscription(request, query, await readBody(exchange, options))
  const { matchers } = written
  if (options.hasSubscriptions) refuseDots(matchers)
  const address = options.counts.needsAddress ? exchange.address() : null
  const counted = options.counts.add(address, identity.holder)
  let asked: Asked | null = null
  try {
    const payloads = options.hasSubscriptions ? await payloadsOf(matchers, identity, options) : null
    const compiled = await options.drive(options.matchers.compile(matchers, options.patternWeightMax))
    const cursor = await locate(options.hub, written)
    asked = { matchers: options.matchers.hold(compiled, identity), identity, payloads, cursor, counted }
    for (const [name, value] of Object.entries(streamFields)) headers.set(name, value)
    for (const [name, value] of Object.entries(dialect.cursorFields(cursor.lastEventId)))
      headers.set(name, value)
    return asked
  } catch (error) {
    if (asked === null) options.counts.remove(counted)
    else giveBack(asked, options)
    throw error
  }
}

function giveBack({ counted, matchers, identity }: Held, options: SubscribeOptions): void {
  options.counts.remove(counted)
  options.matchers.release(matchers, identity)
}

/**
 * The place where the stream starts: the cursor, or further on, the latest event that a library says it has seen. The
 * URL of a library keeps the cursor with which the page began, so that each reconnection would repeat everything since.
 * The parameters of libraries are none of the protocol: the answer tells of the cursor alone (REC-03), and an id that
 * the hub does not have changes nothing.
 */
async function locate(hub: Hub, { lastEventId, resumedIds }: SubscribeRequest): Promise<Cursor> {
  const cursor = await hub.locate(lastEventId)
  let from = lastEventId !== null && cursor.lastEventId === lastEventId ? cursor : null
  for (const id of resumedIds) {
    const resumed = await hub.locate(id)
    if (resumed.lastEventId === id && (from === null || resumed.after > from.after)) from = resumed
  }
  // Any of these places means nothing in a log that is no more.
  return from === null ? cursor : { ...from, lastEventId: cursor.lastEventId }
}

/**
 * The tie of a stream to the hub, from its first byte to its end: its subscriber, its place in the counts, and the
 * time at which it ends. Lives as long as the stream, so it gives up all that it needed only to begin. A connection
 * that is gone before its answer ends the stream as well, which then never began.
 */
class Registration implements StreamOwner, Due {
  readonly #exchange: Exchange
  readonly #options: SubscribeOptions
  #asked: Asked | null
  #subscriber: Subscriber | null = null
  #counted: Counted | null
  #ending: 'expired' | 'lifetime' = 'lifetime'
  /** The queue in which it waits for its end. */
  #queue: Deadlines | null = null
  dueAt = Number.POSITIVE_INFINITY
  place = -1

  constructor(exchange: Exchange, asked: Asked, options: SubscribeOptions) {
    this.#exchange = exchange
    this.#asked = asked
    this.#counted = asked.counted
    this.#options = options
  }

  onOpen(stream: EventStream): void {
    const asked = this.#asked
    if (asked === null) return
    // The heartbeat replaces the idle timeout, until the connection waits for another request.
    this.#exchange.stayOpen(true)
    const { matchers, identity, cursor, payloads } = asked
    this.#subscriber = this.#options.hub.subscribe(matchers, identity, cursor, stream, payloads)
    this.#asked = null
    if (this.#subscriber.state === 'catching-up') this.#exchange.trace?.replays(this.#subscriber)
    this.#exchange.trace = null
    if (!this.#subscriber.isEnded) this.#endOnTime(asked.identity)
  }

  end(reason: CloseReason): void {
    if (this.#subscriber !== null) this.#options.hub.end(this.#subscriber, reason)
  }

  onClosed(reason: CloseReason): void {
    const { ends, streams } = this.#options
    const ms = this.#subscriber === null ? 0 : streams.lifetimes.now - this.#subscriber.openedAt
    ends?.ended(this.#exchange, { reason: reason.kind, ms })
    this.#queue?.remove(this)
    const held = this.#subscriber ?? this.#asked
    if (held !== null && this.#counted !== null) {
      const { matchers, identity } = held
      giveBack({ counted: this.#counted, matchers, identity }, this.#options)
    }
    this.#counted = null
    this.#exchange.stayOpen(false)
  }

  onDue(): void {
    this.end({ kind: this.#ending })
  }

  /**
   * Ends the stream when its token expires or its lifetime is over, whichever is first (SUB-87, SUB-89). With a token
   * both count on the wall clock, which the token means, also when that is set.
   */
  #endOnTime({ expiresAt }: Identity): void {
    const { lifetimeMs, random, streams } = this.#options
    // Spread over a fifth, so that readers of streams opened together do not all come back together.
    const lifetime = lifetimeMs === 0 ? Number.POSITIVE_INFINITY : lifetimeMs * (0.8 + 0.2 * random())
    const queue = expiresAt === null ? streams.lifetimes : streams.expiries
    const lifetimeEndsAt = queue.now + lifetime
    this.dueAt = expiresAt === null ? lifetimeEndsAt : Math.min(expiresAt, lifetimeEndsAt)
    if (this.dueAt === Number.POSITIVE_INFINITY) return
    this.#ending = this.dueAt === expiresAt ? 'expired' : 'lifetime'
    this.#queue = queue
    queue.add(this)
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
  const { bodyBytesMax: limit, uploads } = options
  const rules = exchange.dialect.form
  return await readForm(exchange, { limit, rules, isOptional: true, uploads, share: QUERY_SHARE })
}

/** The share of bodies of QUERY: anybody who may subscribe may send one, and publishers keep the other half. */
const QUERY_SHARE = 0.5

/** URL parsers collapse segments of dots, so that nobody could reach their resources (ACT-12). */
function refuseDots(matchers: readonly WrittenMatcher[]): void {
  if (matchers.some(({ pattern }) => pattern === '.' || pattern === '..')) {
    throw new ProtocolError('invalid-matcher', 'a matcher is a dot segment')
  }
}

/**
 * The payloads of the subscriptions where finding them takes long, else null. The hub tells others of each subscription
 * twice: a connection must not make the hub write without measure.
 */
async function payloadsOf(
  matchers: readonly WrittenMatcher[],
  identity: Identity,
  { drive, location, announcementBytesMax: bytesMax }: SubscribeOptions,
): Promise<readonly unknown[] | null> {
  const texts = matchers.map(({ pattern }) => pattern)
  const payloads = isLight(identity.weight, texts)
    ? null
    : await drive(payloadsInSteps(identity, texts, location))
  if (bytesMax > 0 && announcedBytes(matchers, identity, payloads) > bytesMax) {
    throw new ProtocolError('announcement-too-large', 'the matchers are too long to be announced')
  }
  return payloads
}

function queryOf(url: string): string {
  const start = url.indexOf('?')
  if (start === -1) return ''
  const end = url.indexOf('#', start)
  return end === -1 ? url.slice(start + 1) : url.slice(start + 1, end)
}
