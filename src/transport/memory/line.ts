import type { Position } from '../../hub/transport.ts'
import type { Spot } from './shelf.ts'

/**
 * Some of the entries that are kept, in log order. It holds their positions only, and asks where one is: a dropped entry
 * keeps its slot until half of the slots belong to dropped ones.
 */
export class Line {
  readonly #find: (position: Position) => Spot | null
  #positions: Position[] = []
  /** Everything before this slot is dropped. */
  #first = 0
  #count = 0
  #bytes = 0

  constructor(find: (position: Position) => Spot | null) {
    this.#find = find
  }

  /** Entries kept. */
  get count(): number {
    return this.#count
  }

  /** Their bytes in sum. */
  get bytes(): number {
    return this.#bytes
  }

  /** Where the oldest of them is, or null. */
  get oldest(): Spot | null {
    for (; this.#first < this.#positions.length; this.#first++) {
      const position = this.#positions[this.#first]
      const spot = position === undefined ? null : this.#find(position)
      if (spot !== null) return spot
    }
    return null
  }

  /** Appends the position, which is later than all others. */
  add(position: Position, bytes: number): void {
    this.#positions.push(position)
    this.#count++
    this.#bytes += bytes
  }

  /** Notes that the past has just dropped one of its entries. */
  drop(bytes: number): void {
    this.#count--
    this.#bytes -= bytes
    if (this.#positions.length < 2 * this.#count + SLOTS_MIN) return
    this.#positions = this.#positions.filter((position) => this.#find(position) !== null)
    this.#first = 0
  }

  clear(): void {
    this.#positions = []
    this.#first = 0
    this.#count = 0
    this.#bytes = 0
  }
}

// Shorter lines are not worth the copy.
const SLOTS_MIN = 4
