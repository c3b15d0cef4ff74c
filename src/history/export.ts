import { readState } from '../transport/sqlite/schema.ts'
import { HistoryProblem, reading } from './file.ts'
import { entries, findId, type StoredEntry } from './pages.ts'

/** Takes a page of entries, oldest first; the export reads the next page when it resolves. */
export type Take = (page: readonly StoredEntry[]) => Promise<void>

/**
 * Hands out every entry after the id, or all of them, up to the head of this moment. Each page is read by
 * itself, so that a hub can go on meanwhile; the export misses entries that the hub drops meanwhile. Throws
 * HistoryProblem.
 */
export function exportHistory(path: string, afterId: string | null, take: Take): Promise<void> {
  return reading(path, async (database) => {
    const { head } = readState(database)
    const after = afterId === null ? 0 : findId(database, afterId)
    if (after === null) throw new HistoryProblem('the history does not hold the id of --after')
    for (const page of entries(database, after, head)) await take(page)
  })
}
