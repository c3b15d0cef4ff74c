import { Elysia } from 'elysia'
import type { Role } from '../auth/keys.ts'
import { ProtocolError } from '../protocol/error.ts'
import type { Identity } from '../protocol/grant.ts'
import type { HubLocation } from '../protocol/topic.ts'
import type { Cors } from './cors.ts'
import type { Dialect } from './dialect.ts'
import { type MetadataOptions, metadataDocument, metadataPath } from './discovery.ts'
import { errorResponse, hardening, type UnexpectedError } from './error.ts'
import { HostGate } from './host.ts'
import type { Proxies } from './proxy.ts'
import { type PublishOptions, publish } from './publish.ts'
import { type Connection, RequestExchange } from './request-exchange.ts'
import { type SubscribeOptions, subscribe, subscribeHead } from './subscribe.ts'
import { type SubscriptionsOptions, subscriptions } from './subscriptions.ts'
import { welcome } from './welcome.ts'

/** What the edge is made of; `main.ts` puts it together. */
export interface AppOptions {
  readonly health: { alive(): Response; ready(): Promise<Response> }
  readonly location: HubLocation
  readonly dialect: Dialect
  readonly cors: Cors
  readonly proxies: Proxies
  /** Origins that the hub answers on, or none to answer on all (GEN-15). */
  readonly publicOrigins: readonly string[]
  /** The configured resource identifier; null derives it from each request (AUT-40). */
  readonly resourceIdentifier: string | null
  readonly metadata: MetadataOptions
  /** The version that the page at the root shows, or null to keep it. */
  readonly version: string | null
  readonly authenticate: (token: string, role: Role, audience: string) => Identity | Promise<Identity>
  /** Roles that have a key. Without one the method is not served (GEN-24). */
  readonly canPublish: boolean
  readonly canSubscribe: boolean
  readonly publishing: PublishOptions
  /** The subscription API, or null where the feature is off. */
  readonly subscriptions: SubscriptionsOptions | null
  readonly subscribing: SubscribeOptions
  /** Whether this listener speaks TLS. */
  readonly isSecure: boolean
  readonly onUnexpected: UnexpectedError
}

/**
 * The routes of the hub listener, each a plain function of the request. Elysia finds the handler and turns
 * streams into responses; everything else is ours, errors included. `current` is asked at every request, so
 * that a reload changes what the edge does; the paths, the scheme and the health checks are fixed here.
 */
export function hubApp(current: () => AppOptions) {
  const edge = new Edge(current)
  const { location, isSecure, health } = current()
  const { path } = location
  const metadata = metadataPath(path)
  const subscriptions = `${path}/subscriptions`
  const unparsed = { parse: 'none' } as const
  // Elysia looks for the path after so many characters: a host of three, as `hub` in a network of containers,
  // ends before that unless the scheme is the longer one.
  const handler = { standardHostname: isSecure }
  // The last resort, should a refusal fail: Bun would show the source to the client and to the log.
  const serve = { error: (error: Error) => errorResponse(error, null, current().onUnexpected) }
  const gate = new HostGate(isSecure, () => app.server)
  const app = new Elysia({ strictPath: true, handler, serve })
  return app
    .wrap((handle, request) =>
      gate.admits(request) ? handle : () => edge.refuse(edge.exchange(request, app.server), ambiguousHost()),
    )
    .onError({ as: 'global' }, ({ error, code, request, server }) =>
      edge.refuse(edge.exchange(request, server), code === 'NOT_FOUND' ? notFound() : error),
    )
    .get(path, ({ request, server }) => edge.subscribe(edge.exchange(request, server)), unparsed)
    .route('QUERY', path, ({ request, server }) => edge.subscribe(edge.exchange(request, server)), unparsed)
    .head(path, ({ request, server }) => edge.subscribeHead(edge.exchange(request, server)), unparsed)
    .post(path, ({ request, server }) => edge.publish(edge.exchange(request, server)), unparsed)
    .all(path, ({ request, server }) => edge.other(edge.exchange(request, server), edge.hubMethods), unparsed)
    .get(metadata, ({ request, server }) => edge.metadata(edge.exchange(request, server)), unparsed)
    .head(metadata, ({ request, server }) => edge.metadata(edge.exchange(request, server)), unparsed)
    .all(metadata, ({ request, server }) => edge.other(edge.exchange(request, server), readMethods), unparsed)
    .all(subscriptions, ({ request, server }) => edge.subscriptions(edge.exchange(request, server)), unparsed)
    .all(
      `${subscriptions}/*`,
      ({ request, server }) => edge.subscriptions(edge.exchange(request, server)),
      unparsed,
    )
    .get('/', ({ request, server }) => edge.welcome(edge.exchange(request, server)))
    .head('/', ({ request, server }) => edge.welcome(edge.exchange(request, server)))
    .get('/healthz', () => health.alive())
    .get('/readyz', () => health.ready())
}

const readMethods = 'GET, HEAD, OPTIONS'

function notFound(): ProtocolError {
  return new ProtocolError('not-found', 'no such path')
}

function ambiguousHost(): ProtocolError {
  return new ProtocolError('invalid-host', 'the request names two hosts')
}

/** From a request to its exchange, and from an outcome to its response. */
class Edge {
  readonly #current: () => AppOptions

  constructor(current: () => AppOptions) {
    this.#current = current
  }

  get hubMethods(): string {
    const { canSubscribe, canPublish } = this.#options
    return `${canSubscribe ? 'GET, HEAD, QUERY, ' : ''}${canPublish ? 'POST, ' : ''}OPTIONS`
  }

  get #options(): AppOptions {
    return this.#current()
  }

  exchange(request: Request, connection: Connection | null): RequestExchange {
    return new RequestExchange(request, connection, this.#options)
  }

  subscribe(exchange: RequestExchange) {
    return this.#answer(exchange, async () => {
      if (!this.#options.canSubscribe) return this.#refuseMethod(exchange, this.hubMethods)
      return await subscribe(exchange, this.#options.subscribing, this.#fields(exchange))
    })
  }

  subscribeHead(exchange: RequestExchange) {
    return this.#answer(exchange, async () => {
      if (!this.#options.canSubscribe) return this.#refuseMethod(exchange, this.hubMethods)
      return await subscribeHead(exchange, this.#options.subscribing, this.#fields(exchange))
    })
  }

  publish(exchange: RequestExchange) {
    return this.#answer(exchange, () => {
      const { canPublish, publishing } = this.#options
      return canPublish ? publish(exchange, publishing) : this.#refuseMethod(exchange, this.hubMethods)
    })
  }

  /** The subscription API: read-only, and not there at all where the feature is off (ACT-01). */
  subscriptions(exchange: RequestExchange) {
    return this.#answer(exchange, async () => {
      const { method } = exchange.request
      if (this.#options.subscriptions === null) throw notFound()
      if (method !== 'GET' && method !== 'HEAD') return this.#other(exchange, readMethods)
      const response = await subscriptions(exchange, this.#options.subscriptions)
      this.#options.cors.apply(exchange.request, response.headers)
      return response
    })
  }

  metadata(exchange: RequestExchange) {
    return this.#answer(exchange, async () => {
      const document = metadataDocument(exchange.resource(), this.#options.metadata)
      if (document === null) throw notFound()
      const response = Response.json(document, { headers: hardening })
      this.#options.cors.apply(exchange.request, response.headers)
      return response
    })
  }

  welcome(exchange: RequestExchange) {
    const { location, version } = this.#options
    return this.#answer(exchange, () => welcome({ hubPath: location.path, version }))
  }

  /** OPTIONS, answered before any authentication (SUB-99), and every method that is not served. */
  other(exchange: RequestExchange, methods: string) {
    return this.#answer(exchange, async () => this.#other(exchange, methods))
  }

  #other(exchange: RequestExchange, methods: string): Response {
    if (exchange.request.method !== 'OPTIONS') return this.#refuseMethod(exchange, methods)
    const preflight = this.#options.cors.preflight(exchange.request, methods)
    return preflight ?? new Response(null, { status: 204, headers: { ...hardening, Allow: methods } })
  }

  refuse(exchange: RequestExchange, error: unknown): Response {
    const { metadata, location, onUnexpected, cors } = this.#options
    const url = metadata.hasKeys ? metadataUrl(exchange.resource(), location) : null
    const response = errorResponse(error, url, onUnexpected)
    cors.apply(exchange.request, response.headers)
    return response
  }

  #refuseMethod(exchange: RequestExchange, methods: string): Response {
    const response = this.refuse(
      exchange,
      new ProtocolError('method-not-allowed', 'the method is not served'),
    )
    response.headers.set('Allow', methods)
    return response
  }

  async #answer<Outcome>(
    exchange: RequestExchange,
    run: () => Outcome | Promise<Outcome>,
  ): Promise<Outcome | Response> {
    try {
      this.#checkOrigin(exchange)
      return await run()
    } catch (error) {
      return this.refuse(exchange, error)
    }
  }

  /** Scheme and host are both compared, ahead of every other check (GEN-15). */
  #checkOrigin(exchange: RequestExchange): void {
    const { publicOrigins } = this.#options
    if (publicOrigins.length > 0 && !publicOrigins.includes(exchange.origin())) {
      throw new ProtocolError('misdirected', 'the origin is not one of the public URLs')
    }
  }

  /** The fields that CORS adds to a stream, which cannot be changed once it is open. */
  #fields(exchange: RequestExchange): Headers {
    const headers = new Headers()
    this.#options.cors.apply(exchange.request, headers)
    return headers
  }
}

/** RFC 9728 section 3.1: the well-known path goes between the origin and the path of the resource. */
function metadataUrl(resource: string, location: HubLocation): string | null {
  const origin = URL.parse(resource)?.origin ?? 'null'
  return origin === 'null' ? null : `${origin}${metadataPath(location.path)}`
}
