import type { Database } from 'bun:sqlite'
import { isIntact } from '../transport/sqlite/checksum.ts'
import { codeOf } from '../transport/sqlite/refusal.ts'
import { readAnchor, readState } from '../transport/sqlite/schema.ts'
import type { Take } from './export.ts'
import { type EntryRow, type StoredEntry, selectEntries, toEntry } from './pages.ts'
import { rescuing } from './rescue.ts'

/** The entries that a salvage could not read. */
export interface Losses {
  /** Ranges of sequence numbers in order, each with its first and last. */
  readonly ranges: readonly (readonly [first: number, last: number])[]
  /** The number of entries that the history says it holds and that were not read; null when it cannot say. */
  readonly entries: number | null
}

/**
 * Hands out every entry of a damaged file that can be read and that `isSound` accepts. Writes nothing to
 * the file. Throws HistoryProblem when not even the extent of the log can be read.
 */
export function salvageHistory(
  path: string,
  isSound: (entry: StoredEntry) => boolean,
  take: Take,
): Promise<Losses> {
  return rescuing(path, async (database) => {
    const extent = findExtent(database)
    const salvage = new Salvage(database, isSound, take)
    for (let after = extent.horizon; after < extent.head; after += STRETCH) {
      await salvage.stretch(after, Math.min(after + STRETCH, extent.head))
    }
    const lost = extent.count === null ? null : Math.max(0, extent.count - salvage.saved)
    return { ranges: salvage.lost, entries: lost }
  })
}

/** Reads stretches of the log; where one cannot be read it is halved, down to single entries. */
class Salvage {
  readonly #statement: ReturnType<typeof prepareEntries>
  readonly #isSound: (entry: StoredEntry) => boolean
  readonly #take: Take
  readonly #wallOffset: number
  readonly lost: [number, number][] = []
  saved = 0

  constructor(database: Database, isSound: (entry: StoredEntry) => boolean, take: Take) {
    this.#statement = prepareEntries(database)
    this.#isSound = isSound
    this.#take = take
    this.#wallOffset = findWallOffset(database)
  }

  /** Hands out every entry in (after, until] that can be read. */
  async stretch(after: number, until: number): Promise<void> {
    const { rows, end } = this.#read(after, until)
    if (rows.length > 0) await this.#take(rows)
    if (end === until) return
    const middle = Math.floor((end + until) / 2)
    if (until - end === 1) this.#lose(until)
    else {
      await this.stretch(end, middle)
      await this.stretch(middle, until)
    }
  }

  /** The sound entries from the front of the stretch, and the end of the part that could be read. */
  #read(after: number, until: number): { rows: readonly StoredEntry[]; end: number } {
    const rows: StoredEntry[] = []
    let end = after
    try {
      for (const row of this.#statement.iterate(after, until)) {
        // A damaged page may send the walk to any other one.
        if (!(row.seq > end && row.seq <= until)) return { rows, end }
        end = row.seq
        this.#keep(row, rows)
      }
      return { rows, end: until }
    } catch (error) {
      if (!isDamage(error)) throw error
      return { rows, end }
    }
  }

  #keep(row: EntryRow, rows: StoredEntry[]): void {
    const entry = soundEntry(row, this.#wallOffset, this.#isSound)
    if (entry === null) {
      this.#lose(row.seq)
    } else {
      rows.push(entry)
      this.saved++
    }
  }

  #lose(seq: number): void {
    const last = this.lost.at(-1)
    if (last !== undefined && last[1] + 1 === seq) last[1] = seq
    else this.lost.push([seq, seq])
  }
}

function prepareEntries(database: Database) {
  return database.prepare<EntryRow, [number, number]>(selectEntries(database))
}

function soundEntry(
  row: EntryRow,
  wallOffset: number,
  isSound: (entry: StoredEntry) => boolean,
): StoredEntry | null {
  try {
    if (!isIntact(row, row.frame, row.sum)) return null
    const entry = toEntry(row, wallOffset)
    return isSound(entry) ? entry : null
  } catch (error) {
    if (error instanceof SyntaxError) return null
    throw error
  }
}

/** The extent of the log, (horizon, head]: as the log says itself, else as its tables do. */
function findExtent(database: Database): { horizon: number; head: number; count: number | null } {
  try {
    return readState(database)
  } catch {
    const head = database.query<{ head: number | null }, []>('SELECT max(seq) AS head FROM entry').get()?.head
    return { horizon: 0, head: head ?? 0, count: null }
  }
}

/** Where the offset cannot be read, times are off by as much as the clock of the machine was set. */
function findWallOffset(database: Database): number {
  try {
    return readAnchor(database).wallOffset
  } catch {
    return 0
  }
}

function isDamage(error: unknown): boolean {
  return /^SQLITE_(CORRUPT|IOERR|NOTADB)/.test(codeOf(error))
}

// The most entries that are held in memory at once, of any size.
const STRETCH = 64
