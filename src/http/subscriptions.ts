import type { Hub } from '../hub/hub.ts'
import { type Loop, SLICE_MS } from '../hub/loop.ts'
import { ProtocolError } from '../protocol/error.ts'
import { type Identity, mayRead, mayReadInSteps } from '../protocol/grant.ts'
import { isLight } from '../protocol/matcher.ts'
import type { SubscriptionPath } from '../protocol/subscription.ts'
import type { HubLocation } from '../protocol/topic.ts'
import { parseTopicUrl } from '../protocol/url-pattern/pattern.ts'
import type { Drive } from '../protocol/work.ts'
import { hardening } from './error.ts'
import type { Exchange } from './exchange.ts'
import { toFieldValue } from './request/field-value.ts'
import type { SubscriptionDocuments } from './subscription-documents.ts'

/** The sources of the subscription API. */
export interface SubscriptionsOptions {
  readonly hub: Hub
  readonly location: HubLocation
  readonly loop: Loop
  readonly drive: Drive
}

/** GET below `subscriptions` (section 7.2). It always requires a token, which must grant the very URL. */
export async function subscriptions(exchange: Exchange, options: SubscriptionsOptions): Promise<Response> {
  const { request, dialect } = exchange
  const rawPath = pathOf(request.url)
  const credentials = dialect.credentials(request)
  if (credentials === null) throw new ProtocolError('missing-token', 'the subscription API needs a token')
  const documents = dialect.documents(rawPath, credentials.token)
  const identity = await exchange.authenticate(credentials.token, 'subscriber')
  if (!(await isGranted(identity, rawPath, options))) {
    throw new ProtocolError('insufficient-scope', 'the token does not grant subscribe on the resource')
  }
  // Read before the list, so that a reader that goes on from here loses no change (ACT-32).
  const lastEventId = options.hub.head.id ?? 'earliest'
  const headers = fields(documents, lastEventId)
  if (isKnown(request, headers.get('etag') ?? '')) return new Response(null, { status: 304, headers })
  const path = documents.path(rawPath)
  if (path === null) throw notFound()
  const asked: Asked = { documents, path, rawPath, lastEventId }
  const pieces = path.kind === 'one' ? one(asked, options) : collection(asked, options)
  const first = await pieces.next()
  if (first.done === true) throw notFound()
  const second = await pieces.next()
  // Nearly always the document is one piece, whose length is known.
  if (second.done === true) return new Response(first.value, { headers })
  if (request.method === 'HEAD') {
    await pieces.return(undefined)
    return new Response(null, { headers })
  }
  return new Response(streamOf([first.value, second.value], pieces), { headers })
}

async function isGranted(
  identity: Identity,
  rawPath: string,
  { location, drive }: SubscriptionsOptions,
): Promise<boolean> {
  if (isLight(identity.weight, [rawPath])) return mayRead(identity, [rawPath])
  return await drive(mayReadInSteps(identity, [rawPath], [parseTopicUrl(rawPath, location)]))
}

function notFound(): ProtocolError {
  return new ProtocolError('not-found', 'no such subscription')
}

/** The subscriptions that a request asks for, and the documents that show them. */
interface Asked {
  readonly documents: SubscriptionDocuments
  readonly path: SubscriptionPath
  readonly rawPath: string
  readonly lastEventId: string
}

/** The document of one subscription, or nothing. */
async function* one(
  { documents, path, lastEventId }: Asked,
  { hub }: SubscriptionsOptions,
): AsyncGenerator<string> {
  for await (const [subscription] of hub.presence.find(path)) {
    if (subscription !== undefined) yield JSON.stringify(documents.one(subscription, lastEventId))
  }
}

/**
 * The document of a collection in pieces of limited size: the whole may be hundreds of megabytes. Between pages and
 * pieces others have their turn.
 */
async function* collection(
  { documents, path, rawPath, lastEventId }: Asked,
  { hub, loop }: SubscriptionsOptions,
): AsyncGenerator<string> {
  let piece = `${JSON.stringify(documents.head(rawPath, lastEventId)).slice(0, -1)},"subscriptions":[`
  let comma = ''
  let until = loop.now() + SLICE_MS
  const rest = async () => {
    if (loop.now() < until) return
    await new Promise<void>((resolve) => loop.later(resolve))
    until = loop.now() + SLICE_MS
  }
  for await (const page of hub.presence.find(path)) {
    for (const subscription of page) {
      const document = documents.member(subscription)
      if (document === null) continue
      piece += `${comma}${JSON.stringify(document)}`
      comma = ','
      if (piece.length < PIECE_CHARACTERS) continue
      yield piece
      piece = ''
      await rest()
    }
    await rest()
  }
  yield `${piece}]}`
}

const PIECE_CHARACTERS = 64 * 1024

/** A body that makes its pieces as the reader takes them, and no more when the reader has left. */
function streamOf(made: readonly string[], pieces: AsyncGenerator<string>): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  const waiting = [...made]
  return new ReadableStream({
    pull: async (controller) => {
      const piece = waiting.shift() ?? (await pieces.next()).value
      if (piece === undefined) controller.close()
      else controller.enqueue(encoder.encode(piece))
    },
    cancel: async () => {
      await pieces.return(undefined)
    },
  })
}

function fields(documents: SubscriptionDocuments, lastEventId: string): Headers {
  const headers = new Headers({ ...hardening, 'Cache-Control': 'private, must-revalidate' })
  for (const [name, value] of Object.entries(documents.fields(lastEventId))) {
    headers.set(name, toFieldValue(value))
  }
  return headers
}

/** Whether the client has this version (RFC 9110 section 13.1.2): weak comparison, lists and `*`. */
function isKnown(request: Request, tag: string): boolean {
  const field = request.headers.get('if-none-match')
  if (field === null) return false
  if (field.trim() === '*' || field.trim() === tag) return true
  return [...field.matchAll(/(?:W\/)?("[^"]*")/g)].some(([, candidate]) => candidate === tag)
}

/** The path as the client sent it: percent-encoded, without the query (ACT-23). */
function pathOf(url: string): string {
  const start = url.indexOf('/', url.indexOf('://') + 3)
  return url.slice(start).replace(/[?#].*$/s, '')
}
