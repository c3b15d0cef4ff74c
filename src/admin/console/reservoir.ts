/** A fair sample of a stream of unknown length: each item has the same chance to be in it (algorithm R). */
export class Reservoir<Item> {
  readonly #size: number
  readonly #random: () => number
  #items: Item[] = []
  #seen = 0

  /** `random`: numbers in [0, 1). */
  constructor(size: number, random: () => number) {
    this.#size = size
    this.#random = random
  }

  /** The place that the next item would have, or null when it is not chosen. Counts it. */
  next(): number | null {
    this.#seen++
    const place = this.#seen <= this.#size ? this.#seen - 1 : Math.floor(this.#random() * this.#seen)
    return place < this.#size ? place : null
  }

  put(place: number, item: Item): void {
    this.#items[place] = item
  }

  /** Takes the sample out, and begins anew. */
  take(): { readonly seen: number; readonly items: readonly Item[] } {
    const taken = { seen: this.#seen, items: this.#items }
    this.#seen = 0
    this.#items = []
    return taken
  }
}
