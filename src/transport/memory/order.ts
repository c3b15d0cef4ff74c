import type { Position } from '../../hub/transport.ts'
import type { Spot } from './shelf.ts'

/**
 * The entries that are kept in log order, and where each is. A dropped one leaves its slot behind until half of the slots
 * are such ones: constant cost per entry, and never more than twice the slots that the entries need.
 */
export class Order {
  #positions: Position[] = []
  #spots: (Spot | typeof NOWHERE)[] = []
  /** Everything before this slot is dropped. */
  #first = 0
  #count = 0
  #bytes = 0

  /** Entries kept. */
  get count(): number {
    return this.#count
  }

  /** Their bytes in sum, as retention counts them. */
  get bytes(): number {
    return this.#bytes
  }

  /** Where the oldest entry is, or null. */
  get oldest(): Spot | null {
    for (; this.#first < this.#spots.length; this.#first++) {
      const spot = this.#spots[this.#first] ?? NOWHERE
      if (spot !== NOWHERE) return spot
    }
    return null
  }

  /** Appends the position, which is later than all others. */
  add(position: Position, spot: Spot, bytes: number): void {
    this.#positions.push(position)
    this.#spots.push(spot)
    this.#count++
    this.#bytes += bytes
  }

  /** Where the entry is, or null when it is not kept. */
  find(position: Position): Spot | null {
    const slot = this.#slotAfter(position) - 1
    const spot = this.#positions[slot] === position ? this.#spots[slot] : undefined
    return spot === undefined || spot === NOWHERE ? null : spot
  }

  /** The entry, which is kept, is somewhere else now. */
  move(position: Position, spot: Spot): void {
    this.#spots[this.#slotAfter(position) - 1] = spot
  }

  /** Takes out an entry that is kept. */
  drop(position: Position, bytes: number): void {
    const isOldest = this.#positions[this.#first] === position
    this.#spots[isOldest ? this.#first : this.#slotAfter(position) - 1] = NOWHERE
    this.#count--
    this.#bytes -= bytes
    if (this.#positions.length < 2 * this.#count + SLOTS_MIN) return
    const spots = this.#spots
    this.#positions = this.#positions.filter((_, slot) => spots[slot] !== NOWHERE)
    this.#spots = spots.filter((one) => one !== NOWHERE)
    this.#first = 0
  }

  /** Where the entries after the position are, oldest first. */
  *after(position: Position): Generator<Spot> {
    for (let slot = this.#slotAfter(position); slot < this.#spots.length; slot++) {
      const spot = this.#spots[slot] ?? NOWHERE
      if (spot !== NOWHERE) yield spot
    }
  }

  /** Where the entries before the position are, newest first. */
  *before(position: Position): Generator<Spot> {
    for (let slot = this.#slotAfter((position - 1) as Position) - 1; slot >= this.#first; slot--) {
      const spot = this.#spots[slot] ?? NOWHERE
      if (spot !== NOWHERE) yield spot
    }
  }

  clear(): void {
    this.#positions = []
    this.#spots = []
    this.#first = 0
    this.#count = 0
    this.#bytes = 0
  }

  #slotAfter(position: Position): number {
    let low = this.#first
    let high = this.#positions.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#positions[middle] ?? 0) <= position) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** Where dropped entries are. */
const NOWHERE = -1

// Shorter lists are not worth the copy.
const SLOTS_MIN = 64
