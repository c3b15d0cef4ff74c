/** The console refuses a request. The message is for the person at the page; it holds no token, key or payload. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly status: RefusalStatus
  /** Seconds after which to ask again, or null. */
  readonly retryAfter: number | null

  constructor(status: RefusalStatus, message: string, retryAfter: number | null = null) {
    super(message)
    this.status = status
    this.retryAfter = retryAfter
  }
}

/** The statuses of refusals: a closed set. */
export type RefusalStatus = 400 | 401 | 403 | 404 | 405 | 409 | 413 | 415 | 421 | 429 | 503

/** The answer to a refused request. */
export function refusalResponse({ status, message, retryAfter }: Refusal): Response {
  const fields = retryAfter === null ? {} : { 'Retry-After': String(retryAfter) }
  return Response.json({ error: message }, { status, headers: { ...apiFields, ...fields } })
}

/** Fields of every answer of the API: nobody keeps it, and no page of another origin may read or embed it. */
export const apiFields: Readonly<Record<string, string>> = {
  'Cache-Control': 'no-store',
  'X-Content-Type-Options': 'nosniff',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
}
