import type { Role } from '../auth/keys.ts'
import type { Identity } from '../protocol/grant.ts'
import type { AppOptions } from './app.ts'
import type { Dialect } from './dialect.ts'
import type { Exchange } from './exchange.ts'
import { hostField, type Listening, ownHost } from './host.ts'

/** What Bun tells about the connection, and about the listener that it came to. */
export interface Connection extends Listening {
  /** Absent for a Unix socket. */
  readonly port?: number | undefined
  requestIP(request: Request): { readonly address: string } | null
  timeout(request: Request, seconds: number): void
}

/**
 * One request at the edge as it was set up when the request came. A class, and not an object of functions,
 * because each open stream keeps one: 10,000 of them were 60,000 functions.
 */
export class RequestExchange implements Exchange {
  readonly request: Request
  readonly #connection: Connection | null
  readonly #options: AppOptions

  constructor(request: Request, connection: Connection | null, options: AppOptions) {
    this.request = request
    this.#connection = connection
    this.#options = options
  }

  get dialect(): Dialect {
    return this.#options.dialect
  }

  origin(): string {
    const { proxies, isSecure } = this.#options
    const direct = { scheme: isSecure ? 'https' : 'http', host: this.#host() }
    return proxies.origin(this.request, proxies.isUsed ? this.#peer() : '', direct)
  }

  address(): string | null {
    return this.#options.proxies.clientAddress(this.request, this.#peer())
  }

  /** The resource identifier that tokens of this request must name (AUT-40). */
  resource(): string {
    const { resourceIdentifier, location } = this.#options
    return resourceIdentifier ?? `${this.origin()}${location.path}`
  }

  authenticate(token: string, role: Role): Identity | Promise<Identity> {
    return this.#options.authenticate(token, role, this.resource())
  }

  idleTimeout(seconds: number): void {
    this.#connection?.timeout(this.request, seconds)
  }

  #host(): string {
    return hostField(this.request) ?? ownHost(this.#connection)
  }

  /** Null on a Unix socket. A peer that has gone has no address either, and is nobody that could be trusted. */
  #peer(): string | null {
    const connection = this.#connection
    const address = connection?.requestIP(this.request)?.address
    return address ?? (connection?.port === undefined ? null : '')
  }
}
