import type { Loop } from '../hub/loop.ts'
import { ProtocolError } from '../protocol/error.ts'
import type { HubLocation } from '../protocol/topic.ts'
import type { EventStream } from '../stream/event-stream.ts'
import type { Cors } from './cors.ts'
import { type MetadataOptions, metadataDocument, metadataPath } from './discovery.ts'
import { errorResponse, hardening } from './error.ts'
import { type Connection, Exchange, type ExchangeOptions } from './exchange.ts'
import { OriginRefusal } from './origin-refusal.ts'
import { type PublishOptions, publish } from './publish.ts'
import { requestIdField } from './request/request-id.ts'
import { type SubscribeOptions, subscribe, subscribeHead } from './subscribe.ts'
import { type SubscriptionsOptions, subscriptions } from './subscriptions.ts'
import type { RequestTracer } from './trace.ts'
import { welcome } from './welcome.ts'

/** All that the edge needs to answer; `serve/edge-options.ts` makes it of the settings. */
export interface EdgeOptions extends ExchangeOptions {
  readonly health: { alive(): Response; ready(): Promise<Response> }
  readonly cors: Cors
  /** Origins that the hub answers on, or none to answer on all (GEN-15). */
  readonly publicOrigins: readonly string[]
  readonly metadata: MetadataOptions
  /** The version that the page at the root shows, or null to hide it. */
  readonly version: string | null
  /** Roles that have a key. Without one the method is not served (GEN-24). */
  readonly canPublish: boolean
  readonly canSubscribe: boolean
  readonly publishing: PublishOptions
  /** The subscription API, or null where the feature is off. */
  readonly subscriptions: SubscriptionsOptions | null
  readonly subscribing: SubscribeOptions
  /** Told of a problem that is not the client's, with the id of the request, so that it is logged once. */
  readonly onUnexpected: (error: unknown, requestId: string) => void
  /** Told of every request for an origin that the hub does not answer on, with the address that sent it. */
  readonly onMisdirected: (refusal: OriginRefusal, peer: string) => void
  /**
   * Told of every answer, refusals included: its status, and the milliseconds from the request to the answer. A stream
   * is answered when it begins.
   */
  readonly onAnswer: (route: Route, status: number, ms: number) => void
  /** Told of every refusal, once, before `onAnswer`. */
  readonly onRefused: (error: ProtocolError, exchange: Exchange) => void
  /** Told of every answer with its request, and of the end of every stream; null where nobody wants a line for each. */
  readonly access: Access | null
  /** Whether the body of a refusal says why, as only a developer's hub may (ERR-05). */
  readonly explainsRefusals: boolean
  /** Begins the traces of requests; null where there are none. */
  readonly tracer: RequestTracer | null
  readonly loop: Loop
}

/** Hears of each request. */
export interface Access {
  answered(exchange: Exchange, route: Route, status: number, ms: number): void
}

/** By which way a request was answered: a closed set, fit for labels. Unknown paths and methods are `other`. */
export type Route = 'subscribe' | 'publish' | 'subscriptions' | 'metadata' | 'health' | 'other'

type Answer = Response | EventStream

/**
 * Leads from a request to its exchange, and from an outcome to its response. A request meets the options of the moment
 * at which it came, also when a reload changes them while it is answered.
 */
export class Edge {
  readonly #current: () => EdgeOptions

  constructor(current: () => EdgeOptions) {
    this.#current = current
  }

  /** GET and QUERY on the hub URL. */
  subscribe(request: Request, connection: Connection | null) {
    return this.#answer('subscribe', request, connection, async (exchange, options) => {
      if (!options.canSubscribe) return refuseMethod(exchange, options, hubMethods(options))
      return await subscribe(exchange, options.subscribing, streamFields(exchange, options))
    })
  }

  /** HEAD on the hub URL. */
  subscribeHead(request: Request, connection: Connection | null) {
    return this.#answer('subscribe', request, connection, async (exchange, options) => {
      if (!options.canSubscribe) return refuseMethod(exchange, options, hubMethods(options))
      return await subscribeHead(exchange, options.subscribing, streamFields(exchange, options))
    })
  }

  /** POST on the hub URL. */
  publish(request: Request, connection: Connection | null) {
    return this.#answer('publish', request, connection, (exchange, options) =>
      options.canPublish
        ? publish(exchange, options.publishing)
        : refuseMethod(exchange, options, hubMethods(options)),
    )
  }

  /** The subscription API, which only reads, and is not there at all where the feature is off (ACT-01). */
  subscriptions(request: Request, connection: Connection | null) {
    return this.#answer('subscriptions', request, connection, async (exchange, options) => {
      if (options.subscriptions === null) throw notFound()
      if (request.method !== 'GET' && request.method !== 'HEAD') return other(exchange, options, readMethods)
      const response = await subscriptions(exchange, options.subscriptions)
      options.cors.apply(request, response.headers)
      return response
    })
  }

  /** GET and HEAD on the URL of the protected resource metadata. */
  metadata(request: Request, connection: Connection | null) {
    return this.#answer('metadata', request, connection, (exchange, options) => {
      const document = metadataDocument(exchange.resource(), options.metadata)
      if (document === null) throw notFound()
      const response = Response.json(document, { headers: hardening })
      options.cors.apply(request, response.headers)
      return response
    })
  }

  /** Every other method on the hub URL. */
  otherOnHub(request: Request, connection: Connection | null) {
    return this.#answer('other', request, connection, (exchange, options) =>
      other(exchange, options, hubMethods(options)),
    )
  }

  /** Every other method on the URL of the metadata. */
  otherOnMetadata(request: Request, connection: Connection | null) {
    return this.#answer('other', request, connection, (exchange, options) =>
      other(exchange, options, readMethods),
    )
  }

  /** GET and HEAD on the root. */
  welcome(request: Request, connection: Connection | null) {
    return this.#answer('other', request, connection, (_, { location, version }) =>
      welcome({ hubPath: location.path, version }),
    )
  }

  /** A request that names two hosts: nobody knows for which it is (RFC 9112 section 3.2). */
  twoHosts(request: Request, connection: Connection | null): Response {
    return this.failed(request, connection, new ProtocolError('invalid-host', 'the request names two hosts'))
  }

  /** No path of the hub. */
  unknown(request: Request, connection: Connection | null): Response {
    return this.failed(request, connection, notFound())
  }

  /** A request that the framework could not bring to its route. */
  failed(request: Request, connection: Connection | null, error: unknown): Response {
    const options = this.#current()
    const since = options.loop.now()
    const exchange = new Exchange(request, connection, options)
    return report(options, 'other', since, refuse(exchange, options, error), exchange)
  }

  alive(): Response {
    const options = this.#current()
    return report(options, 'health', options.loop.now(), options.health.alive(), null)
  }

  async ready(): Promise<Response> {
    const options = this.#current()
    const since = options.loop.now()
    return report(options, 'health', since, await options.health.ready(), null)
  }

  async #answer<Outcome extends Answer>(
    route: Route,
    request: Request,
    connection: Connection | null,
    run: (exchange: Exchange, options: EdgeOptions) => Outcome | Promise<Outcome>,
  ): Promise<Outcome | Response> {
    const options = this.#current()
    const since = options.loop.now()
    const exchange = new Exchange(request, connection, options)
    const trace = options.tracer?.begin(route, request) ?? null
    exchange.trace = trace
    let answer: Outcome | Response
    try {
      checkPublicOrigin(exchange, options)
      answer = await run(exchange, options)
    } catch (error) {
      answer = refuse(exchange, options, error)
    }
    trace?.answered(statusOf(answer))
    return report(options, route, since, answer, exchange)
  }
}

/** The one place that every answer passes. Checks of health have no exchange, and no line for each. */
function report<Outcome extends Answer>(
  { onAnswer, access, loop }: EdgeOptions,
  route: Route,
  since: number,
  answer: Outcome,
  exchange: Exchange | null,
): Outcome {
  const ms = loop.now() - since
  onAnswer(route, statusOf(answer), ms)
  if (access !== null && exchange !== null) {
    if (answer instanceof Response) answer.headers.set(requestIdField, exchange.id)
    access.answered(exchange, route, statusOf(answer), ms)
  }
  return answer
}

function statusOf(answer: Answer): number {
  return answer instanceof Response ? answer.status : 200
}

const readMethods = 'GET, HEAD, OPTIONS'

function hubMethods({ canSubscribe, canPublish }: EdgeOptions): string {
  return `${canSubscribe ? 'GET, HEAD, QUERY, ' : ''}${canPublish ? 'POST, ' : ''}OPTIONS`
}

/** OPTIONS, answered before any authentication (SUB-99), and every method that is not served. */
function other(exchange: Exchange, options: EdgeOptions, methods: string): Response {
  if (exchange.request.method !== 'OPTIONS') return refuseMethod(exchange, options, methods)
  const preflight = options.cors.preflight(exchange.request, methods)
  return preflight ?? new Response(null, { status: 204, headers: { ...hardening, Allow: methods } })
}

function refuse(exchange: Exchange, options: EdgeOptions, error: unknown): Response {
  const { metadata, location, onMisdirected, onRefused, cors } = options
  if (error instanceof OriginRefusal) onMisdirected(error, exchange.peer ?? 'a Unix socket')
  if (error instanceof ProtocolError) onRefused(error, exchange)
  else options.onUnexpected(error, exchange.id)
  const response = errorResponse(error, {
    metadataUrl: metadata.hasKeys ? metadataUrl(exchange.resource(), location) : null,
    requestId: exchange.id,
    isExplained: options.explainsRefusals,
  })
  cors.apply(exchange.request, response.headers)
  return response
}

function refuseMethod(exchange: Exchange, options: EdgeOptions, methods: string): Response {
  const error = new ProtocolError('method-not-allowed', 'the method is not served')
  const response = refuse(exchange, options, error)
  response.headers.set('Allow', methods)
  return response
}

function notFound(): ProtocolError {
  return new ProtocolError('not-found', 'no such path')
}

/** Scheme and host are both compared, ahead of every other check (GEN-15). */
function checkPublicOrigin(exchange: Exchange, { publicOrigins }: EdgeOptions): void {
  if (publicOrigins.length === 0) return
  const origin = exchange.origin()
  if (!publicOrigins.includes(origin)) {
    throw new OriginRefusal(origin)
  }
}

/** The fields that the edge adds to a stream, which cannot be changed once it is open. */
function streamFields(exchange: Exchange, { cors }: EdgeOptions): Headers {
  const headers = new Headers({ [requestIdField]: exchange.id })
  cors.apply(exchange.request, headers)
  return headers
}

/** RFC 9728 section 3.1: the well-known path goes between the origin and the path of the resource. */
function metadataUrl(resource: string, location: HubLocation): string | null {
  const origin = URL.parse(resource)?.origin ?? 'null'
  return origin === 'null' ? null : `${origin}${metadataPath(location.path)}`
}
