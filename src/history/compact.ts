import type { Database } from 'bun:sqlite'
import { isHistoryHeld } from '../transport/sqlite/lock.ts'
import { changing, freePages, owning, type Pause, refuseMissing, sizeOf } from './file.ts'

/** The result of a compaction. */
export interface Compaction {
  /** `whole`: the tool wrote the file anew; `beside`: it took free pages off the file while a hub was running. */
  readonly way: 'whole' | 'beside'
  /** Bytes of the file and its journal, before and after. */
  readonly before: number
  readonly after: number
}

/** Gives room back to the file system: gently beside a running hub, thoroughly without. Throws HistoryProblem. */
export async function compactHistory(path: string, pause: Pause): Promise<Compaction> {
  const before = totalBytes(path)
  refuseMissing(path)
  const isBeside = isHistoryHeld(path)
  if (isBeside) await changing(path, (database) => compactBeside(database, pause))
  else await owning(path, rewrite)
  return { way: isBeside ? 'beside' : 'whole', before, after: totalBytes(path) }
}

/** Compacts in steps: the hub only waits for one at a time, of about 5 ms. */
async function compactBeside(database: Database, pause: Pause): Promise<void> {
  for (let free = freePages(database), left = 0; free > 0; free = left) {
    database.run(`PRAGMA incremental_vacuum(${STEP_PAGES})`)
    left = freePages(database)
    // Another program fills the free pages.
    if (left >= free) break
    await pause()
  }
  await emptyJournal(database, pause)
}

/** The file only shrinks when the journal has been copied into it. Readers may hold on to the journal for a moment. */
async function emptyJournal(database: Database, pause: Pause): Promise<void> {
  database.run('PRAGMA busy_timeout = 0')
  for (let attempt = 0; attempt < CHECKPOINT_ATTEMPTS; attempt++) {
    const result = database.query<{ busy: number }, []>('PRAGMA wal_checkpoint(TRUNCATE)').get()
    if (result?.busy === 0) return
    await pause()
  }
  database.run('PRAGMA wal_checkpoint(PASSIVE)')
}

function rewrite(database: Database): void {
  database.run('VACUUM')
  database.run('PRAGMA wal_checkpoint(TRUNCATE)')
}

function totalBytes(path: string): number {
  const { fileBytes, journalBytes } = sizeOf(path)
  return fileBytes + journalBytes
}

const STEP_PAGES = 256
const CHECKPOINT_ATTEMPTS = 20
