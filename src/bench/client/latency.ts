/** Times of a run, counted in buckets that are 3 % wide at most: nothing is allocated per value. */
export class Latency {
  readonly #counts = new Uint32Array(SUB * 40)
  #total = 0
  #maxUs = 0

  get count(): number {
    return this.#total
  }

  /** A time in microseconds. */
  record(us: number): void {
    const value = us > 0 ? Math.floor(us) : 0
    this.#counts[indexOf(value)] = (this.#counts[indexOf(value)] ?? 0) + 1
    this.#total++
    if (value > this.#maxUs) this.#maxUs = value
  }

  /** The time in milliseconds that this share of the values does not exceed; NaN when there are none. */
  percentile(share: number): number {
    if (this.#total === 0) return Number.NaN
    const wanted = Math.max(1, Math.ceil(share * this.#total))
    let seen = 0
    for (const [index, count] of this.#counts.entries()) {
      seen += count
      if (seen >= wanted) return Math.min(this.#maxUs, middleOf(index)) / 1000
    }
    return this.#maxUs / 1000
  }

  /** The longest time in milliseconds; NaN when there are none. */
  get max(): number {
    return this.#total === 0 ? Number.NaN : this.#maxUs / 1000
  }

  clear(): void {
    this.#counts.fill(0)
    this.#total = 0
    this.#maxUs = 0
  }
}

// 64 buckets per power of two: values below 64 have one each.
const SUB = 64
const SUB_BITS = 6

function indexOf(value: number): number {
  if (value < SUB) return value
  const exponent = Math.floor(Math.log2(value)) - SUB_BITS + 1
  return Math.min(SUB * 40 - 1, SUB * exponent + Math.floor(value / 2 ** exponent))
}

function middleOf(index: number): number {
  const exponent = Math.floor(index / SUB)
  return exponent === 0 ? index : ((index % SUB) + 0.5) * 2 ** exponent
}
