import type { Database } from 'bun:sqlite'
import { isHistoryHeld } from '../transport/sqlite/lock.ts'
import { readAnchor, readState } from '../transport/sqlite/schema.ts'
import { PAGE_BYTES } from '../transport/sqlite/size.ts'
import { freePages, reading, refuseMissing, sizeOf } from './file.ts'
import { outlines } from './pages.ts'

/** What a history file holds. */
export interface HistoryStats {
  readonly path: string
  /** Whether a hub is running on it. */
  readonly isRunning: boolean
  /** Entries kept. */
  readonly rows: number
  /** Their stored bytes, as retention counts them. */
  readonly bytes: number
  /** Null when nothing is kept. */
  readonly oldest: EntryMark | null
  readonly newest: EntryMark | null
  readonly fileBytes: number
  readonly journalBytes: number
  readonly pageBytes: number
  /** Pages that hold nothing and could be given back. */
  readonly freePages: number
  /** What belongs to each of the rules that a hub last ran with. */
  readonly rules: readonly RuleShare[]
  /** How many canonical topics there are. */
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

/** What a rule holds. */
export interface RuleShare {
  /** What it selects. */
  readonly rule: string
  readonly rows: number
  readonly bytes: number
}

/** What a canonical topic takes. */
export interface TopicShare {
  readonly topic: string
  readonly rows: number
  readonly bytes: number
}

/** Looks at the history, with so many of the topics that take most. Throws HistoryProblem. */
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
      topicCount: shares.length,
      topicsByRows: shares.toSorted((a, b) => b.rows - a.rows || b.bytes - a.bytes).slice(0, top),
      topicsByBytes: shares.toSorted((a, b) => b.bytes - a.bytes || b.rows - a.rows).slice(0, top),
    }
  })
}

function entryAt(database: Database, order: 'ASC' | 'DESC'): EntryMark | null {
  const row = database.query<EntryMark, []>(`SELECT id, at FROM entry ORDER BY seq ${order} LIMIT 1`).get()
  return row === null ? null : { id: row.id, at: row.at + readAnchor(database).wallOffset }
}

/** The rules are in the file as their names and limits, in JSON; without rules that is empty. */
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

function topicShares(database: Database, until: number): readonly TopicShare[] {
  const shares = new Map<string, { rows: number; bytes: number }>()
  for (const page of outlines(database, until)) {
    for (const { topics, bytes } of page) {
      const topic = topics[0] ?? ''
      const share = shares.get(topic)
      if (share === undefined) shares.set(topic, { rows: 1, bytes })
      else {
        share.rows++
        share.bytes += bytes
      }
    }
  }
  return [...shares].map(([topic, share]) => ({ topic, ...share }))
}
