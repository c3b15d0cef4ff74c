import type { Database } from 'bun:sqlite'
import { INSERT_ENTRY, keyOf, readState } from '../transport/sqlite/schema.ts'
import { modelBytes } from '../transport/sqlite/size.ts'
import { owning, writing } from './file.ts'
import type { StoredEntry } from './pages.ts'

/** An entry that is to be stored: its place in the log follows from its order. */
export type NewEntry = Omit<StoredEntry, 'seq'>

/** Stores batches at the end of a history that no hub has open. */
export interface Importing {
  /** When the newest entry was accepted that is kept, in milliseconds; zero when nothing is. */
  readonly newestAt: number
  /** Stores all entries or none. Throws what SQLite throws. */
  append(batch: readonly NewEntry[]): void
}

/**
 * Opens or makes the history for the action and brings everything into the file at the end. Throws
 * HistoryProblem, also when a hub is running on it.
 */
export function importHistory<T>(path: string, action: (importing: Importing) => Promise<T>): Promise<T> {
  return owning(path, async (database) => {
    try {
      return await action(new Appending(database))
    } finally {
      database.run('PRAGMA wal_checkpoint(TRUNCATE)')
    }
  })
}

class Appending implements Importing {
  readonly #database: Database
  newestAt: number

  constructor(database: Database) {
    this.#database = database
    this.newestAt =
      database.query<{ at: number }, []>('SELECT at FROM entry ORDER BY seq DESC LIMIT 1').get()?.at ?? 0
  }

  append(batch: readonly NewEntry[]): void {
    writing(this.#database, () => this.#store(batch))
    this.newestAt = batch.at(-1)?.at ?? this.newestAt
  }

  #store(batch: readonly NewEntry[]): void {
    const insert = this.#database.query(INSERT_ENTRY)
    let { head, headId, headAt, count, bytes } = readState(this.#database)
    let before = this.newestAt
    for (const { at, id, frame, ...entry } of batch) {
      // Ages only fall along the log: the hub finds what is too old by halving.
      if (at < before) throw new Error('entries are imported in the order of their times')
      before = at
      const topics = JSON.stringify(entry.topics)
      const size = modelBytes(Buffer.byteLength(id), Buffer.byteLength(topics), frame.length)
      insert.run(++head, at, size, keyOf(id), id, entry.private ? 1 : 0, topics, frame)
      headId = id
      headAt = Math.max(headAt, at)
      count++
      bytes += size
    }
    this.#database
      .query('UPDATE state SET head = ?, headId = ?, headAt = ?, count = ?, bytes = ?')
      .run(head, headId, headAt, count, bytes)
  }
}
