import { SQLiteError } from 'bun:sqlite'
import { Damage } from './checksum.ts'
import { findForbidden } from './file/access.ts'

/** Failures of SQLite in words. */

/** The code of an SQLite error, such as `SQLITE_FULL`; empty for anything else. */
export function codeOf(error: unknown): string {
  return error instanceof SQLiteError ? (error.code ?? '') : ''
}

/** Runs the opening; what SQLite throws becomes a plain Error that tells the operator what to do. */
export function refusing<T>(path: string, open: () => T): T {
  try {
    return open()
  } catch (error) {
    const reason = error instanceof Damage ? damaged(path) : refusal(path, codeOf(error))
    throw reason === null ? error : new Error(reason, { cause: error })
  }
}

/** The meaning of an SQLite error for the operator of a hub or of a tool; null when it says nothing of the file. */
export function refusal(path: string, code: string): string | null {
  // The index of the journal has its size from the start.
  if (code.startsWith('SQLITE_IOERR_SHM')) return noSpace(path)
  switch (code.split('_').slice(0, 2).join('_')) {
    case 'SQLITE_CANTOPEN':
    case 'SQLITE_READONLY':
    case 'SQLITE_PERM':
      return forbidden(path)
    case 'SQLITE_NOTADB':
      return foreign(path)
    case 'SQLITE_CORRUPT':
      return damaged(path)
    case 'SQLITE_FULL':
      return noSpace(path)
    case 'SQLITE_BUSY':
      return `the history file ${path} is locked by another program`
    case 'SQLITE_IOERR':
      return unusable(path, code)
    default:
      return null
  }
}

function noSpace(path: string): string {
  return `no space left for the history file ${path}`
}

/** The message that this user lacks a right that a hub needs, with the file that refuses it. */
export function forbidden(path: string): string {
  const reason = findForbidden(path)
  const rule = 'its directory must exist and be writable for this user, like the file itself'
  return `the history file ${path} cannot be opened: ${rule}${reason === null ? '' : `; ${reason}`}`
}

/** The message that the file is a database, but not one of this hub. */
export function foreign(path: string): string {
  return `${path} is not a history file of this hub: set sqlite.path to another file`
}

/** The message that SQLite failed with a code that tells the operator nothing to do. */
export function unusable(path: string, code: string): string {
  return `the history file ${path} cannot be read or written: ${code}`
}

/** The message that the file contradicts itself, or that its pages cannot be read. */
export function damaged(path: string): string {
  const ways = 'restore it, or move it and its -wal file away to start empty'
  return `the history file ${path} is damaged: cinnabar history export --salvage saves what can be read; ${ways}`
}
