import type { Database } from 'bun:sqlite'
import { Damage, isIntact } from '../transport/sqlite/checksum.ts'
import { earliestOf, isOlder, readAnchor } from '../transport/sqlite/schema.ts'

/** Walks along the log, a page at a time, and leaves nothing open in between. */

/** The properties of an entry that a tool reads before the whole of it. */
export interface EntryOutline {
  readonly seq: number
  /** When the hub accepted it, in milliseconds of the log's own time. */
  readonly at: number
  /** Stored bytes as retention counts them. */
  readonly bytes: number
  readonly topics: readonly string[]
}

/** An entry with all members that an export holds. */
export interface StoredEntry {
  readonly seq: number
  /** When the hub accepted it, in milliseconds since the epoch. */
  readonly at: number
  readonly id: string
  readonly topics: readonly string[]
  readonly private: boolean
  /** The bytes of its event. */
  readonly frame: Uint8Array
}

/** Outlines of entries up to `until`, oldest first, at most `rows` at a time. Throws Damage. */
export function* outlines(database: Database, until: number, rows = OUTLINE_ROWS): Generator<EntryOutline[]> {
  const page = database.prepare<OutlineRow, [number, number, number]>(
    'SELECT seq, at, bytes, topics FROM entry WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?',
  )
  for (let after = 0; ; ) {
    const found = page.all(after, until, rows)
    const last = found.at(-1)
    if (last === undefined) return
    // A damaged page may send the walk back to the same place for ever.
    if (last.seq <= after) throw new Damage(after)
    yield found.map(toOutline)
    after = last.seq
  }
}

/** Outlines of all entries, from the newest to the oldest. Throws Damage. */
export function* outlinesBackwards(database: Database): Generator<EntryOutline[]> {
  const page = database.prepare<OutlineRow, [number, number]>(
    'SELECT seq, at, bytes, topics FROM entry WHERE seq < ? ORDER BY seq DESC LIMIT ?',
  )
  for (let before = Number.MAX_SAFE_INTEGER; ; ) {
    const found = page.all(before, OUTLINE_ROWS)
    const last = found.at(-1)
    if (last === undefined) return
    if (last.seq >= before) throw new Damage(last.seq)
    yield found.map(toOutline)
    before = last.seq
  }
}

/**
 * Whole entries in (after, until], oldest first. Frames of more than a page are never held together. Throws
 * Damage.
 */
export function* entries(database: Database, after: number, until: number): Generator<StoredEntry[]> {
  const page = database.prepare<EntryRow, [number, number]>(selectEntries(database))
  const { wallOffset } = readAnchor(database)
  for (let seq = after; ; ) {
    const found: StoredEntry[] = []
    let bytes = 0
    for (const row of page.iterate(seq, until)) {
      if (row.seq <= (found.at(-1)?.seq ?? seq) || !isIntact(row, row.frame, row.sum))
        throw new Damage(found.at(-1)?.seq ?? seq)
      found.push(toEntry(row, wallOffset))
      bytes += row.frame.length
      if (found.length >= PAGE_ROWS || bytes >= PAGE_FRAME_BYTES) break
    }
    const last = found.at(-1)
    if (last === undefined) return
    yield found
    seq = last.seq
  }
}

/** Selects whole entries after ?1 and up to ?2. */
export function selectEntries(database: Database): string {
  const sum = isOlder(database) ? 'NULL AS sum' : 'sum'
  return `SELECT seq, at, id, private, topics, frame, ${sum} FROM entry WHERE seq > ? AND seq <= ? ORDER BY seq`
}

/** The place of the earliest entry with this id, also when a rule dropped it, or null. */
export function findId(database: Database, id: string): number | null {
  const { horizon, head } = database
    .query<{ horizon: number; head: number }, []>('SELECT horizon, head FROM state')
    .get() ?? { horizon: 0, head: 0 }
  return earliestOf(database)(id, horizon, head)
}

/**
 * A row as an entry; the wall clock shows the log's time plus `wallOffset`. Throws SyntaxError when the topics are
 * not as a hub stores them.
 */
export function toEntry({ seq, at, id, topics, frame, ...row }: EntryRow, wallOffset: number): StoredEntry {
  return { seq, at: at + wallOffset, id, topics: JSON.parse(topics), private: row.private === 1, frame }
}

/** A row of `selectEntries`. */
export interface EntryRow {
  readonly seq: number
  readonly at: number
  readonly id: string
  readonly private: number
  readonly topics: string
  readonly frame: Uint8Array
  /** Null in a row of version 1. */
  readonly sum: number | null
}

interface OutlineRow {
  readonly seq: number
  readonly at: number
  readonly bytes: number
  readonly topics: string
}

function toOutline({ topics, ...row }: OutlineRow): EntryOutline {
  return { ...row, topics: JSON.parse(topics) }
}

// A page of outlines takes a few milliseconds; SQLite does not read the frames behind them.
const OUTLINE_ROWS = 1000
const PAGE_ROWS = 500
const PAGE_FRAME_BYTES = 1 << 20
