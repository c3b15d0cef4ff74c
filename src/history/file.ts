import { Database } from 'bun:sqlite'
import { existsSync } from 'node:fs'
import { Damage } from '../transport/sqlite/checksum.ts'
import { realPath } from '../transport/sqlite/file/real-path.ts'
import { isHistoryHeld, lockHistory } from '../transport/sqlite/lock.ts'
import { codeOf, damaged, foreign, refusal, unusable } from '../transport/sqlite/refusal.ts'
import { limitJournal } from '../transport/sqlite/room.ts'
import { ALONE, BUSY_MS, migrate, openHistory, type Sharing } from '../transport/sqlite/schema.ts'

/**
 * The history file as tools see it, also while a hub runs on it. A tool reads in short pages and writes in
 * short transactions, so that neither the hub's commits nor its checkpoints ever wait for it.
 */

/** A tool cannot work on the history. The message is for the operator. */
export class HistoryProblem extends Error {
  override readonly name = 'HistoryProblem'
}

/** Waits between two transactions of a tool, so that a running hub gets its turn in between. */
export type Pause = () => Promise<void>

/** Runs the action on the history for reading. Throws HistoryProblem. */
export async function reading<T>(path: string, action: (database: Database) => T | Promise<T>): Promise<T> {
  return await using(path, () => withoutRoom(path, (sharing) => openForReading(path, sharing)), action)
}

/** Runs the action on the history for writing, beside a hub or not. Throws HistoryProblem. */
export async function changing<T>(path: string, action: (database: Database) => T | Promise<T>): Promise<T> {
  return await using(path, () => withoutRoom(path, (sharing) => openForChanges(path, sharing)), action)
}

/**
 * Runs the action as the only program that may be the hub of this file, and makes the file when there is none.
 * Throws HistoryProblem, also when a hub is running.
 */
export async function owning<T>(path: string, action: (database: Database) => T | Promise<T>): Promise<T> {
  const lock = explaining(path, () => lockHistory(path))
  try {
    return await using(path, () => opened(openAsOwner(path)), action)
  } finally {
    lock.close()
  }
}

/** Bytes of the file and its journal on disk. */
export function sizeOf(path: string): { readonly fileBytes: number; readonly journalBytes: number } {
  const real = realPath(path)
  return { fileBytes: Bun.file(real).size, journalBytes: Bun.file(`${real}-wal`).size }
}

/** The number of pages of the file that hold nothing. */
export function freePages(database: Database): number {
  return (
    database.query<{ count: number }, []>('SELECT freelist_count AS count FROM pragma_freelist_count').get()
      ?.count ?? 0
  )
}

/** One transaction that is certain to be able to write from its first statement on. */
export function writing<T>(database: Database, change: () => T): T {
  return database.transaction(change).immediate()
}

/** A connection with what it stands on. */
export interface Opened {
  readonly database: Database
  close(): void
}

/** Runs the action on what `open` answers and closes that. Throws HistoryProblem for what SQLite throws. */
export async function using<T>(
  path: string,
  open: () => Opened,
  action: (database: Database) => T | Promise<T>,
): Promise<T> {
  const { database, close } = explaining(path, open)
  try {
    return await action(database)
  } catch (error) {
    throw explained(path, error)
  } finally {
    close()
  }
}

/** A connection that stands on nothing else. */
export function opened(database: Database): Opened {
  return { database, close: () => database.close(true) }
}

/**
 * A connection that others share or, where the disk has no room for the index of the journal that takes and no hub is
 * running, one that is alone with the file.
 */
function withoutRoom(path: string, open: (sharing: Sharing) => Database): Opened {
  try {
    return opened(open('shared'))
  } catch (error) {
    if (!lacksRoom(error) || isHistoryHeld(path)) throw error
  }
  const lock = lockHistory(path)
  try {
    const database = open('alone')
    const close = () => {
      database.close(true)
      lock.close()
    }
    return { database, close }
  } catch (error) {
    lock.close()
    throw error
  }
}

function lacksRoom(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : null
  return /^SQLITE_(FULL|IOERR_SHM)/.test(codeOf(error) || codeOf(cause))
}

/** The last connection to close tidies up the file, so the connection may write; the tool may not. */
function openForReading(path: string, sharing: Sharing): Database {
  refuseMissing(path)
  const database = new Database(path, { create: false, readwrite: true, strict: true })
  try {
    if (sharing === 'alone') database.run(ALONE)
    database.run(`PRAGMA busy_timeout = ${BUSY_MS}`)
    database.run('PRAGMA query_only = 1')
    database.query('SELECT head FROM state').get()
    return database
  } catch (error) {
    database.close(true)
    // The database of another program has no such table.
    throw codeOf(error) === 'SQLITE_ERROR' ? new HistoryProblem(foreign(path)) : error
  }
}

function openForChanges(path: string, sharing: Sharing): Database {
  refuseMissing(path)
  return tuned(openHistory(path, sharing))
}

function openAsOwner(path: string): Database {
  try {
    return migrated(path, 'shared')
  } catch (error) {
    if (!lacksRoom(error)) throw error
    return migrated(path, 'alone')
  }
}

function migrated(path: string, sharing: Sharing): Database {
  const database = tuned(openHistory(path, sharing))
  migrate(database, path)
  return database
}

/** Keeps the journal as short as the hub does. */
function tuned(database: Database): Database {
  limitJournal(database)
  return database
}

/** Throws HistoryProblem when there is no file. */
export function refuseMissing(path: string): void {
  if (!existsSync(path)) throw new HistoryProblem(`there is no history file ${path}: set sqlite.path`)
}

function explaining<T>(path: string, open: () => T): T {
  try {
    return open()
  } catch (error) {
    throw explained(path, error)
  }
}

/** `openHistory` and `lockHistory` explain themselves with a plain Error; what SQLite throws does not. */
function explained(path: string, error: unknown): unknown {
  if (error instanceof HistoryProblem || !(error instanceof Error)) return error
  if (error instanceof Damage) return new HistoryProblem(damaged(path), { cause: error })
  const code = codeOf(error)
  if (code === '') {
    const isExplained = error.constructor === Error
    return isExplained ? new HistoryProblem(error.message, { cause: error }) : error
  }
  return new HistoryProblem(refusal(path, code) ?? unusable(path, code), { cause: error })
}
