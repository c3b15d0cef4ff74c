import type { Database } from 'bun:sqlite'
import { isHistoryHeld } from '../transport/sqlite/lock.ts'
import { changing, freePages, owning, type Pause, refuseMissing, sizeOf } from './file.ts'
import { isFull, noRoomFor, reuseJournal } from './room.ts'

/** The result of a compaction. */
export interface Compaction {
  /**
   * `whole`: the file was written anew; `beside`: free pages were taken off it while a hub was running; `pages`: the same
   * without one, because the disk had no room to write the file anew.
   */
  readonly way: 'whole' | 'beside' | 'pages'
  /** Bytes of the file and its journal, before and after. */
  readonly before: number
  readonly after: number
}

/** Gives room back to the file system: gently beside a running hub, thoroughly without. Throws HistoryProblem. */
export async function compactHistory(path: string, pause: Pause): Promise<Compaction> {
  const before = totalBytes(path)
  refuseMissing(path)
  const isBeside = isHistoryHeld(path)
  if (isBeside) await changing(path, (database) => takeOff(database, path, pause))
  const isWhole = !isBeside && (await owning(path, (database) => rewrite(database, path, pause)))
  return { way: isBeside ? 'beside' : isWhole ? 'whole' : 'pages', before, after: totalBytes(path) }
}

/** Takes free pages off the end of the file. A running hub only waits for one step at a time, of about 5 ms. */
async function takeOff(database: Database, path: string, pause: Pause): Promise<void> {
  reuseJournal(database)
  const vacuum = new Vacuum(database, path)
  for (let free = freePages(database), left = 0; free > 0; free = left) {
    vacuum.step()
    left = freePages(database)
    // Another program fills the free pages.
    if (left >= free) break
    await pause()
  }
  await emptyJournal(database, path, pause)
}

/** On a full disk it works within what is free: in smaller steps, in the room of the journal that the one before has left. */
class Vacuum {
  readonly #database: Database
  readonly #path: string
  #pages = STEP_PAGES

  constructor(database: Database, path: string) {
    this.#database = database
    this.#path = path
  }

  /** Throws HistoryProblem when there is not even room for the smallest step. */
  step(): void {
    while (!this.#tryStep());
  }

  #tryStep(): boolean {
    try {
      this.#database.run(`PRAGMA incremental_vacuum(${this.#pages})`)
    } catch (error) {
      if (!isFull(error)) throw error
      if (this.#pages === 1) throw noRoomFor('compact', this.#path, this.#database)
      this.#pages = Math.ceil(this.#pages / 4)
      reuseJournal(this.#database)
      return false
    }
    if (this.#pages < STEP_PAGES) reuseJournal(this.#database)
    return true
  }
}

/** The file only shrinks when the journal has been copied into it. Readers may hold on to it for a moment. */
async function emptyJournal(database: Database, path: string, pause: Pause): Promise<void> {
  database.run('PRAGMA busy_timeout = 0')
  try {
    for (let attempt = 0; attempt < CHECKPOINT_ATTEMPTS; attempt++) {
      const result = database.query<{ busy: number }, []>('PRAGMA wal_checkpoint(TRUNCATE)').get()
      if (result?.busy === 0) return
      await pause()
    }
    database.run('PRAGMA wal_checkpoint(PASSIVE)')
  } catch (error) {
    throw isFull(error) ? noRoomFor('compact', path, database) : error
  }
}

/** Whether there was room for it. */
async function rewrite(database: Database, path: string, pause: Pause): Promise<boolean> {
  try {
    database.run('VACUUM')
    database.run('PRAGMA wal_checkpoint(TRUNCATE)')
    return true
  } catch (error) {
    if (!isFull(error)) throw error
    await takeOff(database, path, pause)
    return false
  }
}

function totalBytes(path: string): number {
  const { fileBytes, journalBytes } = sizeOf(path)
  return fileBytes + journalBytes
}

const STEP_PAGES = 256
const CHECKPOINT_ATTEMPTS = 20
