/**
 * The log in memory: the reference that says what every transport does.
 * Life: `open` starts the tail and the timer that forgets by age; each append is given the next position, kept,
 * the past is cut to its limits, and the entry goes to the tail; `close` lets go of everything.
 * With `maxCount: 0` it is the `local` transport: live only, no past.
 */

import { mayDrop, type Retention } from '../hub/retention.ts'
import {
  type Entry,
  type Head,
  type Page,
  type PageLimit,
  type Position,
  START,
  type Transport,
  type TransportStats,
} from '../hub/transport.ts'
import { ProtocolError } from '../protocol/error.ts'
import type { Envelope } from '../protocol/update.ts'
import { LogClock } from './log-clock.ts'
import { Past } from './past.ts'

/** What a log in memory needs. */
export interface MemoryOptions {
  readonly retention: Retention
  /** Milliseconds since the epoch; best a clock that never steps. */
  readonly clock: () => number
}

/** What an entry costs in memory, in bytes: its frame, its strings as UTF-16, and its place in the log. */
export function memoryBytes(envelope: Envelope): number {
  const text = envelope.topics.reduce((sum, topic) => sum + topic.length, envelope.id.length)
  return envelope.frame.length + 2 * text + ENTRY_OVERHEAD
}

/** A log of this process, with a bounded past. */
export class MemoryTransport implements Transport {
  readonly #retention: Retention
  readonly #time: LogClock
  readonly #past = new Past()
  readonly #arrivals: Arrival[] = []
  #isDelivering = false
  #isClosed = false
  #tail: ((entry: Entry) => void) | null = null
  #timer: ReturnType<typeof setInterval> | null = null

  constructor({ retention, clock }: MemoryOptions) {
    this.#retention = retention
    this.#time = new LogClock(clock)
  }

  async open(onEntry: (entry: Entry) => void): Promise<Head> {
    if (this.#tail !== null || this.#isClosed) throw new Error('a log is opened once')
    this.#tail = onEntry
    if (this.#retention.maxAgeMs !== null) {
      this.#timer = setInterval(() => this.prune(), PRUNE_EVERY_MS)
      this.#timer.unref()
    }
    return { position: this.#past.head, id: null }
  }

  async append(envelope: Envelope): Promise<void> {
    const tail = this.#openTail()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#arrivals.push({ envelope, resolve, reject })
    if (!this.#isDelivering) this.#deliver(tail)
    return promise
  }

  async find(id: string): Promise<Position | null> {
    this.#openTail()
    this.prune()
    return this.#past.find(id)
  }

  async read(after: Position, until: Position, limit: PageLimit): Promise<Page | 'lost'> {
    this.#openTail()
    this.prune()
    if (after !== START && after < this.#past.horizon) return 'lost'
    return this.#past.page(after, until, limit)
  }

  stats(): TransportStats {
    this.prune()
    const { count, bytes, oldest } = this.#past
    return { rows: count, bytes, oldestAt: oldest?.at ?? null, fileBytes: 0 }
  }

  async check(): Promise<void> {
    this.#openTail()
  }

  async close(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#tail = null
    this.#isClosed = true
    this.#past.clear()
  }

  /** Forgets what is past the limits now. The timer and every read call it; so may a test. */
  prune(): void {
    const now = this.#time.now()
    let oldest = this.#past.oldest
    while (oldest !== null && mayDrop(oldest, this.#past, now, this.#retention)) {
      this.#past.drop()
      oldest = this.#past.oldest
    }
  }

  /** One after the other: an append made by the tail waits here until the current entry is delivered. */
  #deliver(tail: (entry: Entry) => void): void {
    this.#isDelivering = true
    for (let next = this.#arrivals.shift(); next !== undefined; next = this.#arrivals.shift()) {
      try {
        const entry = this.#past.add(next.envelope, this.#time.now(), memoryBytes(next.envelope))
        this.prune()
        tail(entry)
        next.resolve()
      } catch (error) {
        next.reject(error)
      }
    }
    this.#isDelivering = false
  }

  #openTail(): (entry: Entry) => void {
    if (this.#tail === null) throw new ProtocolError('store-unavailable', 'the log is not open')
    return this.#tail
  }
}

interface Arrival {
  readonly envelope: Envelope
  readonly resolve: () => void
  readonly reject: (reason: unknown) => void
}

const PRUNE_EVERY_MS = 1000

// The entry, its slot, its key and its size, measured with a million entries.
const ENTRY_OVERHEAD = 200
