import { type Rule, ruleOf } from '../retention.ts'
import { parseHeader, storedBytes } from './entry.ts'
import { groupOf } from './rules.ts'
import { CUT, OUTLINES, SORT } from './scripts/sorting.ts'
import type { Session } from './session.ts'

/** The log as a node sorts it. */
export interface Sorting {
  readonly session: Session
  /** The time for a script; empty: that of the server. */
  readonly now: () => string
  readonly node: string
  readonly log: string
  readonly generation: string
  readonly rules: readonly Rule[]
}

/**
 * Sorts what is stored into the rules of this generation, page by page. `waits`: while another node is at it; otherwise it
 * is left to that one.
 */
export async function sortIntoRules(sorting: Sorting, waits: boolean): Promise<void> {
  const { session, now, node, log, generation } = sorting
  for (;;) {
    const asked = [now(), log, generation, node, String(PAGE_ENTRIES)]
    const [status, ...page] = await session.script('read', OUTLINES, asked)
    if (String(status) === 'CLAIMED' && waits) {
      await new Promise((resolve) => setTimeout(resolve, CLAIM_RETRY_MS))
      continue
    }
    if (String(status) !== 'OK') return
    const rows = sorted(page, sorting.rules)
    const last = rows.at(-1)?.[0] ?? '0'
    await session.script('read', SORT, [log, generation, last, String(rows.length), ...rows.flat()])
  }
}

/** Applies limits that may be lower than before, step by step. */
export async function cutToLimits({
  session,
  now,
  log,
}: Pick<Sorting, 'session' | 'now' | 'log'>): Promise<void> {
  for (let place = ['0', '']; ; ) {
    const [status, rule, group] = await session.script('read', CUT, [now(), log, ...place])
    if (String(status) !== 'OK') return
    place = [String(rule), String(group)]
  }
}

const PAGE_ENTRIES = 500
const CLAIM_RETRY_MS = 100

type Row = readonly [position: string, rule: string, group: string, bytes: string]

function sorted(page: readonly unknown[], rules: readonly Rule[]): readonly Row[] {
  const rows: Row[] = []
  for (let at = 0; at + 2 < page.length; at += 3) {
    const header = String(page[at + 1])
    const { id, topics } = parseHeader(header)
    const rule = ruleOf(topics, rules)
    const bytes = storedBytes(id, header, Number(page[at + 2]), rule !== null)
    rows.push([String(page[at]), String(rule ?? -1), groupOf(topics, rules[rule ?? -1]), String(bytes)])
  }
  return rows
}
