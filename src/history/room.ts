import type { Database } from 'bun:sqlite'
import { statfsSync } from 'node:fs'
import { realPath } from '../transport/sqlite/file/real-path.ts'
import { codeOf } from '../transport/sqlite/refusal.ts'
import { PAGE_BYTES } from '../transport/sqlite/size.ts'
import { HistoryProblem, sizeOf } from './file.ts'

/** Working on a history whose disk is full, or nearly. */

/** Whether there was no room on the disk for a transaction, which then changed nothing. */
export function isFull(error: unknown): boolean {
  return codeOf(error) === 'SQLITE_FULL'
}

/**
 * Brings as much of the journal into the file as there is room for. When that is all of it the next transaction begins
 * at the front of the journal again, in room that is there already.
 */
export function reuseJournal(database: Database): void {
  try {
    database.query('PRAGMA wal_checkpoint(PASSIVE)').get()
  } catch (error) {
    if (!isFull(error)) throw error
  }
}

/** That not even the smallest step could be taken, and everything that helps. */
export function noRoomFor(what: string, path: string, database: Database): HistoryProblem {
  const free = freeBytes(path)
  const needed = bytesNeeded(path, database)
  const state = free === null ? '' : `: its disk has ${kibibytes(free)} free`
  const ways = [
    `make ${kibibytes(needed)} of room on that disk and ${what} again`,
    'or write a copy to another disk with cinnabar history compact --to FILE and set sqlite.path to that',
  ]
  return new HistoryProblem(`no space left for the history file ${path}${state}; ${ways.join(', ')}`)
}

/** The free bytes of the file system for a user other than root; null where it does not tell. */
function freeBytes(path: string): number | null {
  try {
    const { bavail, bsize } = statfsSync(realPath(path))
    return bavail * bsize
  } catch {
    return null
  }
}

/** By how much the file grows when the journal is brought into it, with the journal of one small step. */
function bytesNeeded(path: string, database: Database): number {
  const pages = database.query<{ page_count: number }, []>('PRAGMA page_count').get()?.page_count ?? 0
  return Math.max(0, pages * PAGE_BYTES - sizeOf(path).fileBytes) + STEP_BYTES
}

function kibibytes(bytes: number): string {
  return `${Math.ceil(bytes / 1024)} KiB`
}

// Some entries, their pages in the indexes and those above them.
const STEP_BYTES = 256 * 1024
