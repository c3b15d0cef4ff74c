import type { Loop } from '../hub/loop.ts'
import { ProtocolError } from '../protocol/error.ts'

/**
 * Refuses a request for an origin that is none of the public URLs (GEN-15). It nearly always tells of a setting: the
 * hub does not trust a proxy in front, and ignores its word on scheme and host, or a URL is missing.
 */
export class OriginRefusal extends ProtocolError {
  /** The origin as the hub saw it, from the words of the client and its proxies, fit to be shown. */
  readonly origin: string

  constructor(origin: string) {
    super('misdirected', 'the origin is not one of the public URLs')
    this.origin = shown(origin)
  }

  /** The body of the answer. */
  get text(): string {
    return `the hub does not answer on ${this.origin}: see hub.public_urls, and proxy.trusted behind a proxy`
  }
}

/** Repeats only an origin in its canonical form, which has no character with a meaning elsewhere. */
function shown(origin: string): string {
  return origin.length <= ORIGIN_LENGTH_MAX && URL.parse(origin)?.origin === origin ? origin : 'this origin'
}

const ORIGIN_LENGTH_MAX = 200

/** The message about refused origins to an operator. */
export interface RefusedOriginsSummary {
  /** Some of the origins, in the order in which they came. */
  readonly origins: string
  /** The number of requests that were refused since the last message. */
  readonly requests: number
  /** The address that sent the first of them: that of the proxy, where there is one. */
  readonly peer: string
}

/**
 * Tells of the first refusal at once, then once a minute of those that came since, as long as there are any. Clients
 * choose the origins, so the hub bounds their number and their length.
 */
export class RefusedOrigins {
  readonly #tell: (summary: RefusedOriginsSummary) => void
  readonly #loop: Loop
  readonly #origins = new Set<string>()
  #requests = 0
  #peer = ''
  #isWaiting = false

  constructor(tell: (summary: RefusedOriginsSummary) => void, loop: Loop) {
    this.#tell = tell
    this.#loop = loop
  }

  /** `peer`: the address at the other end of the connection. */
  add({ origin }: OriginRefusal, peer: string): void {
    if (this.#requests++ === 0) this.#peer = peer
    if (this.#origins.size < ORIGINS_MAX) this.#origins.add(origin)
    if (!this.#isWaiting) this.#report()
  }

  #report(): void {
    this.#isWaiting = this.#requests > 0
    if (!this.#isWaiting) return
    this.#tell({ origins: [...this.#origins].join(' '), requests: this.#requests, peer: this.#peer })
    this.#origins.clear()
    this.#requests = 0
    this.#loop.delay(APART_MS, () => this.#report())
  }
}

const ORIGINS_MAX = 5
const APART_MS = 60_000
