import { Database } from 'bun:sqlite'
import { closeSync, existsSync, openSync, statSync } from 'node:fs'
import { findForbidden } from './file/access.ts'
import { isLocked, lockFile } from './file/file-lock.ts'
import { countNames } from './file/new-history.ts'
import { realPath } from './file/real-path.ts'
import { codeOf, forbidden, refusing } from './refusal.ts'
import { makeHistory } from './schema.ts'

/** The proof that this process is the only hub of a history. The kernel lets go of it however that ends. */
export interface HistoryLock {
  /** The file itself, open for reading and writing; null where it could not be opened. */
  readonly descriptor: number | null
  /** The number of names of the file. SQLite keeps a journal beside each by which the file is opened. */
  readonly names: number
  /**
   * Lets go. The caller has closed all connections to the file: closing the descriptor ends every lock that SQLite
   * holds for this process.
   */
  close(): void
}

/**
 * Makes this process the only hub of the file, and the file when there is none. There are two locks: one on a file
 * beside it, which every version of the hub and every system has, and one on the file itself, which holds for each of
 * its names and after the file of the first lock was removed. Tools can open the history meanwhile. The file of the
 * lock stays: removing it would let two hubs lock two different files of that name. Throws a plain Error for the
 * operator.
 */
export function lockHistory(path: string): HistoryLock {
  return refusing(path, () => {
    if (findForbidden(path) !== null) throw new Error(forbidden(path))
    const beside = lockBeside(path)
    try {
      makeHistory(path)
      const { descriptor, inode } = lockItself(path)
      const names = inode === null ? 1 : countNames(realPath(path))
      const close = () => {
        if (descriptor !== null) closeSync(descriptor)
        if (inode !== null) held.delete(inode)
        beside.close()
      }
      return { descriptor, names, close }
    } catch (error) {
      beside.close()
      throw error
    }
  })
}

/**
 * Whether a hub is running on the file, or another program owns it. Only looks: taking the lock, however shortly,
 * could keep a hub from starting. A lock that this user may not look at counts as held. The caller has no connection to
 * the file.
 */
export function isHistoryHeld(path: string): boolean {
  return isHeldBeside(path) || isHeldItself(realPath(path))
}

function lockBeside(path: string): Database {
  const lock = new Database(besideOf(path), { create: true, readwrite: true, strict: true })
  try {
    // A journal would be a file, for which a full disk has no room.
    lock.run('PRAGMA journal_mode = MEMORY')
    lock.run('BEGIN EXCLUSIVE')
    return lock
  } catch (error) {
    lock.close()
    throw codeOf(error).startsWith('SQLITE_BUSY') ? taken(path) : error
  }
}

/**
 * The histories that this process holds. It must not even open another descriptor of one of them: closing that again
 * would end the locks of SQLite on that file.
 */
const held = new Set<string>()

function lockItself(path: string): { descriptor: number | null; inode: string | null } {
  const inode = inodeOf(realPath(path))
  if (inode === null) return { descriptor: null, inode }
  if (held.has(inode)) throw taken(path)
  const descriptor = openFile(path)
  if (lockFile(descriptor) === 'held') {
    closeSync(descriptor)
    throw taken(path)
  }
  held.add(inode)
  return { descriptor, inode }
}

function openFile(path: string): number {
  try {
    return openSync(realPath(path), 'r+')
  } catch (error) {
    throw new Error(forbidden(path), { cause: error })
  }
}

function isHeldBeside(path: string): boolean {
  const name = besideOf(path)
  if (!existsSync(name)) return false
  let lock: Database | null = null
  try {
    lock = new Database(name, { create: false, readwrite: true, strict: true })
    lock.query('SELECT count(*) FROM sqlite_schema').get()
    return false
  } catch {
    return true
  } finally {
    lock?.close()
  }
}

function isHeldItself(real: string): boolean {
  const inode = inodeOf(real)
  if (inode === null) return false
  if (held.has(inode)) return true
  let descriptor: number | null = null
  try {
    descriptor = openSync(real, 'r')
    return isLocked(descriptor)
  } catch {
    return true
  } finally {
    if (descriptor !== null) closeSync(descriptor)
  }
}

function besideOf(path: string): string {
  return `${realPath(path)}.lock`
}

/** The inode of the file; null when there is no such file. */
function inodeOf(path: string): string | null {
  const stat = statSync(path, { throwIfNoEntry: false })
  return stat?.isFile() === true ? `${stat.dev} ${stat.ino}` : null
}

function taken(path: string): Error {
  return new Error(`another hub is running on the history file ${path}: stop it, or set sqlite.path`)
}
