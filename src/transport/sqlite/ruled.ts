import type { Database, Statement } from 'bun:sqlite'
import {
  type Amount,
  endsByAge,
  exceeds,
  isExpired,
  type Limits,
  minus,
  plus,
  type RuleLimits,
  sum,
} from '../retention.ts'
import type { Gaps } from './gaps.ts'
import type { PlaceTable } from './places.ts'
import { INSERT_RULED } from './schema.ts'

/**
 * The entries of the rules, as the writer sees them: the table `ruled` says which entry belongs to which rule and,
 * when that holds per topic, to which topic. A trigger deletes its rows with their entries.
 * The first use of a group counts its entries and bytes from the index; then both are kept up to date in memory,
 * for no group without an entry. Every method runs inside a transaction and throws what SQLite throws.
 */

/** The groups that count an entry: its rule, and with `perTopic` that of its canonical topic as well. */
export interface Member {
  readonly rule: number
  /** The key of the topic, or null. */
  readonly topic: string | null
}

/** The groups of all rules. */
export class RuledEntries {
  readonly #rules: readonly RuleLimits[]
  readonly #whole: Limits
  readonly #gaps: Gaps
  readonly #places: PlaceTable
  /** The amount of each rule, and of each topic of one. */
  readonly #held = new Map<string, Amount>()
  readonly #insert: Statement
  readonly #delete: Statement
  readonly #sumOfRule: Statement<Amount, [number]>
  readonly #sumOfTopic: Statement<Amount, [number, string]>
  readonly #oldestOfRule: Statement<RuledRow, [number, number]>
  readonly #oldestOfTopic: Statement<RuledRow, [number, string, number]>
  readonly #topics: Statement<{ topic: string }, [number, string]>

  constructor(database: Database, rules: readonly RuleLimits[], { whole, gaps, places }: RuledOptions) {
    this.#rules = rules
    this.#whole = whole
    this.#gaps = gaps
    this.#places = places
    this.#insert = database.prepare(INSERT_RULED)
    this.#delete = database.prepare('DELETE FROM entry WHERE seq = ?')
    const total = 'SELECT count(*) AS count, coalesce(sum(bytes), 0) AS bytes FROM ruled WHERE rule = ?'
    this.#sumOfRule = database.prepare(total)
    this.#sumOfTopic = database.prepare(`${total} AND topic = ?`)
    const oldest =
      'SELECT ruled.seq, at, ruled.bytes, topic, id FROM ruled JOIN entry USING (seq) WHERE rule = ?'
    this.#oldestOfRule = database.prepare(`${oldest} ORDER BY ruled.seq LIMIT ?`)
    this.#oldestOfTopic = database.prepare(`${oldest} AND topic = ? ORDER BY ruled.seq LIMIT ?`)
    this.#topics = database.prepare(
      'SELECT DISTINCT topic FROM ruled WHERE rule = ? AND topic > ? ORDER BY topic LIMIT 100',
    )
  }

  /** Whether there are rules at all. */
  get isEmpty(): boolean {
    return this.#rules.length === 0
  }

  /** The amount of the rules whose entries have room of their own. */
  get apart(): Amount {
    let apart = nothing
    for (const [rule, limits] of this.#rules.entries()) {
      if (limits.isApart === true) apart = sum(apart, this.#amount({ rule, topic: null }))
    }
    return apart
  }

  /** Whether the entries of the rule have room of their own. */
  isApart(rule: number): boolean {
    return this.#rules[rule]?.isApart === true
  }

  /** The amount of each rule. */
  get amounts(): readonly Amount[] {
    return this.#rules.map((_, rule) => this.#amount({ rule, topic: null }))
  }

  /** The member that an entry of this rule is. `topics`: a JSON array of strings. */
  member(rule: number, topics: string): Member {
    return memberOf(rule, this.#rules[rule]?.perTopic === true, topics)
  }

  /** Counts an entry that was just inserted. */
  add(seq: number, member: Member, bytes: number): void {
    const groups = groupsOf(member).map((group) => [nameOf(group), this.#amount(group)] as const)
    this.#insert.run(seq, member.rule, member.topic, bytes)
    for (const [name, held] of groups) this.#held.set(name, plus(held, { bytes }))
  }

  /** Takes a deleted entry out of the counts. */
  remove(member: Member, bytes: number): void {
    for (const name of groupsOf(member).map(nameOf)) {
      const held = this.#held.get(name)
      if (held === undefined) continue
      const left = minus(held, { count: 1, bytes })
      if (left.count === 0) this.#held.delete(name)
      else this.#held.set(name, left)
    }
  }

  /** Drops the oldest of the member's group until it is within the limits by count and bytes. */
  cut(member: Member): Amount {
    let dropped = nothing
    for (let rows = 1; this.isOver(member); rows = Math.min(2 * rows, STEP_ROWS)) {
      const some = this.cutSome(member, rows)
      // The file contradicts itself: what its index counts is not there.
      if (some.count === 0) throw new Error('a group of the history holds less than it counts')
      dropped = { count: dropped.count + some.count, bytes: dropped.bytes + some.bytes }
    }
    return dropped
  }

  /** As `cut`, for at most `rows` entries. */
  cutSome(member: Member, rows = STEP_ROWS): Amount {
    let dropped = nothing
    for (const row of this.isOver(member) ? this.#oldest(member, rows) : []) {
      if (!this.isOver(member)) break
      this.#drop(member.rule, row)
      dropped = plus(dropped, row)
    }
    return dropped
  }

  /** Whether the member's group is over its limits by count and bytes. */
  isOver(member: Member): boolean {
    const limits = this.#rules[member.rule]
    return limits !== undefined && exceeds(this.#amount(member), limits)
  }

  /** Whether there is an entry whose rule has ended its life by age. */
  mayExpire(now: number): boolean {
    return this.#rules.some((limits, rule) => {
      if (!endsByAge(limits, this.#whole)) return false
      const oldest = this.#oldestOfRule.get(rule, 1)
      return oldest !== null && isExpired(oldest.at, now, limits)
    })
  }

  /** Drops entries whose rule has ended their life by age, up to 512. */
  expire(now: number): Amount {
    let dropped = nothing
    for (const [rule, limits] of this.#rules.entries()) {
      if (endsByAge(limits, this.#whole)) dropped = this.#expireRule(rule, limits, now, dropped)
    }
    return dropped
  }

  /** Every group that may be over its limits after entries were sorted into the rules anew. */
  *groups(): Generator<Member> {
    for (const [rule, { perTopic }] of this.#rules.entries()) {
      if (perTopic) yield* this.#topicsOf(rule)
      else yield { rule, topic: null }
    }
  }

  /** Forgets the counts, which the file contradicts: another program changed it, or a transaction failed. */
  forget(): void {
    this.#held.clear()
  }

  *#topicsOf(rule: number): Generator<Member> {
    for (let last: string | undefined = ''; last !== undefined; ) {
      const page: { topic: string }[] = this.#topics.all(rule, last)
      for (const { topic } of page) yield { rule, topic }
      last = page.at(-1)?.topic
    }
  }

  #expireRule(rule: number, limits: Limits, now: number, before: Amount): Amount {
    let dropped = before
    for (const row of this.#oldestOfRule.all(rule, STEP_ROWS - before.count)) {
      if (!isExpired(row.at, now, limits)) break
      this.#drop(rule, row)
      dropped = plus(dropped, row)
    }
    return dropped
  }

  #drop(rule: number, { seq, topic, bytes, id }: RuledRow): void {
    if (!this.isApart(rule)) this.#places.keep(seq, id)
    this.#delete.run(seq)
    this.#gaps.note(seq, bytes)
    this.remove({ rule, topic }, bytes)
  }

  #oldest({ rule, topic }: Member, rows: number): readonly RuledRow[] {
    return topic === null ? this.#oldestOfRule.all(rule, rows) : this.#oldestOfTopic.all(rule, topic, rows)
  }

  #amount(group: Member): Amount {
    const name = nameOf(group)
    let held = this.#held.get(name)
    if (held !== undefined) return held
    const { rule, topic } = group
    held = (topic === null ? this.#sumOfRule.get(rule) : this.#sumOfTopic.get(rule, topic)) ?? nothing
    if (held.count > 0) this.#held.set(name, held)
    return held
  }
}

/** The member that an entry is. `topics`: a JSON array of strings, the canonical one first. */
export function memberOf(rule: number, perTopic: boolean, topics: string): Member {
  return { rule, topic: perTopic ? topicKey(topics) : null }
}

/** Drops of a transaction by age or from one group at a time: about 5 ms. */
const STEP_ROWS = 512

const nothing: Amount = { count: 0, bytes: 0 }

/** The whole log in which the entries of rules stand. */
export interface RuledOptions {
  /** The limits of all entries. */
  readonly whole: Limits
  readonly gaps: Gaps
  readonly places: PlaceTable
}

interface RuledRow {
  readonly seq: number
  readonly at: number
  readonly bytes: number
  readonly topic: string | null
  readonly id: string
}

// Short for every topic, and nobody can make another topic with the same key and push its entries out.
function topicKey(topics: string): string {
  const [canonical = '']: readonly string[] = JSON.parse(topics)
  return new Bun.CryptoHasher('sha256').update(canonical).digest('base64url').slice(0, 22)
}

/** The group that limits the member and, when that is one topic, the whole rule, for the statistics. */
function groupsOf(member: Member): readonly Member[] {
  return member.topic === null ? [member] : [member, { rule: member.rule, topic: null }]
}

function nameOf({ rule, topic }: Member): string {
  return topic === null ? `${rule}` : `${rule} ${topic}`
}
