/**
 * Every refusal that a client can cause, as one closed set.
 * The HTTP status, challenge and body of each are in the table of `http/error.ts`, which does not compile
 * until a new code has its answer there.
 */
export type ErrorCode =
  | 'announcement-too-large'
  | 'body-too-large'
  | 'earlier-matcher'
  | 'body-too-slow'
  | 'connection-lost'
  | 'field-too-long'
  | 'forbidden-origin'
  | 'insufficient-scope'
  | 'invalid-credentials'
  | 'invalid-form'
  | 'invalid-host'
  | 'invalid-id'
  | 'invalid-matcher'
  | 'invalid-retry'
  | 'invalid-token'
  | 'invalid-topic'
  | 'invalid-type'
  | 'keys-unavailable'
  | 'matcher-too-long'
  | 'matchers-too-heavy'
  | 'method-not-allowed'
  | 'misdirected'
  | 'missing-matcher'
  | 'missing-token'
  | 'missing-topic'
  | 'not-found'
  | 'overloaded'
  | 'reserved-topic'
  | 'shutting-down'
  | 'store-failed'
  | 'store-full'
  | 'store-unavailable'
  | 'too-many-fields'
  | 'too-many-matchers'
  | 'too-many-parameters'
  | 'too-many-patterns'
  | 'too-many-publishes'
  | 'too-many-subscribers'
  | 'too-many-topics'
  | 'unknown-matcher'
  | 'unsupported-media-type'
  | 'uploads-full'

/** Wrong input. The message helps the operator and never holds a token, a key or a payload. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError'
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }

  /** The circumstances beyond the code; none where the code says it all. */
  get facts(): RefusalFacts {
    return {}
  }
}

/**
 * The circumstances of a refusal, for an operator. But for `reason` and `expected` they are words of the client, quoted,
 * escaped and cut. None holds a token, a key or a payload.
 */
export interface RefusalFacts {
  /** A narrower reason than the code, of a closed set. */
  readonly reason?: string
  readonly issuer?: string
  readonly expected?: string
  readonly seen?: string
}
