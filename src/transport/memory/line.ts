import type { Entry, Position } from '../../hub/transport.ts'

/** A place in the log, with what retention asks about it. */
export interface Place {
  readonly position: Position
  readonly at: number
  readonly bytes: number
  /** The index of its rule, or null. */
  readonly rule: number | null
  /** What stands there; null once it is dropped. */
  entry: Entry | null
}

/**
 * Places in log order, of which any may be dropped. A dropped one keeps its slot, without the entry, until half
 * of the slots are dropped ones: constant cost per entry, and never more than twice the slots that are needed.
 */
export class Line {
  #places: Place[] = []
  /** Everything before this index is dropped. */
  #first = 0
  #count = 0
  #bytes = 0

  /** Entries kept. */
  get count(): number {
    return this.#count
  }

  /** Their bytes in sum. */
  get bytes(): number {
    return this.#bytes
  }

  /** The place of the oldest entry that is kept, or null. */
  get oldest(): Place | null {
    while (this.#places[this.#first]?.entry === null) this.#first++
    return this.#places[this.#first] ?? null
  }

  /** Appends the place, which is later than all others. */
  add(place: Place): void {
    this.#places.push(place)
    this.#count++
    this.#bytes += place.bytes
  }

  /** Takes out a place of this line whose entry was just dropped. */
  drop({ bytes }: Place): void {
    this.#count--
    this.#bytes -= bytes
    if (this.#places.length < 2 * this.#count + SLOTS_MIN) return
    this.#places = this.#places.filter(({ entry }) => entry !== null)
    this.#first = 0
  }

  /** The entries after the position, oldest first. */
  *after(position: Position): Generator<Entry> {
    for (let index = this.#indexAfter(position); index < this.#places.length; index++) {
      const entry = this.#places[index]?.entry ?? null
      if (entry !== null) yield entry
    }
  }

  clear(): void {
    this.#places = []
    this.#first = 0
    this.#count = 0
    this.#bytes = 0
  }

  #indexAfter(position: Position): number {
    let low = this.#first
    let high = this.#places.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#places[middle]?.position ?? 0) <= position) low = middle + 1
      else high = middle
    }
    return low
  }
}

// Shorter lines are not worth the copy.
const SLOTS_MIN = 4
