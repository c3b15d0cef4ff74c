import {
  type Entry,
  type Head,
  type Page,
  type PageLimit,
  type Position,
  START,
  type Transport,
  type TransportStats,
} from '../../src/hub/transport.ts'
import { ProtocolError } from '../../src/protocol/error.ts'
import type { Envelope } from '../../src/protocol/update.ts'

/** One log that several nodes tail, each as far behind as the test wants: a cluster without a network. */
export class SharedLog {
  entries: Entry[] = []
  /** How often another log has taken its place. */
  generation = 0
  readonly #kept: number

  /** `kept`: how many of the newest entries are still there. */
  constructor(kept: number) {
    this.#kept = kept
  }

  get horizon(): number {
    return Math.max(0, this.entries.length - this.#kept)
  }

  /** Another log stands in its place, as after a restored backup: empty, with positions from 1. */
  replace(): void {
    this.entries = []
    this.generation++
  }

  add(envelope: Envelope): Entry {
    const entry = { ...envelope, position: (this.entries.length + 1) as Position }
    this.entries.push(entry)
    return entry
  }
}

/**
 * The end of the log as one node sees it. Appends resolve when the node's own tail has them. That the log was replaced
 * it finds out when it touches the log next.
 */
export class SharedLogNode implements Transport {
  readonly #log: SharedLog
  #onEntry: (entry: Entry) => void = () => {}
  #onLost: (head: Head) => void = () => {}
  #tail = 0
  #generation = 0
  #waiting: Waiting[] = []

  constructor(log: SharedLog) {
    this.#log = log
  }

  async open(onEntry: (entry: Entry) => void, onLost: (head: Head) => void): Promise<Head> {
    this.#onEntry = onEntry
    this.#onLost = onLost
    this.#tail = this.#log.entries.length
    this.#generation = this.#log.generation
    return this.#head
  }

  append(envelope: Envelope): Promise<void> {
    this.#look()
    const { position } = this.#log.add(envelope)
    return new Promise((resolve, reject) => this.#waiting.push({ position, resolve, reject }))
  }

  /** Entries that this node has not seen yet. */
  get lag(): number {
    return this.#log.entries.length - this.#tail
  }

  /** The tail takes so many entries more. */
  advance(count: number): void {
    this.#look()
    for (const entry of this.#log.entries.slice(this.#tail, this.#tail + count)) {
      this.#tail = entry.position
      this.#onEntry(entry)
    }
    this.#resolve()
  }

  /** The tail loses its place: so many entries were trimmed before it took them. */
  skip(count: number): void {
    this.#look()
    this.#tail = Math.min(this.#tail + count, this.#log.entries.length)
    this.#onLost(this.#head)
    this.#resolve()
  }

  /** Appends to a log that was replaced are gone. */
  #look(): void {
    if (this.#generation === this.#log.generation) return
    this.#generation = this.#log.generation
    this.#tail = this.#log.entries.length
    const gone = this.#waiting
    this.#waiting = []
    this.#onLost(this.#head)
    for (const { reject } of gone) reject(new ProtocolError('store-failed', 'the log was replaced'))
  }

  get #head(): Head {
    return { position: this.#tail as Position, id: this.#log.entries[this.#tail - 1]?.id ?? null }
  }

  #resolve(): void {
    while ((this.#waiting[0]?.position ?? Number.POSITIVE_INFINITY) <= this.#tail)
      this.#waiting.shift()?.resolve()
  }

  async find(id: string): Promise<Position | null> {
    this.#look()
    return this.#log.entries.slice(this.#log.horizon).find((entry) => entry.id === id)?.position ?? null
  }

  async read(after: Position, until: Position, limit: PageLimit): Promise<Page | 'lost'> {
    this.#look()
    if (after !== START && after < this.#log.horizon) return 'lost'
    const from = Math.max(after, this.#log.horizon)
    const entries = this.#log.entries.slice(from, Math.min(until, from + limit.entries))
    const last = entries.at(-1)?.position
    return { entries, next: entries.length < limit.entries || last === undefined ? until : last }
  }

  async stats(): Promise<TransportStats> {
    const { entries, horizon } = this.#log
    return {
      rows: entries.length - horizon,
      dropped: horizon,
      bytes: 0,
      oldestAt: null,
      now: 0,
      fileBytes: 0,
    }
  }

  async check(): Promise<void> {}

  async close(): Promise<void> {}
}

interface Waiting {
  readonly position: number
  resolve(): void
  reject(reason: unknown): void
}
