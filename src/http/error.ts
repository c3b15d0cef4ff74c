import { type ErrorCode, ProtocolError } from '../protocol/error.ts'
import { OriginRefusal } from './origin-refusal.ts'
import { requestIdField } from './request/request-id.ts'

/** The answer to one refusal. */
interface Answer {
  readonly status: number
  /** The whole body: short, fixed, and silent about internals (SUB-16, ERR-05). `OriginRefusal` has its own. */
  readonly text: string
  /** `bare` is a challenge without an error (ERR-03); otherwise the `error` parameter of RFC 6750. */
  readonly challenge?: 'bare' | 'invalid_request' | 'invalid_token' | 'insufficient_scope'
  /** Seconds after which trying again makes sense. */
  readonly retryAfter?: number
  /** Whether the hub closes the connection too: kept, it would take a descriptor as an accepted one does. */
  readonly closes?: true
}

/** The one table of answers (section 5), as docs/http.md explains it. A code without a row does not compile. */
export const answers = {
  'announcement-too-large': { status: 400, text: 'the matchers are too long to be announced' },
  'body-too-large': { status: 413, text: 'the body is too large' },
  'earlier-matcher': {
    status: 400,
    text: 'a matcher is missing: topic is of 0.x, which this hub does not speak; 1.0 has match, match_exact and match_urlpattern',
  },
  'body-too-slow': { status: 408, text: 'the body came too slowly' },
  'connection-lost': { status: 400, text: 'the connection was closed' },
  'field-too-long': { status: 413, text: 'a field is too long' },
  'forbidden-origin': { status: 400, text: 'the origin may not publish', challenge: 'invalid_request' },
  'insufficient-scope': {
    status: 403,
    text: 'the token does not grant this',
    challenge: 'insufficient_scope',
  },
  'invalid-credentials': { status: 400, text: 'malformed credentials', challenge: 'invalid_request' },
  'invalid-form': { status: 400, text: 'a field is not valid UTF-8' },
  'invalid-host': { status: 400, text: 'the request names more than one host' },
  'invalid-id': { status: 400, text: 'the id is not allowed' },
  'invalid-matcher': { status: 400, text: 'a matcher is not valid' },
  'invalid-retry': { status: 400, text: 'retry must be a number of milliseconds' },
  'invalid-token': { status: 401, text: 'the token was not accepted', challenge: 'invalid_token' },
  'invalid-topic': { status: 400, text: 'a topic is not allowed' },
  'invalid-type': { status: 400, text: 'the type is not allowed' },
  'keys-unavailable': { status: 503, text: 'the keys of the issuer cannot be read now', retryAfter: 5 },
  'matcher-too-long': { status: 400, text: 'a matcher is too long' },
  'matchers-too-heavy': { status: 400, text: 'the URL patterns are too complex in sum' },
  'method-not-allowed': { status: 405, text: 'the method is not allowed here' },
  misdirected: { status: 421, text: 'the hub does not answer on this origin' },
  'missing-matcher': { status: 400, text: 'a matcher is missing: match, match_exact or match_urlpattern' },
  'missing-token': { status: 401, text: 'a token is required', challenge: 'bare' },
  'missing-topic': { status: 400, text: 'the topic is missing' },
  'not-found': { status: 404, text: 'not found' },
  overloaded: { status: 503, text: 'the hub is short of memory', retryAfter: 5, closes: true },
  'reserved-topic': { status: 400, text: 'the topic is reserved for the hub' },
  'shutting-down': { status: 503, text: 'the hub is shutting down', retryAfter: 5 },
  'store-failed': { status: 500, text: 'the update could not be stored' },
  'store-full': { status: 503, text: 'the store is full', retryAfter: 30 },
  'store-unavailable': { status: 503, text: 'the store is not available', retryAfter: 5 },
  'too-many-fields': { status: 413, text: 'too many fields' },
  'too-many-matchers': { status: 400, text: 'too many matchers' },
  'too-many-parameters': { status: 400, text: 'too many parameters' },
  'too-many-patterns': { status: 429, text: 'too many URL patterns are in use', retryAfter: 30 },
  'too-many-publishes': { status: 429, text: 'too many publications', retryAfter: 1 },
  'too-many-subscribers': { status: 429, text: 'too many subscribers', retryAfter: 30, closes: true },
  'too-many-topics': { status: 413, text: 'too many topics' },
  'unknown-matcher': { status: 400, text: 'unknown matcher parameter' },
  'uploads-full': { status: 503, text: 'too many bodies are being received', retryAfter: 5 },
  'unsupported-media-type': { status: 400, text: 'the body must be application/x-www-form-urlencoded' },
} satisfies Record<ErrorCode, Answer>

/** The browser hardening fields that every answer carries (SEC-17). */
export const hardening = {
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
} as const

/** The circumstances of a refused request. */
export interface Refused {
  /** The protected resource metadata that every challenge points to (ERR-04); null when the hub validates no tokens. */
  readonly metadataUrl: string | null
  /** The name of the request, which the log has too; null where no request could be made out. */
  readonly requestId: string | null
  /** Whether the body says more than the fixed text. */
  readonly isExplained: boolean
}

/** Turns anything that was thrown into a response. A problem that is not the client's is a 500 without a word about it. */
export function errorResponse(error: unknown, { metadataUrl, requestId, isExplained }: Refused): Response {
  const headers = plainHeaders()
  if (requestId !== null) headers.set(requestIdField, requestId)
  const named = requestId === null ? '\n' : `\nrequest ${requestId}\n`
  if (!(error instanceof ProtocolError))
    return new Response(`internal error${named}`, { status: 500, headers })
  const answer: Answer = answers[error.code]
  if (answer.challenge !== undefined)
    headers.set('WWW-Authenticate', challenge(answer.challenge, metadataUrl))
  // HTTP/2 has no such field; the runtime leaves it out there (RFC 9113 section 8.2.2).
  if (answer.closes) headers.set('Connection', 'close')
  if (answer.retryAfter !== undefined) headers.set('Retry-After', String(answer.retryAfter))
  // The one text that is not fixed: without the origin nobody finds the setting.
  const text = error instanceof OriginRefusal ? error.text : answer.text
  const why = isExplained ? `: ${error.message}` : ''
  return new Response(`${text}${why}${named}`, { status: answer.status, headers })
}

/** The status of the answer to a refusal. */
export function statusOfRefusal(code: ErrorCode): number {
  return answers[code].status
}

function plainHeaders(): Headers {
  return new Headers({
    ...hardening,
    'Content-Type': 'text/plain; charset=utf-8',
    'Cache-Control': 'no-store',
    // A client of the 0.x generation has its token in the URL.
    'Referrer-Policy': 'no-referrer',
  })
}

/** RFC 6750 section 3 and RFC 9728 section 5.1; every value is quoted (ERR-08). */
function challenge(error: NonNullable<Answer['challenge']>, metadataUrl: string | null): string {
  const parameters: string[] = []
  if (error !== 'bare') parameters.push(`error="${error}"`)
  if (metadataUrl !== null) parameters.push(`resource_metadata="${metadataUrl.replace(/["\\]/g, '\\$&')}"`)
  return parameters.length === 0 ? 'Bearer' : `Bearer ${parameters.join(', ')}`
}
