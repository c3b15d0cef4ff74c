import type { Database, Statement } from 'bun:sqlite'
import { isExpired, type Retention } from '../hub/retention.ts'
import { type Entry, type Page, type PageLimit, type Position, START } from '../hub/transport.ts'
import { ProtocolError } from '../protocol/error.ts'
import type { Frame } from '../protocol/event-stream.ts'
import { codeOf, keyOf, SELECT_EARLIEST } from './sqlite-schema.ts'

interface Row {
  readonly seq: number
  readonly id: string
  readonly private: number
  readonly topics: string
  readonly frame: Uint8Array
}

/** The history file as the hub's own thread reads it: a page at a time, and nothing left open between. */
export class SqliteReader {
  readonly #database: Database
  readonly #retention: Retention
  readonly #rows: Statement<Row, [number, number, number]>
  readonly #earliest: Statement<{ found: number }, [number, number, string, number]>
  readonly #horizon: Statement<{ horizon: number; head: number }, []>
  readonly #next: Statement<{ seq: number; at: number }, [number]>

  constructor(database: Database, retention: Retention) {
    database.run('PRAGMA query_only = 1')
    // The index of 100,000 ids: after a restart everybody comes back with one.
    database.run('PRAGMA cache_size = -8192')
    this.#database = database
    this.#retention = retention
    this.#rows = database.prepare(
      'SELECT seq, id, private, topics, frame FROM entry WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?',
    )
    this.#earliest = database.prepare(SELECT_EARLIEST)
    this.#horizon = database.prepare('SELECT horizon, head FROM state')
    this.#next = database.prepare('SELECT seq, at FROM entry WHERE seq >= ? ORDER BY seq LIMIT 1')
  }

  /** The earliest entry with this id, up to `head`, that is kept at `now`, or null. Throws `store-unavailable`. */
  find(id: string, head: Position, now: number): Position | null {
    return this.#reading(() => {
      const found = this.#earliest.get(this.#floor(now), head, id, keyOf(id))?.found ?? null
      return found === null || found > head ? null : (found as Position)
    })
  }

  /** Entries in (after, until] that are kept at `now`, or `lost`. Throws `store-unavailable`. */
  page(after: Position, until: Position, limit: PageLimit, now: number): Page | 'lost' {
    return this.#reading(() => {
      const floor = this.#floor(now)
      if (after !== START && after < floor) return 'lost'
      return this.#collect(Math.max(after, floor), Math.max(after, until), limit)
    })
  }

  close(): void {
    this.#database.close(true)
  }

  // The iterator ends with the loop, also when the page is full early: frames past it are never read.
  #collect(after: number, until: number, limit: PageLimit): Page {
    const entries: Entry[] = []
    let bytes = 0
    for (const row of this.#rows.iterate(after, until, limit.entries + 1)) {
      bytes += row.frame.length
      const isFull = entries.length >= limit.entries || bytes > limit.bytes
      const last = entries.at(-1)
      if (isFull && last !== undefined) return { entries, next: last.position }
      entries.push(toEntry(row))
    }
    return { entries, next: until as Position }
  }

  /**
   * The newest sequence number that is gone, by deletion or because its age is over while it waits for that.
   * Ages only fall along the log, so the boundary is found by halving.
   */
  #floor(now: number): number {
    const { horizon, head } = this.#horizon.get() ?? { horizon: 0, head: 0 }
    let gone = horizon
    let kept = this.#isGone(horizon + 1, now) ? head + 1 : horizon + 1
    while (kept - gone > 1) {
      const middle = Math.floor((gone + kept) / 2)
      if (this.#isGone(middle, now)) gone = middle
      else kept = middle
    }
    return gone
  }

  #isGone(seq: number, now: number): boolean {
    const next = this.#retention.maxAgeMs === null ? null : this.#next.get(seq)
    return next !== null && isExpired(next.at, now, this.#retention)
  }

  /** One snapshot for all statements of an answer: the writer may drop entries in between. */
  #reading<T>(read: () => T): T {
    try {
      return this.#database.transaction(read)()
    } catch (error) {
      const reason = codeOf(error) || 'unknown'
      throw new ProtocolError('store-unavailable', `the history cannot be read: ${reason}`, { cause: error })
    }
  }
}

function toEntry(row: Row): Entry {
  const topics: readonly string[] = JSON.parse(row.topics)
  return {
    position: row.seq as Position,
    id: row.id,
    topics,
    private: row.private === 1,
    frame: row.frame as Frame,
  }
}
