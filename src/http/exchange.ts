import type { Authenticator } from '../auth/authenticate.ts'
import type { Role } from '../auth/keys.ts'
import type { Identity } from '../protocol/grant.ts'
import type { HubLocation } from '../protocol/topic.ts'
import { type Dialect, dialectOf } from './dialect.ts'
import { hostField, type Listening, ownHost } from './request/host.ts'
import type { Proxies } from './request/proxy.ts'
import { givenId, type RequestIds } from './request/request-id.ts'
import type { RequestTrace } from './trace.ts'

/** The connection that a request came on and its listener, as far as Bun knows them. */
export interface Connection extends Listening {
  /** The port of the listener; absent for a Unix socket. */
  readonly port?: number | undefined
  requestIP(request: Request): { readonly address: string } | null
  timeout(request: Request, seconds: number): void
}

/** The options of an exchange that are known before its request comes. */
export interface ExchangeOptions {
  readonly location: HubLocation
  /** The dialects in the order in which `dialectOf` asks them. */
  readonly dialects: readonly Dialect[]
  readonly proxies: Proxies
  /** The configured resource identifier; null derives it from each request (AUT-40). */
  readonly resourceIdentifier: string | null
  readonly authenticator: Pick<Authenticator, 'authenticate'>
  /** Seconds after which a connection on which nothing moves is closed. */
  readonly idleSeconds: number
  /** Whether this listener speaks TLS. */
  readonly isSecure: boolean
  /** Names requests; a proxy that is trusted may have named one already. */
  readonly requestIds: RequestIds
}

/**
 * One request with the options of the edge at the moment when it came. A class, and not an object of functions,
 * because each open stream keeps one: 10,000 of them were 60,000 functions.
 */
export class Exchange {
  readonly request: Request
  readonly dialect: Dialect
  /** The trace of the request, until nothing more is to be told; null where nobody follows it. */
  trace: RequestTrace | null = null
  readonly #connection: Connection | null
  readonly #options: ExchangeOptions
  #id: string | null = null

  constructor(request: Request, connection: Connection | null, options: ExchangeOptions) {
    this.request = request
    this.dialect = dialectOf(request, options.dialects)
    this.#connection = connection
    this.#options = options
  }

  /** The origin under which the client reached the hub, as far as it can be told. */
  origin(): string {
    const { proxies, isSecure } = this.#options
    const direct = { scheme: isSecure ? 'https' : 'http', host: this.#host() }
    return proxies.origin(this.request, proxies.isUsed ? this.peer : '', direct)
  }

  /** The address of the client, or null where there is none (unix sockets). */
  address(): string | null {
    return this.#options.proxies.clientAddress(this.request, this.peer)
  }

  /** The name of the request in answers and in the log: made when somebody asks, since most requests need none. */
  get id(): string {
    const { requestIds, proxies } = this.#options
    this.#id ??=
      (proxies.isUsed && proxies.isTrusted(this.peer) ? givenId(this.request) : null) ?? requestIds.next()
    return this.#id
  }

  /** The resource identifier that tokens of this request must name (AUT-40). */
  resource(): string {
    const { resourceIdentifier, location } = this.#options
    return resourceIdentifier ?? `${this.origin()}${location.path}`
  }

  /** Throws or rejects with `invalid-token` or `keys-unavailable`. */
  authenticate(token: string, role: Role): Identity | Promise<Identity> {
    return this.#options.authenticator.authenticate(token, role, this.resource())
  }

  /** Keeps the connection open while nothing moves on it, or leaves it to the idle timeout. */
  stayOpen(isOpen: boolean): void {
    this.#connection?.timeout(this.request, isOpen ? 0 : this.#options.idleSeconds)
  }

  #host(): string {
    return hostField(this.request) ?? ownHost(this.#connection)
  }

  /**
   * The address at the other end of the connection; null on a Unix socket. A peer that has gone has none either, and is
   * nobody that could be trusted.
   */
  get peer(): string | null {
    const connection = this.#connection
    const address = connection?.requestIP(this.request)?.address
    return address ?? (connection?.port === undefined ? null : '')
  }
}
