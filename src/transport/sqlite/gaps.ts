import type { Database, Statement } from 'bun:sqlite'
import { INSERT_ENTRY, INSERT_RULED } from './schema.ts'
import { PAGE_BYTES } from './size.ts'

/**
 * The room that rules leave in the middle of the log. SQLite only frees a page when nearly nothing is left in
 * it, so pages with gaps would fill the file. Once an eighth of the kept bytes has gone, the writer deletes all rows
 * from the oldest gap to the head and inserts them again, a stretch at a time: at most eight rows are rewritten for
 * each dropped row, and less than two when rules drop entries soon after they came.
 */
export class Gaps {
  readonly #database: Database
  readonly #rows: Statement<WholeRow, [number, number]>
  readonly #delete: Statement
  readonly #insertEntry: Statement
  readonly #insertRuled: Statement
  #bytes = 0
  #oldest = Number.POSITIVE_INFINITY
  #sweep: { after: number; readonly until: number } | null = null

  constructor(database: Database) {
    this.#database = database
    this.#rows = database.prepare(
      `SELECT entry.*, rule, ruled.topic AS topic FROM entry LEFT JOIN ruled ON ruled.seq = entry.seq
       WHERE entry.seq > ? AND entry.seq <= ? ORDER BY entry.seq LIMIT ${STEP_ROWS}`,
    )
    this.#delete = database.prepare('DELETE FROM entry WHERE seq > ? AND seq <= ?')
    this.#insertEntry = database.prepare(INSERT_ENTRY)
    this.#insertRuled = database.prepare(INSERT_RULED)
  }

  /** A rule dropped this entry. */
  note(seq: number, bytes: number): void {
    this.#bytes += bytes
    this.#oldest = Math.min(this.#oldest, seq)
  }

  /** After a restart nobody knows the room of earlier gaps: it is at most that of the pages beyond `kept` bytes. */
  estimate(kept: number): void {
    const pages = this.#pragma('page_count') - this.#pragma('freelist_count')
    const bytes = pages * PAGE_BYTES - kept
    if (bytes > 0) this.note(1, bytes)
  }

  /** Whether `close` has something to do, when `kept` bytes are kept. */
  isDue(kept: number): boolean {
    return this.#sweep !== null || this.#bytes > GAP_BYTES_MIN + kept / 8
  }

  /** Closes the gaps of one stretch, up to the head. Runs inside a transaction. */
  close(head: number): void {
    this.#sweep ??= this.#start(head)
    const { after, until } = this.#sweep
    const rows = this.#stretch(after, until)
    const last = rows.at(-1)
    if (last === undefined) {
      this.#sweep = null
      return
    }
    this.#delete.run(after, last.seq)
    for (const row of rows) this.#insert(row)
    this.#sweep.after = last.seq
  }

  #start(until: number): { after: number; until: number } {
    const after = this.#oldest - 1
    this.#bytes = 0
    this.#oldest = Number.POSITIVE_INFINITY
    return { after, until }
  }

  #stretch(after: number, until: number): readonly WholeRow[] {
    const rows: WholeRow[] = []
    let bytes = 0
    for (const row of this.#rows.iterate(after, until)) {
      rows.push(row)
      bytes += row.bytes
      if (bytes > STEP_BYTES) break
    }
    return rows
  }

  #insert(row: WholeRow): void {
    const { seq, at, bytes, key, id, topics, frame, sum, rule, topic } = row
    this.#insertEntry.run(seq, at, bytes, key, id, row.private, topics, frame, sum)
    if (rule !== null) this.#insertRuled.run(seq, rule, topic, bytes)
  }

  #pragma(name: 'page_count' | 'freelist_count'): number {
    return (
      this.#database.query<{ value: number }, []>(`SELECT ${name} AS value FROM pragma_${name}`).get()
        ?.value ?? 0
    )
  }
}

const GAP_BYTES_MIN = 1 << 20

// The rows of one step, which takes about 5 ms.
const STEP_ROWS = 512
const STEP_BYTES = 1 << 20

interface WholeRow {
  readonly seq: number
  readonly at: number
  readonly bytes: number
  readonly key: number
  readonly id: string
  readonly private: number
  readonly topics: string
  readonly frame: Uint8Array
  readonly sum: number | null
  readonly rule: number | null
  readonly topic: string | null
}
