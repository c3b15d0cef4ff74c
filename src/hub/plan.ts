import type { Identity } from '../protocol/grant.ts'
import { type Batch, READERS_BETWEEN_CLOCKS } from './batch.ts'
import type { Subscriber } from './subscriber.ts'
import { Trail } from './trail.ts'
import type { Entry } from './transport.ts'

/**
 * Entries of one turn, planned together: the plan first notes who gets which, then writes to each reader once.
 * Between the two it may rest; a reader keeps its list in `trail`.
 */
export class Plan implements Batch {
  readonly since: number
  readonly #root = Trail.root()
  readonly #readers: Subscriber[] = []
  /** The place of the first reader that the plan has not written to yet. */
  #next = 0
  #bytes = 0
  #count = 0

  constructor(since: number) {
    this.since = since
  }

  get count(): number {
    return this.#count
  }

  /** Bytes of the frames that were added. */
  get bytes(): number {
    return this.#bytes
  }

  /** Whether one more write with this entry in it still gains something. */
  hasRoomFor(entry: Entry): boolean {
    return this.#bytes + entry.frame.length <= PLAN_BYTES
  }

  /** Notes who gets the entry. `permitted`: whether an identity may read it; null: everybody may. */
  add(
    entry: Entry,
    groups: readonly Iterable<Subscriber>[],
    permitted: ((identity: Identity) => boolean) | null,
  ): void {
    this.#bytes += entry.frame.length
    for (const group of groups) {
      for (const reader of group) {
        const trail = reader.trail ?? this.#root
        // Several matchers or topics may lead to one reader, who gets the entry once (SUB-63).
        if (trail.entry === entry || entry.position <= reader.after) continue
        if (permitted !== null && !permitted(reader.identity)) continue
        if (reader.trail === null) this.#readers.push(reader)
        reader.trail = trail.to(entry)
        this.#count++
      }
    }
  }

  run(isOver: () => boolean): boolean {
    const readers = this.#readers
    while (this.#next < readers.length) {
      const end = Math.min(this.#next + READERS_BETWEEN_CLOCKS, readers.length)
      for (; this.#next < end; this.#next++) writeTo(readers[this.#next])
      if (this.#next < readers.length && isOver()) return false
    }
    return true
  }
}

/** More than this in one write to a reader gains nothing. */
const PLAN_BYTES = 256 * 1024

function writeTo(reader: Subscriber | undefined): void {
  if (reader === undefined || reader.trail === null) return
  const { frame } = reader.trail
  reader.trail = null
  if (reader.state === 'live') reader.sink.write(frame)
}
