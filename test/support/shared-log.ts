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
import type { Envelope } from '../../src/protocol/update.ts'

/** One log that several nodes tail, each as far behind as the test wants: a cluster without a network. */
export class SharedLog {
  readonly entries: Entry[] = []
  readonly #kept: number

  /** `kept`: how many of the newest entries are still there. */
  constructor(kept: number) {
    this.#kept = kept
  }

  get horizon(): number {
    return Math.max(0, this.entries.length - this.#kept)
  }

  add(envelope: Envelope): Entry {
    const entry = { ...envelope, position: (this.entries.length + 1) as Position }
    this.entries.push(entry)
    return entry
  }
}

/** The end of the log as one node sees it. Appends resolve when the node's own tail has them. */
export class SharedLogNode implements Transport {
  readonly #log: SharedLog
  #onEntry: (entry: Entry) => void = () => {}
  #tail = 0
  readonly #waiting: { readonly position: number; readonly resolve: () => void }[] = []

  constructor(log: SharedLog) {
    this.#log = log
  }

  async open(onEntry: (entry: Entry) => void): Promise<Head> {
    this.#onEntry = onEntry
    this.#tail = this.#log.entries.length
    return { position: this.#tail as Position, id: this.#log.entries.at(-1)?.id ?? null }
  }

  append(envelope: Envelope): Promise<void> {
    const { position } = this.#log.add(envelope)
    return new Promise((resolve) => this.#waiting.push({ position, resolve }))
  }

  /** Entries that this node has not seen yet. */
  get lag(): number {
    return this.#log.entries.length - this.#tail
  }

  /** The tail takes so many entries more. */
  advance(count: number): void {
    for (const entry of this.#log.entries.slice(this.#tail, this.#tail + count)) {
      this.#tail = entry.position
      this.#onEntry(entry)
    }
    while ((this.#waiting[0]?.position ?? Number.POSITIVE_INFINITY) <= this.#tail)
      this.#waiting.shift()?.resolve()
  }

  async find(id: string): Promise<Position | null> {
    return this.#log.entries.slice(this.#log.horizon).find((entry) => entry.id === id)?.position ?? null
  }

  async read(after: Position, until: Position, limit: PageLimit): Promise<Page | 'lost'> {
    if (after !== START && after < this.#log.horizon) return 'lost'
    const from = Math.max(after, this.#log.horizon)
    const entries = this.#log.entries.slice(from, Math.min(until, from + limit.entries))
    const last = entries.at(-1)?.position
    return { entries, next: entries.length < limit.entries || last === undefined ? until : last }
  }

  stats(): TransportStats {
    return { rows: this.#log.entries.length - this.#log.horizon, bytes: 0, oldestAt: null, fileBytes: 0 }
  }

  async check(): Promise<void> {}

  async close(): Promise<void> {}
}
