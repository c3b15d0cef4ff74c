import {
  type DatedEntry,
  type Entry,
  type Page,
  type PageLimit,
  type Position,
  START,
} from '../../hub/transport.ts'
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
import { Ids } from './ids.ts'
import { Line } from './line.ts'
import { Order } from './order.ts'
import { Places } from './places.ts'
import { type Place, Shelf, type Spot } from './shelf.ts'
import type { Allocate } from './stretch.ts'

/** An envelope on its way into the past, with the figures that retention asks for. */
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
  readonly #all = new Order()
  readonly #shelf: Shelf
  readonly #rules: readonly RuledPast[]
  /** The places of entries that rules dropped, while the log keeps their neighbours. */
  readonly #places = new Places()
  readonly #placeLimits: Limits
  readonly #placeBytes: (id: string) => number
  /** The positions of all ids, those of places too. */
  readonly #ids: Ids
  /** The oldest entry as it was read last; null once an entry was dropped, for others may have moved then. */
  #known: Place | null = null
  #head = START
  #horizon = START

  /**
   * `placeBytes`: the bytes that the place of an entry with this id takes. `seed`: a random number, which
   * publishers do not know.
   */
  constructor(retention: Retention, placeBytes: (id: string) => number, allocate: Allocate, seed: number) {
    this.#retention = retention
    this.#placeLimits = placeLimits(retention)
    this.#placeBytes = placeBytes
    this.#shelf = new Shelf(allocate, {
      isAt: (position, spot) => this.#all.find(position) === spot,
      onMove: (position, spot) => this.#all.move(position, spot),
    })
    this.#ids = new Ids(seed, (position) => this.#idAt(position))
    this.#rules = (retention.rules ?? []).map((limits) => ({
      limits,
      line: new Line(this.#find),
      topics: new Map(),
    }))
  }

  /** The newest position ever given. */
  get head(): Position {
    return this.#head
  }

  /** The newest position that the limits of the whole dropped. Entries that rules dropped leave holes after it. */
  get horizon(): Position {
    return this.#horizon
  }

  /** The number of entries that were added and are not kept any more: each had the next position. */
  get dropped(): number {
    return this.#head - this.#all.count
  }

  /** All entries that are kept. */
  get all(): Amount {
    return this.#all
  }

  /** When the oldest entry that is kept was added; null without one. */
  get oldestAt(): number | null {
    return this.#oldest?.at ?? null
  }

  /** The places of entries that rules dropped. */
  get places(): Amount {
    return this.#places
  }

  /** Bytes of all entries that are kept, and of the places. */
  get bytes(): number {
    return sum(this.#all, this.#places).bytes
  }

  /** The kept entries of each rule. */
  get rules(): readonly Pick<Line, 'count' | 'bytes'>[] {
    return this.#rules.map(({ line }) => line)
  }

  /**
   * Gives the envelope the next position and drops the entries that it pushes over the limits by count and bytes. Throws
   * `store-full` when there is no memory.
   */
  add({ envelope, at, bytes, rule }: Arrival): Entry {
    const position = (this.#head + 1) as Position
    const { id, topics, frame } = envelope
    const entry: Entry = { id, topics, private: envelope.private, frame, position }
    if (this.#keepsNothing) {
      this.#head = position
      this.#horizon = position
      return entry
    }
    const key = this.#ids.keyOf(id)
    const spot = this.#shelf.put(entry, { at, bytes, rule, key })
    // Only once the shelf has room for it: an update that the log refuses has no position.
    this.#head = position
    const ruled = this.#ruledBy({ rule })
    this.#all.add(position, spot, bytes)
    ruled?.line.add(position, bytes)
    if (ruled?.limits.perTopic === true) this.#topicLine(ruled, topics).add(position, bytes)
    this.#ids.add(key, position)
    this.#cut(ruled, topics)
    return entry
  }

  /** Drops the entries that are too old. The log calls it before it adds or reads, so that age goes first. */
  expire(now: number): void {
    for (const { limits, line } of this.#rules) {
      if (!endsByAge(limits, this.#retention)) continue
      this.#dropByRuleWhile(limits, line, (oldest) => isExpired(oldest.at, now, limits))
    }
    this.#forgetWhile((oldest) => isExpired(oldest.at, now, this.#retention))
  }

  /** The earliest position under this id, of an entry or a place. */
  find(id: string): Position | null {
    return this.#ids.find(id)
  }

  /** Entries in (after, until], as many as one page may hold. */
  page(after: Position, until: Position, limit: PageLimit): Page {
    const { entries, isFull } = this.#shelf.copy(this.#all.after(after), until, limit)
    const last = entries.at(-1)
    return {
      entries,
      next: isFull && last !== undefined ? last.position : (Math.max(after, until) as Position),
    }
  }

  /** The newest entries before the position, newest first, as many as one page may hold. */
  browse(before: Position, limit: PageLimit): readonly DatedEntry[] {
    const places: Place[] = []
    let bytes = 0
    for (const spot of this.#all.before(before)) {
      const place = this.#shelf.place(spot)
      bytes += place.length
      if (places.length > 0 && (places.length >= limit.entries || bytes > limit.bytes)) break
      places.push(place)
    }
    const spots = places.map(({ spot }) => spot).reverse()
    const { entries } = this.#shelf.copy(spots, before, { entries: spots.length, bytes })
    return entries.map((entry, at) => ({ ...entry, at: places[places.length - 1 - at]?.at ?? 0 })).reverse()
  }

  clear(): void {
    for (const { line, topics } of this.#rules) {
      line.clear()
      topics.clear()
    }
    this.#all.clear()
    this.#places.clear()
    this.#ids.clear()
    this.#shelf.clear()
    this.#known = null
  }

  /** With a rule it matters which of the two drops an entry: readers lose only entries that the whole drops. */
  get #keepsNothing(): boolean {
    return this.#retention.maxCount === 0 && this.#rules.length === 0
  }

  /** Places count in the bytes of the whole; entries with room of their own do not. */
  get #counted(): Amount {
    let counted: Amount = { count: this.#all.count, bytes: this.bytes }
    for (const { limits, line } of this.#rules) if (limits.isApart === true) counted = minus(counted, line)
    return counted
  }

  #cut(ruled: RuledPast | null, topics: readonly string[]): void {
    if (ruled !== null) {
      const group = ruled.limits.perTopic ? this.#topicLine(ruled, topics) : ruled.line
      this.#dropByRuleWhile(ruled.limits, group, () => exceeds(group, ruled.limits))
    }
    this.#forgetWhile(() => exceeds(this.#counted, this.#retention))
  }

  /** Drops from the front of the line. Each entry leaves its place, while there is room for places. */
  #dropByRuleWhile(limits: RuleLimits, line: Line, mustGo: (oldest: Place) => boolean): void {
    for (let spot = line.oldest; spot !== null; spot = line.oldest) {
      const oldest = this.#shelf.place(spot)
      if (!mustGo(oldest)) return
      const { position, at, key } = oldest
      if (limits.isApart === true) {
        this.#drop(oldest)
        this.#ids.drop(key, position)
        continue
      }
      const id = this.#shelf.id(spot)
      this.#drop(oldest)
      this.#places.add({ position, at, id, bytes: this.#placeBytes(id) })
      while (exceeds(this.#places, this.#placeLimits)) this.#forgetPlace()
    }
  }

  /** Drops from the front of the log, where entries and places stand in one order. */
  #forgetWhile(mustGo: (oldest: Kept) => boolean): void {
    for (;;) {
      const oldest = this.#oldest
      const place = this.#places.oldest
      if (place !== null && (oldest === null || place.position < oldest.position)) {
        if (!mustGo(place)) return
        this.#forgetPlace()
      } else {
        if (oldest === null || !mustGo(oldest)) return
        this.#horizon = oldest.position
        this.#drop(oldest)
        this.#ids.drop(oldest.key, oldest.position)
      }
    }
  }

  #forgetPlace(): void {
    const { oldest } = this.#places
    this.#places.forgetOldest()
    if (oldest !== null) this.#ids.drop(this.#ids.keyOf(oldest.id), oldest.position)
  }

  /** The oldest entry of all. Every publication asks for it, and it is the same one for long. */
  get #oldest(): Place | null {
    const spot = this.#all.oldest
    if (spot === null) return null
    if (this.#known?.spot !== spot) this.#known = this.#shelf.place(spot)
    return this.#known
  }

  /** Takes the entry out of the lines and off the shelf. Its id is still known. */
  #drop(place: Place): void {
    const { position, bytes, spot } = place
    const ruled = this.#ruledBy(place)
    const topics = ruled?.limits.perTopic === true ? this.#shelf.topics(spot) : null
    this.#known = null
    this.#all.drop(position, bytes)
    this.#shelf.drop(place)
    ruled?.line.drop(bytes)
    if (ruled === null || topics === null) return
    const group = this.#topicLine(ruled, topics)
    group.drop(bytes)
    if (group.count === 0) ruled.topics.delete(topics[0] ?? '')
  }

  #idAt(position: Position): string {
    const spot = this.#all.find(position)
    const id = spot === null ? this.#places.find(position)?.id : this.#shelf.id(spot)
    if (id === undefined) throw new Error('neither the entry nor its place is kept')
    return id
  }

  readonly #find = (position: Position): Spot | null => this.#all.find(position)

  #topicLine({ topics }: RuledPast, [canonical = '']: readonly string[]): Line {
    let line = topics.get(canonical)
    if (line === undefined) {
      line = new Line(this.#find)
      topics.set(canonical, line)
    }
    return line
  }

  #ruledBy({ rule }: Pick<Place, 'rule'>): RuledPast | null {
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
