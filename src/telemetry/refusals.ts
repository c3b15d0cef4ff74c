import type { Loop } from '../hub/loop.ts'
import type { RefusalFacts } from '../protocol/error.ts'
import type { Log, LogFields } from './log.ts'

/** One refused request, for an operator. It has no token, no key, no payload and no query. */
export interface Refusal extends RefusalFacts {
  /** The code of the refusal, of a closed set. */
  readonly code: string
  readonly status: number
  /** The address of the client; null on a Unix socket. */
  readonly address: string | null
  /** The name of the request, which its answer has too. */
  readonly request: string
}

/**
 * Says why requests are refused: each at debug, and at info a line for the first of a reason, then one a minute with
 * the number of those that came since and one of them as an example. Reasons are a closed set, so the memory is bounded.
 */
export class Refusals {
  readonly #log: Log
  readonly #loop: Loop
  /** By reason, while its minute has not passed. */
  readonly #waiting = new Map<string, Waiting>()

  constructor(log: Log, loop: Loop) {
    this.#log = log
    this.#loop = loop
  }

  add(refusal: Refusal): void {
    this.#log.debug('request refused', fieldsOf(refusal))
    const reason = reasonOf(refusal)
    const waiting = this.#waiting.get(reason)
    if (waiting === undefined) {
      this.#tell(1, refusal)
      this.#waiting.set(reason, { count: 0, example: null })
      this.#loop.delay(APART_MS, () => this.#report(reason))
      return
    }
    waiting.count++
    waiting.example = refusal
  }

  #report(reason: string): void {
    const { count = 0, example = null } = this.#waiting.get(reason) ?? {}
    if (example === null) {
      this.#waiting.delete(reason)
      return
    }
    this.#tell(count, example)
    this.#waiting.set(reason, { count: 0, example: null })
    this.#loop.delay(APART_MS, () => this.#report(reason))
  }

  #tell(count: number, example: Refusal): void {
    this.#log.info('requests refused', { count, ...fieldsOf(example) })
  }
}

interface Waiting {
  count: number
  /** The latest. */
  example: Refusal | null
}

const APART_MS = 60_000

/** `invalid-token (audience)`, or the code alone. */
function reasonOf({ code, reason }: Refusal): string {
  return reason === undefined ? code : `${code} (${reason})`
}

function fieldsOf(refusal: Refusal): LogFields {
  const { status, address, issuer, expected, seen, request } = refusal
  return {
    reason: reasonOf(refusal),
    status,
    address: address ?? 'a Unix socket',
    ...(issuer !== undefined && { issuer }),
    ...(expected !== undefined && { expected }),
    ...(seen !== undefined && { seen }),
    request,
  }
}
