import { Database } from 'bun:sqlite'
import { closeSync, openSync, rmSync } from 'node:fs'
import { codeOf } from '../transport/sqlite/refusal.ts'
import { HistoryProblem, reading, sizeOf } from './file.ts'

/** The sizes of a history and of its copy, in bytes. */
export interface Copied {
  readonly before: number
  readonly after: number
}

/**
 * Writes a copy of the history as it is now, without the room that it does not need, into a new file, for its owner
 * alone. It takes no room where the history is, and may be made beside a running hub. Throws HistoryProblem, and then
 * there is no new file.
 */
export async function copyHistory(path: string, target: string): Promise<Copied> {
  const { fileBytes, journalBytes } = sizeOf(path)
  await reading(path, (database) => {
    makeEmpty(target)
    try {
      // The connection of a reader may write nothing, not even to another file.
      database.run('PRAGMA query_only = 0')
      database.query('VACUUM INTO ?').run(target)
      bringIntoUse(target)
    } catch (error) {
      rmSync(target, { force: true })
      throw problemOf(target, error)
    }
  })
  return { before: fileBytes + journalBytes, after: sizeOf(target).fileBytes }
}

/** No file that is there is ever replaced. */
function makeEmpty(target: string): void {
  try {
    closeSync(openSync(target, 'wx', 0o600))
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown'
    throw new HistoryProblem(`${target} cannot be made: ${code}`, { cause })
  }
}

/** A copy is made without the journal that a history has. */
function bringIntoUse(target: string): void {
  const copy = new Database(target, { create: false, readwrite: true, strict: true })
  try {
    copy.run('PRAGMA journal_mode = WAL')
  } finally {
    copy.close(true)
  }
}

function problemOf(target: string, error: unknown): unknown {
  const code = codeOf(error)
  if (code === 'SQLITE_FULL') return new HistoryProblem(`no space left for ${target}`, { cause: error })
  const isOfTarget = /^SQLITE_(CANTOPEN|READONLY|IOERR)/.test(code)
  return isOfTarget ? new HistoryProblem(`${target} cannot be written: ${code}`, { cause: error }) : error
}
