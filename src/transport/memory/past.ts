import { type Entry, type Page, type PageLimit, type Position, START } from '../../hub/transport.ts'
import type { Envelope } from '../../protocol/update.ts'
import { endsByAge, exceeds, isExpired, type Retention, type RuleLimits } from '../retention.ts'
import { Line, type Place } from './line.ts'

/** An envelope on its way into the past, with what retention asks about it. */
export interface Arrival {
  readonly envelope: Envelope
  readonly at: number
  readonly bytes: number
  /** The index of its rule, or null. */
  readonly rule: number | null
}

/** The entries that are kept, in log order: new ones at one end, and always within the limits. */
export class Past {
  readonly #retention: Retention
  readonly #all = new Line()
  readonly #rules: readonly RuledPast[]
  /** The positions of each id, oldest first: the earliest of duplicates wins (REC-09). */
  readonly #positions = new Map<string, Position[]>()
  #head = START
  #horizon = START

  constructor(retention: Retention) {
    this.#retention = retention
    this.#rules = (retention.rules ?? []).map((limits) => ({ limits, line: new Line(), topics: new Map() }))
  }

  /** The newest position ever given. */
  get head(): Position {
    return this.#head
  }

  /** The newest position that the limits of the whole dropped. What rules dropped leaves holes after it. */
  get horizon(): Position {
    return this.#horizon
  }

  /** Entries that were added and are not kept any more: every one had the next position. */
  get dropped(): number {
    return this.#head - this.#all.count
  }

  /** Everything that is kept. */
  get all(): Pick<Line, 'count' | 'bytes' | 'oldest'> {
    return this.#all
  }

  /** What is kept of each rule. */
  get rules(): readonly Pick<Line, 'count' | 'bytes'>[] {
    return this.#rules.map(({ line }) => line)
  }

  /** Gives the envelope the next position and drops what it pushes over the limits by count and bytes. */
  add({ envelope, at, bytes, rule }: Arrival): Entry {
    const position = (this.#head + 1) as Position
    this.#head = position
    const { id, topics, frame } = envelope
    const entry: Entry = { id, topics, private: envelope.private, frame, position }
    if (this.#keepsNothing) {
      this.#horizon = position
      return entry
    }
    const place: Place = { position, at, bytes, rule, entry }
    const ruled = this.#ruledBy(place)
    this.#all.add(place)
    ruled?.line.add(place)
    if (ruled?.limits.perTopic === true) topicLine(ruled, topics).add(place)
    const positions = this.#positions.get(id)
    if (positions === undefined) this.#positions.set(id, [position])
    else positions.push(position)
    this.#cut(ruled, topics)
    return entry
  }

  /** Drops what is too old. To be called before anything is added or read, so that age goes first. */
  expire(now: number): void {
    for (const { limits, line } of this.#rules) {
      if (!endsByAge(limits, this.#retention)) continue
      this.#dropWhile(line, (oldest) => isExpired(oldest.at, now, limits))
    }
    this.#forgetWhile((oldest) => isExpired(oldest.at, now, this.#retention))
  }

  /** The earliest position kept under this id. */
  find(id: string): Position | null {
    return this.#positions.get(id)?.[0] ?? null
  }

  /** Entries in (after, until], as many as one page may hold. */
  page(after: Position, until: Position, limit: PageLimit): Page {
    const entries: Entry[] = []
    let bytes = 0
    for (const entry of this.#all.after(after)) {
      if (entry.position > until) break
      bytes += entry.frame.length
      const isFull = entries.length >= limit.entries || bytes > limit.bytes
      const last = entries.at(-1)
      if (isFull && last !== undefined) return { entries, next: last.position }
      entries.push(entry)
    }
    return { entries, next: Math.max(after, until) as Position }
  }

  clear(): void {
    for (const { line, topics } of this.#rules) {
      line.clear()
      topics.clear()
    }
    this.#all.clear()
    this.#positions.clear()
  }

  /** With a rule it matters which of the two drops an entry: only what the whole drops is lost. */
  get #keepsNothing(): boolean {
    return this.#retention.maxCount === 0 && this.#rules.length === 0
  }

  #cut(ruled: RuledPast | null, topics: readonly string[]): void {
    if (ruled !== null) {
      const group = ruled.limits.perTopic ? topicLine(ruled, topics) : ruled.line
      this.#dropWhile(group, () => exceeds(group, ruled.limits))
    }
    this.#forgetWhile(() => exceeds(this.#all, this.#retention))
  }

  #dropWhile(line: Line, mustGo: (oldest: Place) => boolean): void {
    for (let { oldest } = line; oldest !== null && mustGo(oldest); oldest = line.oldest) this.#drop(oldest)
  }

  #forgetWhile(mustGo: (oldest: Place) => boolean): void {
    this.#dropWhile(this.#all, (oldest) => {
      if (!mustGo(oldest)) return false
      this.#horizon = oldest.position
      return true
    })
  }

  #drop(place: Place): void {
    const { entry } = place
    if (entry === null) return
    place.entry = null
    this.#all.drop(place)
    this.#dropId(entry)
    const ruled = this.#ruledBy(place)
    ruled?.line.drop(place)
    if (ruled?.limits.perTopic !== true) return
    const group = topicLine(ruled, entry.topics)
    group.drop(place)
    if (group.count === 0) ruled.topics.delete(entry.topics[0] ?? '')
  }

  #dropId({ id, position }: Entry): void {
    const positions = this.#positions.get(id) ?? []
    // Nearly always the first.
    positions.splice(positions.indexOf(position), 1)
    if (positions.length === 0) this.#positions.delete(id)
  }

  #ruledBy({ rule }: Place): RuledPast | null {
    return rule === null ? null : (this.#rules[rule] ?? null)
  }
}

interface RuledPast {
  readonly limits: RuleLimits
  /** All entries of the rule. */
  readonly line: Line
  /** The same by canonical topic, when the limits hold for each: no topic without an entry. */
  readonly topics: Map<string, Line>
}

function topicLine({ topics }: RuledPast, [canonical = '']: readonly string[]): Line {
  let line = topics.get(canonical)
  if (line === undefined) {
    line = new Line()
    topics.set(canonical, line)
  }
  return line
}
