import type { Database, Statement } from 'bun:sqlite'
import { endsByAge, isExpired, type Retention, type Rule } from '../hub/retention.ts'
import { type Entry, type Page, type PageLimit, type Position, START } from '../hub/transport.ts'
import { ProtocolError } from '../protocol/error.ts'
import type { Frame } from '../protocol/event-stream.ts'
import { codeOf, keyOf, SELECT_EARLIEST } from './sqlite-schema.ts'

interface Row {
  readonly seq: number
  readonly at: number
  /** The index of its rule; null when none drops by age. */
  readonly rule: number | null
  readonly id: string
  readonly private: number
  readonly topics: string
  readonly frame: Uint8Array
}

/** The history file as the hub's own thread reads it: a page at a time, and nothing left open between. */
export class SqliteReader {
  readonly #database: Database
  readonly #retention: Retention
  readonly #rows: Statement<Row, [number, number]>
  readonly #earliest: Statement<{ found: number }, [number, number, string, number]>
  readonly #horizon: Statement<{ horizon: number; head: number }, []>
  readonly #next: Statement<{ seq: number; at: number }, [number]>
  readonly #place: Statement<Place, [number]>
  readonly #previous: Statement<{ seq: number }, [number, number, string]>
  /** The rules that drop by age: what is left of the log then is not what is left of its front. */
  readonly #ages: ReadonlyMap<number, Rule>

  constructor(database: Database, retention: Retention) {
    database.run('PRAGMA query_only = 1')
    // The index of 100,000 ids: after a restart everybody comes back with one.
    database.run('PRAGMA cache_size = -8192')
    this.#database = database
    this.#retention = retention
    this.#ages = new Map(
      [...(retention.rules ?? []).entries()].filter(([, rule]) => endsByAge(rule, retention)),
    )
    const rule = this.#ages.size === 0 ? 'NULL' : '(SELECT rule FROM ruled WHERE ruled.seq = entry.seq)'
    const columns = `seq, at, ${rule} AS rule`
    this.#rows = database.prepare(
      `SELECT ${columns}, id, private, topics, frame FROM entry WHERE seq > ? AND seq <= ? ORDER BY seq`,
    )
    this.#place = database.prepare(`SELECT ${columns} FROM entry WHERE seq = ?`)
    this.#previous = database.prepare(
      `SELECT seq FROM entry WHERE seq > ? AND seq <= ?
       AND NOT coalesce(${rule} IN (SELECT value FROM json_each(?)), 0) ORDER BY seq DESC LIMIT 1`,
    )
    this.#earliest = database.prepare(SELECT_EARLIEST)
    this.#horizon = database.prepare('SELECT horizon, head FROM state')
    this.#next = database.prepare('SELECT seq, at FROM entry WHERE seq >= ? ORDER BY seq LIMIT 1')
  }

  /** The earliest entry with this id, up to `head`, that is kept at `now`, or null. Throws `store-unavailable`. */
  find(id: string, head: Position, now: number): Position | null {
    return this.#reading(() => {
      for (let after = this.#floor(now); ; ) {
        const found = this.#earliest.get(after, head, id, keyOf(id))?.found ?? null
        if (found === null || found > head) return null
        if (!this.#isPast(this.#place.get(found), now)) return found as Position
        after = found
      }
    })
  }

  /** Entries in (after, until] that are kept at `now`, or `lost`. Throws `store-unavailable`. */
  page(after: Position, until: Position, limit: PageLimit, now: number): Page | 'lost' {
    return this.#reading(() => {
      const floor = this.#floor(now)
      if (after !== START && after < floor) return 'lost'
      return this.#collect(Math.max(after, floor), Math.max(after, until), limit, now)
    })
  }

  close(): void {
    this.#database.close(true)
  }

  // The iterator ends with the loop, also when the page is full early: frames past it are never read.
  #collect(after: number, until: number, limit: PageLimit, now: number): Page {
    const entries: Entry[] = []
    let bytes = 0
    for (const row of this.#rows.iterate(after, until)) {
      if (this.#isPast(row, now)) continue
      bytes += row.frame.length
      const isFull = entries.length >= limit.entries || bytes > limit.bytes
      const last = entries.at(-1)
      if (isFull && last !== undefined) return { entries, next: last.position }
      entries.push(toEntry(row))
    }
    return { entries, next: until as Position }
  }

  /**
   * The newest sequence number that the limits of the whole made go, by deletion or because its age is over
   * while it waits for that. Ages only fall along the log, so the boundary is found by halving.
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
    return this.#ages.size === 0 || gone === horizon ? gone : this.#wholeUntil(horizon, gone)
  }

  /** Without the newest ones that their rules made go before. */
  #wholeUntil(horizon: number, gone: number): number {
    return this.#previous.get(horizon, gone, JSON.stringify([...this.#ages.keys()]))?.seq ?? horizon
  }

  /** Whether a rule ended the life of the entry by age, while it waits for its deletion. */
  #isPast(place: Place | null, now: number): boolean {
    const rule = place === null || place.rule === null ? undefined : this.#ages.get(place.rule)
    return place !== null && rule !== undefined && isExpired(place.at, now, rule)
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

type Place = Pick<Row, 'seq' | 'at' | 'rule'>

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
