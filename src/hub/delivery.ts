import type { Identity } from '../protocol/grant.ts'
import { type Batch, READERS_BETWEEN_CLOCKS } from './batch.ts'
import type { Subscriber } from './subscriber.ts'
import type { Entry } from './transport.ts'

/**
 * One entry that came alone, on its way to whoever it reaches. Each reader is looked at and written to at once,
 * since what is remembered between planning and writing is most of what a delivery costs beyond the kernel. It
 * may be left in the middle and taken up in a later turn: who has it or may not read it is seen by the position, who
 * ends meanwhile leaves the sets, who joins begins after the entry.
 */
export class Delivery implements Batch {
  readonly since: number
  readonly #entry: Entry
  readonly #groups: readonly Iterable<Subscriber>[]
  readonly #permitted: ((identity: Identity) => boolean) | null
  /** Readers that were written to. */
  count = 0

  /** `permitted`: who may read it; null: everybody. */
  constructor(
    since: number,
    entry: Entry,
    groups: readonly Iterable<Subscriber>[],
    permitted: ((identity: Identity) => boolean) | null,
  ) {
    this.since = since
    this.#entry = entry
    this.#groups = groups
    this.#permitted = permitted
  }

  /** `between`: readers that are looked at between two looks at the clock. */
  run(isOver: () => boolean, between = READERS_BETWEEN_CLOCKS): boolean {
    const { position, frame } = this.#entry
    const permitted = this.#permitted
    let seen = 0
    for (const group of this.#groups) {
      // A plain loop over the set: one that goes on with a kept iterator was slower by several percent.
      for (const reader of group) {
        // Several matchers or topics may lead to one reader, who gets the entry once (SUB-63).
        if (position <= reader.after || reader.isEnded) continue
        reader.after = position
        if (permitted === null || permitted(reader.identity)) {
          this.count++
          reader.sink.write(frame)
        }
        if (++seen % between === 0 && isOver()) return false
      }
    }
    return true
  }
}
