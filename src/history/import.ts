import type { Database } from 'bun:sqlite'
import { BATCH_BYTES, BATCH_ENTRIES } from '../transport/sqlite/batch.ts'
import { checksum } from '../transport/sqlite/checksum.ts'
import { INSERT_ENTRY, keyOf, readAnchor, readState } from '../transport/sqlite/schema.ts'
import { modelBytes } from '../transport/sqlite/size.ts'
import { HistoryProblem, owning, writing } from './file.ts'
import type { StoredEntry } from './pages.ts'

/**
 * An entry that the import is to store. A source hands its entries over in the order of their times, and their places
 * in the log follow from that. A source that has updates and not their bytes makes an entry with `seal`.
 */
export type NewEntry = Omit<StoredEntry, 'seq'>

/** The find in one place of a source. Reasons complete the sentence "line 7 …" and show no content. */
export type Found = { readonly place: string } & (
  | { readonly kind: 'entry'; readonly entry: NewEntry }
  /** An entry that no history could hold: the import counts it and goes on. */
  | { readonly kind: 'left-out'; readonly reason: string }
  /** The source is not as it should be: the import ends, and does not store the batch. */
  | { readonly kind: 'wrong'; readonly reason: string }
)

/** The result of an import. */
export interface Imported {
  readonly stored: number
  readonly leftOut: number
  /** The first entries that were left out, each with its place and reason: `line 7 has no topic`. */
  readonly examples: readonly string[]
}

/**
 * Stores the entries of the source at the end of the history, and makes the file when there is none. Each batch is
 * stored whole or not at all; at the end the journal is copied into the file. Throws HistoryProblem for a wrong place
 * and for an entry older than the one before it, with how far the import came; also when a hub is running.
 */
export function importHistory(
  path: string,
  source: AsyncIterable<Found> | Iterable<Found>,
): Promise<Imported> {
  return owning(path, async (database) => {
    const importing = new Importing(database)
    try {
      for await (const found of source) importing.take(found)
      return importing.finish()
    } finally {
      database.run('PRAGMA wal_checkpoint(TRUNCATE)')
    }
  })
}

class Importing {
  readonly #database: Database
  #batch: NewEntry[] = []
  #bytes = 0
  #newestAt: number
  #place = ''
  #stored = 0
  #storedPlace = ''
  #leftOut = 0
  readonly #examples: string[] = []

  constructor(database: Database) {
    this.#database = database
    const newest = database.query<{ at: number }, []>('SELECT at FROM entry ORDER BY seq DESC LIMIT 1').get()
    this.#newestAt = newest === null ? 0 : newest.at + readAnchor(database).wallOffset
  }

  take(found: Found): void {
    this.#place = found.place
    switch (found.kind) {
      case 'entry':
        this.#add(found.entry)
        break
      case 'left-out':
        this.#leftOut++
        if (this.#examples.length < EXAMPLES_MAX) this.#examples.push(`${found.place} ${found.reason}`)
        break
      case 'wrong':
        throw this.#problem(found.reason)
      default:
        found satisfies never
    }
  }

  finish(): Imported {
    this.#flush()
    return { stored: this.#stored, leftOut: this.#leftOut, examples: this.#examples }
  }

  #add(entry: NewEntry): void {
    // Ages only fall along the log: the hub finds the entries that are too old by halving.
    if (entry.at < this.#newestAt) throw this.#problem('is older than the entry before it')
    this.#newestAt = entry.at
    this.#batch.push(entry)
    this.#bytes += entry.frame.length
    if (this.#batch.length >= BATCH_ENTRIES || this.#bytes >= BATCH_BYTES) this.#flush()
  }

  #flush(): void {
    writing(this.#database, () => store(this.#database, this.#batch))
    this.#stored += this.#batch.length
    this.#storedPlace = this.#place
    this.#batch = []
    this.#bytes = 0
  }

  #problem(reason: string): HistoryProblem {
    const progress =
      this.#stored === 0 ? 'nothing was stored' : `everything up to ${this.#storedPlace} is stored`
    return new HistoryProblem(`${this.#place} ${reason}; ${progress}`)
  }
}

function store(database: Database, batch: readonly NewEntry[]): void {
  const insert = database.query(INSERT_ENTRY)
  const { wallOffset } = readAnchor(database)
  let { head, headId, headAt, count, bytes } = readState(database)
  for (const { id, frame, ...entry } of batch) {
    const at = entry.at - wallOffset
    const topics = JSON.stringify(entry.topics)
    const size = modelBytes(Buffer.byteLength(id), Buffer.byteLength(topics), frame.length)
    const row = { seq: ++head, id, private: entry.private ? 1 : 0, topics }
    insert.run(head, at, size, keyOf(id), id, row.private, topics, frame, checksum(row, frame))
    headId = id
    headAt = Math.max(headAt, at)
    count++
    bytes += size
  }
  database
    .query('UPDATE state SET head = ?, headId = ?, headAt = ?, count = ?, bytes = ?')
    .run(head, headId, headAt, count, bytes)
}

const EXAMPLES_MAX = 20
