import type { Database, Statement } from 'bun:sqlite'
import {
  type DatedEntry,
  type Entry,
  type Page,
  type PageLimit,
  type Position,
  START,
} from '../../hub/transport.ts'
import { ProtocolError } from '../../protocol/error.ts'
import type { Frame } from '../../protocol/event-stream.ts'
import { endsByAge, isExpired, type Retention, type Rule } from '../retention.ts'
import { Damage, isIntact } from './checksum.ts'
import { codeOf } from './refusal.ts'
import { earliestOf } from './schema.ts'

/** An entry without its frame. */
interface Row {
  readonly seq: number
  readonly at: number
  /** The index of its rule; null when no rule drops by age. */
  readonly rule: number | null
  readonly id: string
  readonly private: number
  readonly topics: string
  /** Bytes of the frame. */
  readonly length: number
}

/** The check that a reader makes before it reads, and the receiver of its reports. */
export interface ReaderHooks {
  /** Throws when the file must not be read. */
  readonly check: () => void
  /** Told when the file is not as the hub wrote it. */
  readonly onDamage: (problem: string) => void
}

/** Reads the history file in the hub's own thread: a page at a time, with nothing left open between two pages. */
export class SqliteReader {
  readonly #database: Database
  readonly #retention: Retention
  readonly #check: () => void
  readonly #onDamage: (problem: string) => void
  readonly #rows: Statement<Row, [number, number, number]>
  readonly #frames: Statement<{ frames: Uint8Array; sums: string }, [number, number]>
  readonly #backwards: Statement<{ seq: number; at: number; length: number }, [number, number, number]>
  readonly #earliest: ReturnType<typeof earliestOf>
  readonly #horizon: Statement<{ horizon: number; head: number; count: number }, []>
  readonly #next: Statement<{ seq: number; at: number }, [number]>
  readonly #place: Statement<{ at: number }, [number]>
  readonly #previous: Statement<{ seq: number }, [number, number, string]>
  /** The rules that drop by age: with them, the entries that are too old are not only those at the front. */
  readonly #ages: ReadonlyMap<number, Rule>

  constructor(database: Database, retention: Retention, { check, onDamage }: ReaderHooks) {
    database.run('PRAGMA query_only = 1')
    // Room for the index of 100,000 ids: after a restart every reader comes back with one.
    database.run('PRAGMA cache_size = -8192')
    this.#database = database
    this.#check = check
    this.#onDamage = onDamage
    this.#retention = retention
    this.#ages = new Map(
      [...(retention.rules ?? []).entries()].filter(([, rule]) => endsByAge(rule, retention)),
    )
    const rule = this.#ages.size === 0 ? 'NULL' : '(SELECT rule FROM ruled WHERE ruled.seq = entry.seq)'
    const columns = `seq, at, ${rule} AS rule`
    this.#rows = database.prepare(
      `SELECT ${columns}, id, private, topics, length(frame) AS length FROM entry
       WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?`,
    )
    this.#backwards = database.prepare(
      `SELECT seq, at, length(frame) AS length FROM entry WHERE seq < ? AND seq > ? ORDER BY seq DESC LIMIT ?`,
    )
    // SQLite joins blobs of any content as they are. With one value for each frame, the first 10,000 after a
    // start took twice the time.
    this.#frames = database.prepare(
      `SELECT CAST(group_concat(frame, '') AS BLOB) AS frames, json_group_array(sum) AS sums
       FROM (SELECT frame, sum FROM entry WHERE seq >= ? AND seq <= ? ORDER BY seq)`,
    )
    this.#place = database.prepare('SELECT at FROM place WHERE seq = ?')
    this.#previous = database.prepare(
      `SELECT seq FROM entry WHERE seq > ? AND seq <= ?
       AND NOT coalesce(${rule} IN (SELECT value FROM json_each(?)), 0) ORDER BY seq DESC LIMIT 1`,
    )
    this.#earliest = earliestOf(database)
    this.#horizon = database.prepare('SELECT horizon, head, count FROM state')
    this.#next = database.prepare('SELECT seq, at FROM entry WHERE seq >= ? ORDER BY seq LIMIT 1')
  }

  /**
   * The place of the earliest entry with this id, up to `head`, that is kept at `now` or that its rule dropped; null
   * when there is none. Throws `store-unavailable`.
   */
  find(id: string, head: Position, now: number): Position | null {
    return this.#reading(() => {
      for (let after = this.#floor(now); ; ) {
        const found = this.#earliest(id, after, head)
        const place = found === null ? null : this.#place.get(found)
        if (found === null || place === null || !isExpired(place.at, now, this.#retention)) {
          return found as Position | null
        }
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

  /** The newest entries before the position that are kept at `now`, newest first. Throws `store-unavailable`. */
  browse(before: Position, limit: PageLimit, now: number): readonly DatedEntry[] {
    return this.#reading(() => {
      const dates = new Map<number, number>()
      let bytes = 0
      let first: number = before
      for (const { seq, at, length } of this.#backwards.all(before, this.#floor(now), limit.entries)) {
        bytes += length
        if (dates.size > 0 && bytes > limit.bytes) break
        dates.set(seq, at)
        first = seq
      }
      const whole = { entries: limit.entries, bytes }
      const { entries } = this.#collect(first - 1, before - 1, whole, now)
      return entries.map((entry) => ({ ...entry, at: dates.get(entry.position) ?? now })).reverse()
    })
  }

  close(): void {
    this.#database.close(true)
  }

  #collect(after: number, until: number, limit: PageLimit, now: number): Page {
    const { rows, isLast, isBroken } = this.#run(after, until, limit, now)
    const [first, last] = [rows[0], rows.at(-1)]
    if (first === undefined || last === undefined) {
      if (isBroken) throw new Damage(after)
      return { entries: [], next: until as Position }
    }
    const { frames, sums } = this.#frames.get(first.seq, last.seq) ?? { frames: new Uint8Array(), sums: '[]' }
    const entries = toEntries(rows, frames, JSON.parse(sums))
    const lastSound = entries.at(-1)?.position ?? after
    if (entries.length === rows.length && !isBroken) {
      return { entries, next: (isLast ? until : last.seq) as Position }
    }
    // Entries before the damage are sound; the next page begins with the damage.
    if (entries.length === 0) throw new Damage(after)
    return { entries, next: lastSound as Position }
  }

  /**
   * The rows of a page: kept entries that follow each other in the log, so that their frames are one stretch of it.
   * The reader looks at rows in growing steps, so that few are in vain when large frames fill the page early. A damaged
   * page of the file may send the walk to any other: then the positions do not rise, or some are missing where no
   * program has ever taken an entry out.
   */
  #run(after: number, until: number, limit: PageLimit, now: number): Run {
    const run: Row[] = []
    const denseUntil = this.#denseUntil(after, until)
    let bytes = 0
    let last = after
    for (let step = ROWS_MIN; ; step *= 4) {
      // One row more than fits, to see that it does not fit.
      const wanted = Math.min(step, limit.entries - run.length + 1)
      const rows = this.#rows.all(last, until, wanted)
      for (const row of rows) {
        const isNext = denseUntil === null ? row.seq > last : row.seq === last + 1
        if (!isNext || row.seq > until) return { rows: run, isLast: false, isBroken: true }
        last = row.seq
        const isPast = this.#isPast(row, now)
        bytes += isPast ? 0 : row.length
        const isFull = isPast || run.length >= limit.entries || bytes > limit.bytes
        if (isFull && run.length > 0) return { rows: run, isLast: false, isBroken: false }
        if (!isPast) run.push(row)
      }
      if (rows.length < wanted) return { rows: run, isLast: true, isBroken: last < (denseUntil ?? 0) }
    }
  }

  /** The place up to which every number has an entry; null: rules or tools have taken some entries out. */
  #denseUntil(after: number, until: number): number | null {
    const { horizon, head, count } = this.#horizon.get() ?? { horizon: 0, head: 0, count: 0 }
    return head - horizon === count && after >= horizon ? Math.min(until, head) : null
  }

  /**
   * The newest sequence number that the limits of the whole dropped: the entry is deleted, or too old and waits for
   * its deletion. Ages only fall along the log, so the search halves.
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

  /** The end of the gap, not counting entries that a rule dropped. */
  #wholeUntil(horizon: number, gone: number): number {
    return this.#previous.get(horizon, gone, JSON.stringify([...this.#ages.keys()]))?.seq ?? horizon
  }

  /** Whether a rule ended the life of the entry by age, while it waits for its deletion. */
  #isPast({ at, rule: index }: Row, now: number): boolean {
    const rule = index === null ? undefined : this.#ages.get(index)
    return rule !== undefined && isExpired(at, now, rule)
  }

  #isGone(seq: number, now: number): boolean {
    const next = this.#retention.maxAgeMs === null ? null : this.#next.get(seq)
    return next !== null && isExpired(next.at, now, this.#retention)
  }

  /** One snapshot for all statements of an answer: the writer may drop entries in between. */
  #reading<T>(read: () => T): T {
    this.#check()
    try {
      return this.#database.transaction(read)()
    } catch (error) {
      const code = codeOf(error)
      const reason = code || (error instanceof Error ? error.message : 'unknown')
      // An error that is none of SQLite, such as topics that are no JSON, comes from damage as well.
      if (code === '' || code.startsWith('SQLITE_CORRUPT')) this.#onDamage(reason)
      throw new ProtocolError('store-unavailable', `the history cannot be read: ${reason}`, { cause: error })
    }
  }
}

interface Run {
  readonly rows: readonly Row[]
  /** Whether no entry is left after the run. */
  readonly isLast: boolean
  /** Whether the row after the run cannot be in its place. */
  readonly isBroken: boolean
}

/** The entries of the rows, whose frames are parts of one piece, up to the first that is not as it was stored. */
function toEntries(
  rows: readonly Row[],
  frames: Uint8Array,
  sums: readonly (number | null)[],
): readonly Entry[] {
  const entries: Entry[] = []
  let text = ''
  let topics: readonly string[] = []
  let offset = 0
  for (const [index, row] of rows.entries()) {
    const frame = frames.subarray(offset, offset + row.length) as Frame
    offset += row.length
    if (frame.length < row.length || !isIntact(row, frame, sums[index] ?? null)) break
    // Neighbours often have the same topics. They share the list, which also tells the hub that they do.
    if (row.topics !== text) {
      text = row.topics
      topics = JSON.parse(text)
    }
    entries.push({ position: row.seq as Position, id: row.id, topics, private: row.private === 1, frame })
  }
  return entries
}

// The rows of the first step. One look costs as much as ten rows.
const ROWS_MIN = 64
