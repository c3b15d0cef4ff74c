import { ProtocolError } from '../protocol/error.ts'

/**
 * A token bucket per holder of a publisher token: `perSecond` publications on average, and a burst of as many
 * at once. Buckets that are full again say nothing and are dropped, so the table stays as small as the
 * number of holders that published within a second.
 */
export class PublishRate {
  readonly #perSecond: number
  readonly #clock: () => number
  readonly #buckets = new Map<string, Bucket>()
  #sweepAt: number

  /** `perSecond` 0 is no limit. `clock`: milliseconds that never go back. */
  constructor(perSecond: number, clock: () => number) {
    this.#perSecond = perSecond
    this.#clock = clock
    this.#sweepAt = clock() + 1000
  }

  /** The number of holders in the table, for the gauge. */
  get size(): number {
    return this.#buckets.size
  }

  /** Takes one publication from the holder's bucket. Throws `too-many-publishes` when it is empty. */
  take(holder: string | null): void {
    if (this.#perSecond === 0 || holder === null) return
    const now = this.#clock()
    if (now >= this.#sweepAt) this.#sweep(now)
    const tokens = this.#tokens(this.#buckets.get(holder), now)
    if (tokens < 1) throw new ProtocolError('too-many-publishes', 'the token publishes too often')
    this.#buckets.set(holder, { tokens: tokens - 1, at: now })
  }

  #tokens(bucket: Bucket | undefined, now: number): number {
    if (bucket === undefined) return this.#burst
    return Math.min(this.#burst, bucket.tokens + ((now - bucket.at) * this.#perSecond) / 1000)
  }

  get #burst(): number {
    return Math.max(1, this.#perSecond)
  }

  #sweep(now: number): void {
    this.#sweepAt = now + 1000
    for (const [holder, bucket] of this.#buckets) {
      if (this.#tokens(bucket, now) >= this.#burst) this.#buckets.delete(holder)
    }
  }
}

interface Bucket {
  readonly tokens: number
  readonly at: number
}
