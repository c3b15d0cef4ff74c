import { type Entry, type Page, type PageLimit, type Position, START } from '../hub/transport.ts'
import type { Envelope } from '../protocol/update.ts'

/** An entry with what retention asks about it. */
export interface PastEntry {
  readonly entry: Entry
  readonly at: number
  readonly bytes: number
}

/** A queue of entries at consecutive positions: new ones at one end, forgotten ones at the other. */
export class Past {
  #entries: PastEntry[] = []
  /** Entries before this index are forgotten already: shifting the array each time would copy it. */
  #first = 0
  /** The positions of each id, oldest first: the earliest of duplicates wins (REC-09). */
  readonly #positions = new Map<string, Position[]>()
  #head = START
  #bytes = 0

  /** The newest position ever given. */
  get head(): Position {
    return this.#head
  }

  /** The newest position that is forgotten. */
  get horizon(): Position {
    return (this.#head - this.count) as Position
  }

  /** Entries kept. */
  get count(): number {
    return this.#entries.length - this.#first
  }

  /** Their bytes in sum. */
  get bytes(): number {
    return this.#bytes
  }

  /** The entry to be forgotten next, or null. */
  get oldest(): PastEntry | null {
    return this.#entries[this.#first] ?? null
  }

  /** Gives the envelope the next position. */
  add(envelope: Envelope, at: number, bytes: number): Entry {
    this.#head = (this.#head + 1) as Position
    const { id, topics, frame } = envelope
    const entry: Entry = { id, topics, private: envelope.private, frame, position: this.#head }
    this.#entries.push({ entry, at, bytes })
    this.#bytes += bytes
    const positions = this.#positions.get(id)
    if (positions === undefined) this.#positions.set(id, [this.#head])
    else positions.push(this.#head)
    return entry
  }

  /** Forgets the oldest entry. */
  drop(): void {
    const { oldest } = this
    if (oldest === null) return
    this.#first++
    this.#bytes -= oldest.bytes
    const positions = this.#positions.get(oldest.entry.id)
    positions?.shift()
    if (positions?.length === 0) this.#positions.delete(oldest.entry.id)
    this.#compact()
  }

  /** The earliest position kept under this id. */
  find(id: string): Position | null {
    return this.#positions.get(id)?.[0] ?? null
  }

  /** Entries in (after, until], as many as one page may hold. */
  page(after: Position, until: Position, limit: PageLimit): Page {
    const entries: Entry[] = []
    let bytes = 0
    let next = after
    for (let index = this.#indexAfter(after); next < until; index++) {
      const entry = this.#entries[index]?.entry
      if (entry === undefined || entry.position > until) break
      bytes += entry.frame.length
      const isFull = entries.length >= limit.entries || bytes > limit.bytes
      if (isFull && entries.length > 0) return { entries, next }
      entries.push(entry)
      next = entry.position
    }
    return { entries, next: Math.max(after, until) as Position }
  }

  clear(): void {
    this.#entries = []
    this.#first = 0
    this.#bytes = 0
    this.#positions.clear()
  }

  #indexAfter(after: Position): number {
    return this.#first + Math.max(0, after - this.horizon)
  }

  /** Gives the room of forgotten entries back once it is half of the array: constant cost per entry. */
  #compact(): void {
    if (this.#first < 1024 || this.#first * 2 < this.#entries.length) {
      if (this.count > 0) return
    }
    this.#entries = this.#entries.slice(this.#first)
    this.#first = 0
  }
}
