import type { Identity } from '../protocol/grant.ts'
import { type Batch, READERS_BETWEEN_CLOCKS } from './batch.ts'
import type { Subscriber } from './subscriber.ts'
import type { Entry } from './transport.ts'

/**
 * One entry that came alone, on its way to its readers. It looks at each reader and writes at once, since the notes
 * between planning and writing are most of the cost of a delivery beyond the kernel. It may stop in the middle and go
 * on in a later turn: the position shows which readers have the entry or may not read it, a reader who ends meanwhile
 * leaves the sets, and one who joins begins after the entry.
 */
export class Delivery implements Batch {
  readonly since: number
  readonly #entry: Entry
  readonly #groups: readonly Iterable<Subscriber>[]
  readonly #permitted: ((identity: Identity) => boolean) | null
  /** The number of readers written to. */
  count = 0

  /** `permitted`: whether an identity may read the entry; null: everybody may. */
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

  /** `between`: the number of readers between two looks at the clock. */
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
