import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { findForbidden } from '../transport/sqlite/file/access.ts'
import { isHistoryHeld } from '../transport/sqlite/lock.ts'
import { forbidden } from '../transport/sqlite/refusal.ts'
import { HistoryProblem, type Pause, reading, sizeOf } from './file.ts'
import { entries } from './pages.ts'

/** The result of a look at a whole history. */
export interface Examination {
  /** Whether a hub is running on it. */
  readonly isHeld: boolean
  /** Entries, each of which agrees with its checksum; null: there is no file, and one can be made. */
  readonly count: number | null
  /** Bytes of the file and its journal. */
  readonly bytes: number
}

/** Reads a whole history and changes nothing. Throws HistoryProblem for what would stop a hub or a replay. */
export async function examineHistory(path: string, pause: Pause): Promise<Examination> {
  const folder = dirname(path)
  if (!existsSync(folder)) throw new HistoryProblem(`the folder ${folder} of the history is not there`)
  if (findForbidden(path) !== null) throw new HistoryProblem(forbidden(path))
  if (!existsSync(path)) return { isHeld: false, count: null, bytes: 0 }
  const isHeld = isHistoryHeld(path)
  const count = await reading(path, async (database) => {
    let seen = 0
    for (const page of entries(database, 0, Number.MAX_SAFE_INTEGER)) {
      seen += page.length
      await pause()
    }
    return seen
  })
  const { fileBytes, journalBytes } = sizeOf(path)
  return { isHeld, count, bytes: fileBytes + journalBytes }
}
