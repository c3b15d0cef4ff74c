import type { Role } from '../auth/keys.ts'
import type { Identity } from '../protocol/grant.ts'
import type { Dialect } from './dialect.ts'

/** One request with what the edge knows about it. */
export interface Exchange {
  readonly request: Request
  readonly dialect: Dialect
  /** The origin under which the client reached the hub, as far as it can be told. */
  origin(): string
  /** The address of the client, or null where there is none (unix sockets). */
  address(): string | null
  /** Throws or rejects with `invalid-token` or `keys-unavailable`. */
  authenticate(token: string, role: Role): Identity | Promise<Identity>
  /** Closes the connection when nothing moves on it for so many seconds; 0 never does. */
  idleTimeout(seconds: number): void
}
