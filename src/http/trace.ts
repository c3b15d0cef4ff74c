import type { Subscriber } from '../hub/subscriber.ts'
import type { Update } from '../protocol/update.ts'

/** Begins traces of requests. */
export interface RequestTracer {
  /** `name`: the way by which the request is answered. Answers null for a request that nobody follows. */
  begin(name: string, request: Request): RequestTrace | null
}

/** The trace of one request. */
export interface RequestTrace {
  /** The hub is asked to store this update. */
  publishes(update: Update): void
  /** The hub brings this subscriber from its cursor to the head. */
  replays(subscriber: Subscriber): void
  /** The request is answered with this status; a stream has begun. */
  answered(status: number): void
}
