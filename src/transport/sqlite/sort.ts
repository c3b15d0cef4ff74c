import type { Database } from 'bun:sqlite'
import { type Rule, type RuleLimits, ruleOf } from '../retention.ts'
import { Damage } from './checksum.ts'
import { refusing } from './refusal.ts'
import { memberOf } from './ruled.ts'
import { INSERT_RULED, readState } from './schema.ts'

/**
 * Sorts stored entries into the rules: all of them when the rules are not those of the last time, and those
 * that another program appended since. It runs before the writer starts, because only this thread can match.
 * The writer cuts the groups afterwards and then stores how far they are sorted: until it has, sorting starts over.
 * Throws a plain Error for the operator.
 */
export function sortIntoRules(database: Database, path: string, rules: readonly Rule[]): void {
  refusing(path, () => sortAll(database, rules))
}

function sortAll(database: Database, rules: readonly Rule[]): void {
  if (readRules(database) !== textOf(rules)) restart(database, rules)
  const { ruledUntil, head } = readState(database)
  if (rules.length === 0 || ruledUntil >= head) return
  const rows = database.prepare<Row, [number]>(
    `SELECT seq, bytes, topics FROM entry WHERE seq > ? ORDER BY seq LIMIT ${BATCH_ROWS}`,
  )
  database.query('DELETE FROM ruled WHERE seq > ?').run(ruledUntil)
  for (let after: number | undefined = ruledUntil; after !== undefined; ) {
    const batch: Row[] = rows.all(after)
    // A damaged page may send the walk back to the same place for ever.
    if (batch.some(({ seq }) => seq <= (after ?? 0))) throw new Damage(after)
    database.transaction(() => sort(database, rules, batch)).immediate()
    after = batch.at(-1)?.seq
  }
}

function restart(database: Database, rules: readonly Rule[]): void {
  database
    .transaction(() => {
      database.run('DELETE FROM ruled')
      database.query('UPDATE state SET rules = ?, ruledUntil = 0').run(textOf(rules))
    })
    .immediate()
}

function sort(database: Database, rules: readonly Rule[], batch: readonly Row[]): void {
  const insert = database.query(INSERT_RULED)
  for (const { seq, bytes, topics } of batch) {
    const index = ruleOf(JSON.parse(topics), rules)
    const rule = index === null ? undefined : rules[index]
    if (index === null || rule === undefined) continue
    insert.run(seq, index, memberOf(index, rule.perTopic, topics).topic, bytes)
  }
}

function readRules(database: Database): string {
  return database.query<{ rules: string }, []>('SELECT rules FROM state').get()?.rules ?? ''
}

/** The rules as text, limits included: with new limits, the writer has to cut every group. */
function textOf(rules: readonly RuleLimits[]): string {
  const facts = rules.map((rule) => [rule.name, rule.perTopic, rule.maxCount, rule.maxAgeMs, rule.maxBytes])
  return facts.length === 0 ? '' : JSON.stringify(facts)
}

interface Row {
  readonly seq: number
  readonly bytes: number
  readonly topics: string
}

const BATCH_ROWS = 1000
