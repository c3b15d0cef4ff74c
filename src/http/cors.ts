import type { OriginList } from './request/origin.ts'

/**
 * The CORS protocol of the Fetch standard for one list of origins. An allowed origin is echoed with
 * credentials (SUB-96), `*` is answered without (SUB-97), another origin gets nothing but `Vary`.
 */
export class Cors {
  readonly #origins: OriginList
  readonly #isUsed: boolean
  readonly #exposed: string
  readonly #requestFields: string

  /** `moreFields`: request fields that pages may send, `exposed`: response fields that they may read, beside those of 1.0. */
  constructor(
    origins: OriginList,
    isUsed: boolean,
    moreFields: readonly string[] = [],
    exposed: readonly string[] = [],
  ) {
    this.#origins = origins
    this.#isUsed = isUsed
    this.#requestFields = [...REQUEST_FIELDS, ...moreFields].join(', ')
    this.#exposed = [...EXPOSED_FIELDS, ...exposed].join(', ')
  }

  /** The fields with those that the answer to this request needs. Most hubs need none: nothing is copied. */
  fields(request: Request, headers: Headers): Headers {
    if (!this.#isUsed) return headers
    const own = new Headers(headers)
    this.apply(request, own)
    return own
  }

  /** Adds the fields that the answer to this request needs, errors included (SUB-101). */
  apply(request: Request, headers: Headers): void {
    if (!this.#isUsed) return
    if (!this.#allow(request, headers)) return
    headers.set('Access-Control-Expose-Headers', this.#exposed)
  }

  /** The answer to a preflight (SUB-99), or null when the request is not one. */
  preflight(request: Request, methods: string): Response | null {
    if (!request.headers.has('origin') || !request.headers.has('access-control-request-method')) return null
    const headers = new Headers()
    if (this.#isUsed && this.#allow(request, headers)) {
      headers.set('Access-Control-Allow-Methods', methods)
      headers.set('Access-Control-Allow-Headers', this.#requestFields)
      headers.set('Access-Control-Max-Age', '7200')
    }
    return new Response(null, { status: 204, headers })
  }

  #allow(request: Request, headers: Headers): boolean {
    if (this.#origins.isOpen) {
      headers.set('Access-Control-Allow-Origin', '*')
      return true
    }
    headers.append('Vary', 'Origin')
    const origin = request.headers.get('origin')
    if (origin === null || !this.#origins.includes(origin)) return false
    headers.set('Access-Control-Allow-Origin', origin)
    headers.set('Access-Control-Allow-Credentials', 'true')
    return true
  }
}

const EXPOSED_FIELDS = ['Link', 'Mercure-Last-Event-ID', 'WWW-Authenticate', 'Retry-After']
/** The fields that subscribers and publishers send (SUB-99). */
const REQUEST_FIELDS = ['authorization', 'cache-control', 'last-event-id', 'content-type']
