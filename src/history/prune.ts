import type { Database } from 'bun:sqlite'
import { type Amount, mayDrop, type Retention } from '../transport/retention.ts'
import { INSERT_PLACE, isOlder, readAnchor } from '../transport/sqlite/schema.ts'
import { placeBytes } from '../transport/sqlite/size.ts'
import { changing, type Pause, reading, writing } from './file.ts'
import { type EntryOutline, outlines, outlinesBackwards } from './pages.ts'
import { isFull, noRoomFor, reuseJournal } from './room.ts'

/** The limits of a prune and the entries that it looks at. */
export interface PruneOptions {
  /** The limits for the entries that match, or for all. */
  readonly keep: Retention
  /** Whether the prune is for an entry with these topics; null: for every entry. */
  readonly matches: ((topics: readonly string[]) => boolean) | null
  /** Milliseconds since the epoch. */
  readonly now: number
  /** Whether the prune only counts. */
  readonly isDryRun: boolean
  readonly pause: Pause
}

/**
 * Drops the entries over the limits, beside a running hub, and answers their amount. Entries that a hub drops or
 * appends meanwhile do not change which ones the prune drops. Throws HistoryProblem.
 */
export function pruneHistory(path: string, options: PruneOptions): Promise<Amount> {
  if (options.isDryRun) return reading(path, (database) => countDoomed(database, options))
  return changing(path, (database) => dropDoomed(database, path, options))
}

function countDoomed(database: Database, options: PruneOptions): Amount {
  let sum: Amount = { count: 0, bytes: 0 }
  for (const page of outlines(database, newestDoomed(database, options))) {
    for (const { bytes } of chosen(page, options)) sum = { count: sum.count + 1, bytes: sum.bytes + bytes }
  }
  return sum
}

async function dropDoomed(database: Database, path: string, options: PruneOptions): Promise<Amount> {
  // Before anything is added to it: what a full disk has left is needed for the file.
  reuseJournal(database)
  const dropping = new Dropping(database, path)
  for (const page of outlines(database, newestDoomed(database, options), TRANSACTION_ROWS)) {
    await dropping.dropAll(chosen(page, options), options)
  }
  return dropping.dropped
}

/**
 * The newest entry that has to go: all matching entries up to it go too. The search runs from the newest
 * entry backwards, because at that end a hub only appends meanwhile.
 */
function newestDoomed(database: Database, options: PruneOptions): number {
  const now = options.now - readAnchor(database).wallOffset
  let kept: Amount = { count: 0, bytes: 0 }
  for (const page of outlinesBackwards(database)) {
    for (const entry of chosen(page, options)) {
      const held = { count: kept.count + 1, bytes: kept.bytes + entry.bytes }
      if (mayDrop(entry, held, now, options.keep)) return entry.seq
      kept = held
    }
  }
  return 0
}

function chosen(page: readonly EntryOutline[], { matches }: PruneOptions): readonly EntryOutline[] {
  return matches === null ? page : page.filter(({ topics }) => matches(topics))
}

/**
 * Deletes entries and keeps the books of the log as a whole in the same transaction. On a full disk it works within what
 * is free: in small transactions, each in the room of the journal that the one before has left.
 */
class Dropping {
  readonly #database: Database
  readonly #path: string
  /** Entries of one transaction at most: fewer once one did not fit on the disk. */
  #rows = TRANSACTION_ROWS
  /** False in a file of an older version. */
  readonly #hasPlaces: boolean
  #dropped: Amount = { count: 0, bytes: 0 }

  constructor(database: Database, path: string) {
    this.#database = database
    this.#path = path
    this.#hasPlaces = !isOlder(database)
  }

  get dropped(): Amount {
    return this.#dropped
  }

  /** Drops these entries. Throws HistoryProblem when there is not even room for the smallest step. */
  async dropAll(doomed: readonly EntryOutline[], { matches, pause }: PruneOptions): Promise<void> {
    for (let done = 0; done < doomed.length; ) {
      const some = doomed.slice(done, done + this.#rows)
      if (!this.#tryDropping(some, matches === null)) continue
      done += some.length
      await pause()
    }
  }

  /**
   * Whether there was room; the next attempt is a smaller one. `isFront`: nothing older is left, so a reader that has not
   * come this far must be told.
   */
  #tryDropping(doomed: readonly EntryOutline[], isFront: boolean): boolean {
    try {
      const gone = writing(this.#database, () => this.#delete(doomed, isFront))
      const { count, bytes } = this.#dropped
      this.#dropped = { count: count + gone.count, bytes: bytes + gone.bytes }
    } catch (error) {
      if (!isFull(error)) throw error
      if (this.#rows === 1) throw noRoomFor('prune', this.#path, this.#database)
      this.#rows = Math.ceil(this.#rows / SMALLER)
      reuseJournal(this.#database)
      return false
    }
    if (this.#rows < TRANSACTION_ROWS) reuseJournal(this.#database)
    return true
  }

  #delete(doomed: readonly EntryOutline[], isFront: boolean): Amount {
    let gone: Amount = { count: 0, bytes: 0 }
    const remove = this.#database.query<{ bytes: number }, [number]>(
      'DELETE FROM entry WHERE seq = ? RETURNING bytes',
    )
    for (const { seq } of doomed) {
      // A place takes room, where there is hardly any.
      if (!isFront && this.#rows === TRANSACTION_ROWS) this.#keepPlace(seq)
      // The hub may have dropped it since the page was read.
      const row = remove.get(seq)
      if (row !== null) gone = { count: gone.count + 1, bytes: gone.bytes + row.bytes }
    }
    const horizon = isFront ? (doomed.at(-1)?.seq ?? 0) : 0
    if (this.#hasPlaces) this.#database.query('DELETE FROM place WHERE seq <= ?').run(horizon)
    this.#database
      .query('UPDATE state SET count = count - ?, bytes = bytes - ?, horizon = max(horizon, ?)')
      .run(gone.count, gone.bytes, horizon)
    return gone
  }

  /** Keeps the place of an entry: a reader that comes back with its id goes on from there, as after a rule's drop. */
  #keepPlace(seq: number): void {
    if (!this.#hasPlaces) return
    const row = this.#database.query<{ id: string }, [number]>('SELECT id FROM entry WHERE seq = ?').get(seq)
    if (row !== null) this.#database.query(INSERT_PLACE).run(seq, placeBytes(Buffer.byteLength(row.id)))
  }
}

// How much smaller an attempt is than the one before, for which the disk had no room.
const SMALLER = 4

// Deleting this number of rows takes about 2 ms, for which the hub's next commit waits.
const TRANSACTION_ROWS = 256
