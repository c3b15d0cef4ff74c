import type { Update } from '../protocol/update.ts'
import type { Subscriber } from './subscriber.ts'
import type { Entry, Position } from './transport.ts'

/**
 * Follows single updates and subscribers on their way through the hub, for traces. A hub without one compares with
 * null at each of these places and does nothing. None of its methods may throw.
 */
export interface Witness {
  /** The update goes into the log under this id. Answers who hears of its end; null: nobody follows the update. */
  appending(update: Update, id: string): Passage | null
  /** An entry of any node came out of the log. */
  received(entry: Entry): void
  /** The hub has written all entries up to this position to the live readers; `deliveries` are those of the last turn. */
  delivered(through: Position, deliveries: number): void
  /** The hub has written entries of the past to a subscriber that catches up. */
  replayed(subscriber: Subscriber, entries: number): void
  /** The subscriber has caught up and is live. */
  caughtUp(subscriber: Subscriber): void
  ended(subscriber: Subscriber): void
  /** The tail lost its place: the hub will not deliver what it has received and not delivered. */
  lost(): void
}

/** One update on its way into the log. */
export interface Passage {
  /** The log keeps it as it promises. */
  stored(): void
  /** The log refused it; `problem` is for the operator. */
  failed(problem: string): void
}
