import type { Database, Statement } from 'bun:sqlite'
import { BUSY_MS } from './schema.ts'
import { PAGE_BYTES } from './size.ts'

/** The room of the file and its journal beyond the entries, which it gives back to the file system. */
export class Room {
  readonly #database: Database
  readonly #free: Statement<{ freelist_count: number }, []>
  /** Whether the journal holds anything. */
  #isDirty = true
  #hasFreed = false

  constructor(database: Database) {
    limitJournal(database)
    this.#database = database
    this.#free = database.prepare('PRAGMA freelist_count')
  }

  /** Whether there are no more free pages than serve the next entries. */
  get isTidy(): boolean {
    return this.#freePages() <= FREE_PAGES_KEPT
  }

  /** Notes that the journal will hold something: the store is about to write. */
  markDirty(): void {
    this.#isDirty = true
  }

  /** Gives back some of all free pages, or of those that are too many. Answers whether any page went. */
  vacuum(isWhole: boolean): boolean {
    const free = this.#freePages()
    if (free <= (isWhole ? 0 : FREE_PAGES_KEPT)) return false
    this.#isDirty = true
    this.#hasFreed = true
    const step = Math.min(Math.max(VACUUM_PAGES_MIN, free >> 2), VACUUM_PAGES_MAX)
    this.#database.run(`PRAGMA incremental_vacuum(${step})`)
    return this.#freePages() < free
  }

  /** The file only shrinks when the journal is copied into it. An idle hub empties the journal as well. */
  checkpoint(isIdle: boolean): void {
    if (!this.#isDirty || !(isIdle || this.#hasFreed)) return
    this.#hasFreed = false
    if (!isIdle) {
      this.#database.run('PRAGMA wal_checkpoint(PASSIVE)')
      return
    }
    this.#isDirty = !this.#emptyJournal()
  }

  /** Answers whether no reader, such as an export, held on to the journal. It does not wait: it tries again later. */
  #emptyJournal(): boolean {
    this.#database.run('PRAGMA busy_timeout = 0')
    try {
      const result = this.#database.query<{ busy: number }, []>('PRAGMA wal_checkpoint(TRUNCATE)').get()
      return result?.busy === 0
    } finally {
      this.#database.run(`PRAGMA busy_timeout = ${BUSY_MS}`)
    }
  }

  #freePages(): number {
    return this.#free.get()?.freelist_count ?? 0
  }
}

/** A checkpoint follows the commit that brings the journal to 3 MiB, of a hub as of a tool. */
export function limitJournal(database: Database): void {
  database.run(`PRAGMA wal_autocheckpoint = ${JOURNAL_BYTES / PAGE_BYTES}`)
  database.run(`PRAGMA journal_size_limit = ${JOURNAL_BYTES}`)
}

export const JOURNAL_BYTES = 3 << 20

// Up to 1 MiB of free pages serves the next entries. More goes back, in steps of 1 to 6 ms.
const FREE_PAGES_KEPT = 128
const VACUUM_PAGES_MIN = 64
const VACUUM_PAGES_MAX = 256
