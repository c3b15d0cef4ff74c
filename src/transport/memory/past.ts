import { type Entry, type Page, type PageLimit, type Position, START } from '../../hub/transport.ts'
import type { Envelope } from '../../protocol/update.ts'
import {
  type Amount,
  endsByAge,
  exceeds,
  isExpired,
  type Kept,
  type Limits,
  minus,
  placeLimits,
  type Retention,
  type RuleLimits,
  sum,
} from '../retention.ts'
import { Line, type Place } from './line.ts'
import { Places } from './places.ts'

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
  /** Of what rules dropped, while the log keeps what surrounds it. */
  readonly #places = new Places()
  readonly #placeLimits: Limits
  readonly #placeBytes: (id: string) => number
  /** The positions of each id, of places too, oldest first: the earliest of duplicates wins (REC-09). */
  readonly #positions = new Map<string, Position[]>()
  #head = START
  #horizon = START

  /** `placeBytes`: what it costs to remember the place of an entry with this id. */
  constructor(retention: Retention, placeBytes: (id: string) => number) {
    this.#retention = retention
    this.#placeLimits = placeLimits(retention)
    this.#placeBytes = placeBytes
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
  get all(): Pick<Line, 'count' | 'oldest'> {
    return this.#all
  }

  /** The places of entries that rules dropped. */
  get places(): Amount {
    return this.#places
  }

  /** Bytes of everything that is kept, and of the places. */
  get bytes(): number {
    return sum(this.#all, this.#places).bytes
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
      this.#dropByRuleWhile(limits, line, (oldest) => isExpired(oldest.at, now, limits))
    }
    this.#forgetWhile((oldest) => isExpired(oldest.at, now, this.#retention))
  }

  /** The earliest position under this id, of an entry or a place. */
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
    this.#places.clear()
    this.#positions.clear()
  }

  /** With a rule it matters which of the two drops an entry: only what the whole drops is lost. */
  get #keepsNothing(): boolean {
    return this.#retention.maxCount === 0 && this.#rules.length === 0
  }

  /** Places count in the bytes of the whole; what has room of its own does not. */
  get #counted(): Amount {
    let counted: Amount = { count: this.#all.count, bytes: this.bytes }
    for (const { limits, line } of this.#rules) if (limits.isApart === true) counted = minus(counted, line)
    return counted
  }

  #cut(ruled: RuledPast | null, topics: readonly string[]): void {
    if (ruled !== null) {
      const group = ruled.limits.perTopic ? topicLine(ruled, topics) : ruled.line
      this.#dropByRuleWhile(ruled.limits, group, () => exceeds(group, ruled.limits))
    }
    this.#forgetWhile(() => exceeds(this.#counted, this.#retention))
  }

  /** Drops from the front of the line. Each entry leaves its place, while there is room for places. */
  #dropByRuleWhile(limits: RuleLimits, line: Line, mustGo: (oldest: Place) => boolean): void {
    for (let { oldest } = line; oldest !== null && mustGo(oldest); oldest = line.oldest) {
      const { position, at } = oldest
      const dropped = this.#drop(oldest)
      const { id } = dropped
      if (limits.isApart === true) {
        this.#dropId(dropped)
        continue
      }
      this.#places.add({ position, at, id, bytes: this.#placeBytes(id) })
      while (exceeds(this.#places, this.#placeLimits)) this.#forgetPlace()
    }
  }

  /** Drops from the front of the log, where entries and places stand in one order. */
  #forgetWhile(mustGo: (oldest: Kept) => boolean): void {
    for (;;) {
      const { oldest } = this.#all
      const place = this.#places.oldest
      if (place !== null && (oldest === null || place.position < oldest.position)) {
        if (!mustGo(place)) return
        this.#forgetPlace()
      } else {
        if (oldest === null || !mustGo(oldest)) return
        this.#horizon = oldest.position
        this.#dropId(this.#drop(oldest))
      }
    }
  }

  #forgetPlace(): void {
    const { oldest } = this.#places
    this.#places.forgetOldest()
    if (oldest !== null) this.#dropId(oldest)
  }

  /** Takes the entry of the place out of the lines, and answers it. */
  #drop(place: Place): Entry {
    const { entry } = place
    if (entry === null) throw new Error('an entry is dropped once')
    place.entry = null
    this.#all.drop(place)
    const ruled = this.#ruledBy(place)
    ruled?.line.drop(place)
    if (ruled?.limits.perTopic !== true) return entry
    const group = topicLine(ruled, entry.topics)
    group.drop(place)
    if (group.count === 0) ruled.topics.delete(entry.topics[0] ?? '')
    return entry
  }

  #dropId({ id, position }: Pick<Entry, 'id' | 'position'>): void {
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
