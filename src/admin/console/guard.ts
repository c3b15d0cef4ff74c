import { Refusal } from './refusal.ts'

/** The token and the origins of the moment: a reload may change both. */
export interface Guarded {
  readonly token: string | null
  /** Origins by which the page is reached behind a proxy. */
  readonly publicUrls: readonly string[]
}

/**
 * Lets requests to the API in. Only a header carries the token, so that a browser sends nothing by itself; besides, the
 * browser must say that our own page asks, as far as it says anything.
 */
export class Guard {
  readonly #current: () => Guarded
  readonly #clock: () => number
  readonly #failures = new Map<string, Failures>()

  /** `clock`: milliseconds that never go back. */
  constructor(current: () => Guarded, clock: () => number) {
    this.#current = current
    this.#clock = clock
  }

  /** The number of addresses that failed of late, for the gauge. */
  get size(): number {
    return this.#failures.size
  }

  /** Throws a Refusal: 403 for a foreign page, 415 for a foreign form, 401 without the token, 429 after ten failures. */
  check(request: Request, peer: string): void {
    this.#checkPage(request)
    if (request.method === 'POST' && !isJson(request))
      throw new Refusal(415, 'the body must be application/json')
    this.#checkToken(request, peer)
  }

  #checkPage({ headers }: Request): void {
    const site = headers.get('sec-fetch-site')
    if (site !== null && site !== 'same-origin' && site !== 'none')
      throw new Refusal(403, 'only the page of this console may ask')
    const origin = headers.get('origin')
    if (origin === null || this.#current().publicUrls.includes(origin)) return
    const host = headers.get('host')?.toLowerCase()
    if (host === undefined || (origin !== `http://${host}` && origin !== `https://${host}`))
      throw new Refusal(403, 'only the page of this console may ask')
  }

  #checkToken({ headers }: Request, peer: string): void {
    const given = /^Bearer +(\S+)$/i.exec(headers.get('authorization') ?? '')?.[1]
    if (given === undefined) throw new Refusal(401, 'the token is missing')
    const now = this.#clock()
    const before = this.#failures.get(peer)
    const isRecent = before !== undefined && now - before.since < WINDOW_MS
    if (isRecent && before.count >= FAILURES_MAX) {
      const seconds = Math.ceil((before.since + WINDOW_MS - now) / 1000)
      throw new Refusal(429, 'too many wrong tokens from this address', seconds)
    }
    const { token } = this.#current()
    if (token !== null && isSame(given, token)) return
    this.#note(peer, { count: isRecent ? before.count + 1 : 1, since: isRecent ? before.since : now })
    throw new Refusal(401, 'the token is wrong')
  }

  /** The oldest address is forgotten first, so that an attacker with a network costs no memory. */
  #note(peer: string, failures: Failures): void {
    this.#failures.delete(peer)
    this.#failures.set(peer, failures)
    for (const oldest of this.#failures.keys()) {
      if (this.#failures.size <= ADDRESSES_MAX) break
      this.#failures.delete(oldest)
    }
  }
}

interface Failures {
  readonly count: number
  /** When the first of them came, in milliseconds of the clock. */
  readonly since: number
}

const WINDOW_MS = 60_000
const FAILURES_MAX = 10
const ADDRESSES_MAX = 1000

function isJson({ headers }: Request): boolean {
  return /^application\/json(?:;|$)/i.test(headers.get('content-type') ?? '')
}

/** Compares hashes, all of their characters, so that the time tells nothing of the token. */
function isSame(one: string, other: string): boolean {
  const [left, right] = [Bun.SHA256.hash(one, 'hex'), Bun.SHA256.hash(other, 'hex')]
  let difference = 0
  for (let at = 0; at < left.length; at++) difference |= left.charCodeAt(at) ^ right.charCodeAt(at)
  return difference === 0
}
