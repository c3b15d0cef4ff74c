import type { Hub } from '../hub/hub.ts'
import { ProtocolError } from '../protocol/error.ts'
import { decodeQuery, type FormPair } from '../protocol/form.ts'
import { anonymous, type Identity } from '../protocol/grant.ts'
import type { Matcher } from '../protocol/matcher.ts'
import { readForm } from './body.ts'
import { hardening } from './error.ts'
import { EventStream, type OpenStreams } from './event-source.ts'
import type { Exchange } from './exchange.ts'
import type { SubscriberCount } from './subscriber-count.ts'

export interface SubscribeOptions {
  readonly hub: Hub
  readonly isAnonymousAllowed: boolean
  /** Whether subscriptions have resources of their own (section 7). */
  readonly hasSubscriptions: boolean
  readonly streams: OpenStreams
  readonly counts: SubscriberCount
  readonly bodyBytesMax: number
  readonly bufferBytesMax: number
  readonly retryMs: number
  /** A connection ends between 80 % and 100 % of it, in milliseconds; 0 is unlimited. */
  readonly lifetimeMs: number
  /** Milliseconds since the epoch, as tokens count. */
  readonly epochClock: () => number
  /** Random numbers in [0, 1), to spread what would happen at once. */
  readonly random: () => number
  /** Runs after so many milliseconds, however many; returns how to call it off. */
  readonly after: (ms: number, run: () => void) => () => void
}

/** GET and QUERY on the hub URL (section 1), in the order of SUB-40. */
export async function subscribe(
  exchange: Exchange,
  options: SubscribeOptions,
  headers: Headers,
): Promise<EventStream> {
  const identity = await identify(exchange, options)
  const { request, dialect } = exchange
  const query = decodeQuery(queryOf(request.url))
  const { matchers, lastEventId } = dialect.subscription(request, query, await readBody(exchange, options))
  if (options.hasSubscriptions) refuseDots(matchers)
  const { counts } = options
  const address = exchange.address()
  counts.check(address, identity.holder)
  const cursor = await options.hub.locate(lastEventId)
  for (const [name, value] of Object.entries(streamFields)) headers.set(name, value)
  for (const [name, value] of Object.entries(dialect.cursorFields(cursor.lastEventId)))
    headers.set(name, value)
  return new EventStream({
    headers,
    bufferBytesMax: options.bufferBytesMax,
    retryMs: options.retryMs,
    comeBackMs: () => 500 + Math.floor(options.random() * 2500),
    streams: options.streams,
    onOpen: (stream) => {
      // The heartbeat takes its place, until the connection waits for another request.
      exchange.idleTimeout(0)
      const subscriber = options.hub.subscribe(matchers, identity, cursor, stream)
      const release = counts.add(address, identity.holder)
      const cancel = endOnTime(identity, options, (kind) => options.hub.end(subscriber, { kind }))
      stream.onClosed(() => {
        cancel()
        release()
        exchange.idleTimeout(IDLE_TIMEOUT_S)
      })
      return (reason) => options.hub.end(subscriber, reason)
    },
  })
}

/** Seconds after which a connection whose stream has ended is closed. */
const IDLE_TIMEOUT_S = 10

/** HEAD: the same checks and fields, and no subscription (GEN-23). */
export async function subscribeHead(
  exchange: Exchange,
  options: SubscribeOptions,
  headers: Headers,
): Promise<Response> {
  const stream = await subscribe(exchange, options, headers)
  return new Response(null, { headers: stream.headers })
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
async function readBody({ request }: Exchange, options: SubscribeOptions): Promise<readonly FormPair[]> {
  return request.method === 'QUERY' ? await readForm(request, options.bodyBytesMax, true) : []
}

/** URL parsers collapse these segments, so that their resources could not be reached (ACT-12). */
function refuseDots(matchers: readonly Matcher[]): void {
  if (matchers.some(({ pattern }) => pattern === '.' || pattern === '..')) {
    throw new ProtocolError('invalid-matcher', 'a matcher is a dot segment')
  }
}

function queryOf(url: string): string {
  const start = url.indexOf('?')
  if (start === -1) return ''
  const end = url.indexOf('#', start)
  return end === -1 ? url.slice(start + 1) : url.slice(start + 1, end)
}

/** Ends the stream when its token expires or its lifetime is over, whichever is first (SUB-87, SUB-89). */
function endOnTime(
  identity: Identity,
  options: SubscribeOptions,
  end: (kind: 'expired' | 'lifetime') => void,
): () => void {
  const { lifetimeMs, random, epochClock, after } = options
  // Spread over a fifth, so that streams opened together do not all come back together.
  const lifetime = lifetimeMs === 0 ? Number.POSITIVE_INFINITY : lifetimeMs * (0.8 + 0.2 * random())
  const untilExpiry =
    identity.expiresAt === null ? Number.POSITIVE_INFINITY : identity.expiresAt - epochClock()
  const ms = Math.min(lifetime, untilExpiry)
  if (ms === Number.POSITIVE_INFINITY) return () => {}
  return after(ms, () => end(untilExpiry <= lifetime ? 'expired' : 'lifetime'))
}
