import type { Database, Statement } from 'bun:sqlite'
import { type Amount, exceeds, isExpired, type Limits, minus, placeLimits, plus } from '../retention.ts'
import { INSERT_PLACE } from './schema.ts'
import { placeBytes } from './size.ts'

/**
 * The places of entries that rules dropped, as the writer sees them. The table counts their number and bytes at the
 * first use and then keeps both up to date in memory. Every method runs inside a transaction and throws what SQLite
 * throws.
 */
export class PlaceTable {
  readonly #limits: Limits
  readonly #sum: Statement<Amount, []>
  readonly #insert: Statement
  readonly #oldest: Statement<PlaceRow, []>
  readonly #delete: Statement
  #held: Amount | null = null

  constructor(database: Database, whole: Limits) {
    this.#limits = placeLimits(whole)
    this.#sum = database.prepare('SELECT count(*) AS count, coalesce(sum(bytes), 0) AS bytes FROM place')
    this.#insert = database.prepare(INSERT_PLACE)
    this.#oldest = database.prepare('SELECT seq, at, bytes FROM place ORDER BY seq LIMIT 1')
    this.#delete = database.prepare('DELETE FROM place WHERE seq <= ?')
  }

  /** The number of places, and their stored bytes in sum. */
  get held(): Amount {
    this.#held ??= this.#sum.get() ?? { count: 0, bytes: 0 }
    return this.#held
  }

  /** Whether there are more than their limits by count and bytes allow. */
  get isOver(): boolean {
    return exceeds(this.held, this.#limits)
  }

  /** Remembers the place of an entry that is about to be dropped, while there is room for places. */
  keep(seq: number, id: string): void {
    const { held } = this
    const bytes = placeBytes(Buffer.byteLength(id))
    this.#insert.run(seq, bytes)
    this.#held = plus(held, { bytes })
    this.cut()
  }

  /** Forgets the oldest places until the rest is within their limits by count and bytes. */
  cut(): void {
    while (this.isOver) {
      const oldest = this.#oldest.get()
      if (oldest === null) throw new Error('the history holds fewer places than it counts')
      this.forgetUntil(oldest.seq, { count: 1, bytes: oldest.bytes })
    }
  }

  /** Whether there is a place that is too old. */
  mayExpire(now: number): boolean {
    const oldest = this.#oldest.get()
    return oldest !== null && isExpired(oldest.at, now, this.#limits)
  }

  /** Forgets the places up to this one, `amount` in sum. */
  forgetUntil(seq: number, amount: Amount): void {
    const { held } = this
    this.#delete.run(seq)
    this.#held = minus(held, amount)
  }

  /** The sum is no longer what the file says: another program changed it, or a transaction failed. */
  recount(): void {
    this.#held = null
  }
}

interface PlaceRow {
  readonly seq: number
  readonly at: number
  readonly bytes: number
}
