/** The field that names a request, in both directions. */
export const requestIdField = 'X-Request-Id'

/** Names requests: a prefix that no other process has, and a number. A random id for each would cost more than a frame. */
export class RequestIds {
  readonly #prefix: string
  #count = 0

  /** `prefix`: random letters and digits. */
  constructor(prefix: string) {
    this.#prefix = prefix
  }

  next(): string {
    return `${this.#prefix}-${(++this.#count).toString(36)}`
  }
}

/** The id that the field of the request has; null without one, and for one that is too long or too odd for a log. */
export function givenId(request: Request): string | null {
  const field = request.headers.get(requestIdField)
  return field !== null && /^[A-Za-z0-9._:+/=@-]{1,128}$/.test(field) ? field : null
}
