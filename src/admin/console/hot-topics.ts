/** A topic that is counted. */
export interface HotTopic {
  readonly topic: string
  count: number
  /** Bytes of its updates that were seen, in sum, and their number. */
  bytes: number
  updates: number
}

/**
 * Counts topics in bounded memory, by the method of space saving: a topic that is not counted takes the place of the
 * rarest, with the count of that and one more. Every topic with more than a thousandth of all updates is counted.
 */
export class HotTopics {
  readonly #max: number
  readonly #topics = new Map<string, HotTopic>()
  /** Topics that had the lowest count when it was looked for last. */
  #rarest: HotTopic[] = []
  #updates = 0
  #displaced = 0

  constructor(max = 1000) {
    this.#max = max
  }

  /** The number of all updates. */
  get updates(): number {
    return this.#updates
  }

  /** The number of topics that are counted, and of times that one lost its place. */
  get size(): { readonly counted: number; readonly displaced: number } {
    return { counted: this.#topics.size, displaced: this.#displaced }
  }

  add(topic: string, bytes: number): void {
    this.#updates++
    const known = this.#topics.get(topic)
    if (known !== undefined) {
      known.count++
      known.bytes += bytes
      known.updates++
      return
    }
    const count = this.#topics.size < this.#max ? 0 : this.#displace()
    this.#topics.set(topic, { topic, count: count + 1, bytes, updates: 1 })
  }

  hottest(many: number): readonly HotTopic[] {
    return [...this.#topics.values()].sort((left, right) => right.count - left.count).slice(0, many)
  }

  /** Takes the rarest topic out. One search serves all that share the lowest count. */
  #displace(): number {
    for (;;) {
      const rarest = this.#rarest.pop()
      if (rarest === undefined) this.#search()
      else if (rarest.count === this.#lowest && this.#topics.get(rarest.topic) === rarest) {
        this.#topics.delete(rarest.topic)
        this.#displaced++
        return rarest.count
      }
    }
  }

  #lowest = 0

  #search(): void {
    this.#lowest = Number.POSITIVE_INFINITY
    for (const one of this.#topics.values()) {
      if (one.count > this.#lowest) continue
      if (one.count < this.#lowest) this.#rarest = []
      this.#lowest = one.count
      this.#rarest.push(one)
    }
  }
}
