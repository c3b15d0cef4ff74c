import type { Position } from '../../hub/transport.ts'
import type { Kept } from '../retention.ts'

/** The place of an entry that its rule dropped. */
export interface DroppedPlace extends Kept {
  readonly position: Position
  readonly id: string
}

/** The places of dropped entries in log order. The log forgets them from the front alone. */
export class Places {
  #places: DroppedPlace[] = []
  /** Everything before this index is forgotten. */
  #first = 0
  #bytes = 0

  get count(): number {
    return this.#places.length - this.#first
  }

  /** The bytes of all places in sum. */
  get bytes(): number {
    return this.#bytes
  }

  get oldest(): DroppedPlace | null {
    return this.#places[this.#first] ?? null
  }

  /** Rules drop entries in any order; mostly the place is one of the newest. */
  add(place: DroppedPlace): void {
    this.#places.splice(this.#indexOf(place.position), 0, place)
    this.#bytes += place.bytes
  }

  /** The place of the position, or null. */
  find(position: Position): DroppedPlace | null {
    const place = this.#places[this.#indexOf(position)]
    return place?.position === position ? place : null
  }

  /** Forgets the oldest place. */
  forgetOldest(): void {
    this.#bytes -= this.oldest?.bytes ?? 0
    this.#first = Math.min(this.#first + 1, this.#places.length)
    if (this.#first < this.#places.length / 2) return
    this.#places = this.#places.slice(this.#first)
    this.#first = 0
  }

  clear(): void {
    this.#places = []
    this.#first = 0
    this.#bytes = 0
  }

  /** Where the position is, or would be. */
  #indexOf(position: Position): number {
    let low = this.#first
    let high = this.#places.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#places[middle]?.position ?? 0) < position) low = middle + 1
      else high = middle
    }
    return low
  }
}
