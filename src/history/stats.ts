import type { Database } from 'bun:sqlite'
import { isHistoryHeld } from '../transport/sqlite/lock.ts'
import { readAnchor, readState } from '../transport/sqlite/schema.ts'
import { PAGE_BYTES } from '../transport/sqlite/size.ts'
import { freePages, reading, refuseMissing, sizeOf } from './file.ts'
import { outlines } from './pages.ts'
import { type TopicShare, TopicShares } from './topic-shares.ts'

/** The figures of a history file. */
export interface HistoryStats {
  readonly path: string
  /** Whether a hub is running on it. */
  readonly isRunning: boolean
  /** The number of entries kept. */
  readonly rows: number
  /** The stored bytes of these entries, as retention counts them. */
  readonly bytes: number
  /** The oldest entry; null when none is kept. */
  readonly oldest: EntryMark | null
  readonly newest: EntryMark | null
  readonly fileBytes: number
  readonly journalBytes: number
  readonly pageBytes: number
  /** The number of pages that hold nothing and could be given back. */
  readonly freePages: number
  /** The shares of the rules that a hub last ran with. */
  readonly rules: readonly RuleShare[]
  /** The number of canonical topics. */
  readonly topicCount: number
  readonly topicsByRows: readonly TopicShare[]
  readonly topicsByBytes: readonly TopicShare[]
}

/** One entry of the log. */
export interface EntryMark {
  readonly id: string
  /** Milliseconds since the epoch. */
  readonly at: number
}

/** The entries that belong to a rule. */
export interface RuleShare {
  /** The name of the rule, which says what it selects. */
  readonly rule: string
  readonly rows: number
  readonly bytes: number
}

/** Looks at the history, with the `top` topics that take most bytes. Throws HistoryProblem. */
export async function historyStats(path: string, top: number): Promise<HistoryStats> {
  refuseMissing(path)
  const isRunning = isHistoryHeld(path)
  return await reading(path, (database) => {
    const { head, count, bytes } = readState(database)
    const shares = topicShares(database, head)
    return {
      path,
      isRunning,
      rows: count,
      bytes,
      oldest: entryAt(database, 'ASC'),
      newest: entryAt(database, 'DESC'),
      ...sizeOf(path),
      pageBytes: PAGE_BYTES,
      freePages: freePages(database),
      rules: ruleShares(database),
      ...shares.result(top),
    }
  })
}

function entryAt(database: Database, order: 'ASC' | 'DESC'): EntryMark | null {
  const row = database.query<EntryMark, []>(`SELECT id, at FROM entry ORDER BY seq ${order} LIMIT 1`).get()
  return row === null ? null : { id: row.id, at: row.at + readAnchor(database).wallOffset }
}

/** The file holds the rules as their names and limits, in JSON; without rules the text is empty. */
function ruleShares(database: Database): readonly RuleShare[] {
  const text = database.query<{ rules: string }, []>('SELECT rules FROM state').get()?.rules ?? ''
  const rules: readonly (readonly [name: string])[] = text === '' ? [] : JSON.parse(text)
  const sums = database
    .query<{ rule: number; rows: number; bytes: number }, []>(
      'SELECT rule, count(*) AS rows, sum(bytes) AS bytes FROM ruled GROUP BY rule',
    )
    .all()
  return rules.map(([rule], index) => {
    const { rows, bytes } = sums.find((sum) => sum.rule === index) ?? { rows: 0, bytes: 0 }
    return { rule, rows, bytes }
  })
}

function topicShares(database: Database, until: number): TopicShares {
  const shares = new TopicShares()
  for (const page of outlines(database, until)) {
    for (const { topics, bytes } of page) shares.add(topics, bytes)
  }
  return shares
}
