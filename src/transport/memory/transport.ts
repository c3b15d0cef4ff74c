/**
 * The log in memory: the reference that says what every transport does.
 * Life: `open` starts the tail and the timer that forgets by age; the past drops entries that are too old, each append
 * gets the next position and is kept, the past is cut to its limits, and the entry goes to the tail; `close` lets go of
 * everything.
 * With `maxCount: 0` it is the `local` transport: live only, no past.
 */

import {
  type DatedEntry,
  type Entry,
  type Head,
  type Page,
  type PageLimit,
  type Position,
  START,
  type Transport,
  type TransportStats,
} from '../../hub/transport.ts'
import { ProtocolError } from '../../protocol/error.ts'
import type { Envelope } from '../../protocol/update.ts'
import { LogClock, steady } from '../log-clock.ts'
import { type Retention, ruleOf } from '../retention.ts'
import { Past } from './past.ts'
import { type Allocate, allocateBuffer } from './stretch.ts'

/** The parts of a log in memory. */
export interface MemoryOptions {
  readonly retention: Retention
  /** Milliseconds since the epoch at the start; from then on a clock that is never set and counts sleep. */
  readonly clock: () => number
  /** Where the past is kept; by default in memory of the runtime. */
  readonly allocate?: Allocate
}

/**
 * The cost of an entry in memory, in bytes: its record, its place in the log and, when it belongs to a rule, its places
 * in the groups of that.
 */
export function memoryBytes({ id, topics, frame }: Envelope, isRuled = false): number {
  const text = topics.reduce((sum, topic) => sum + Buffer.byteLength(topic) + 3, Buffer.byteLength(id))
  return frame.length + text + ENTRY_OVERHEAD + (isRuled ? RULED_OVERHEAD : 0)
}

/** The cost of the place of an entry that a rule dropped, in bytes: its id as UTF-16, and its slot. */
export function memoryPlaceBytes(id: string): number {
  return 2 * id.length + PLACE_OVERHEAD
}

/** A log of this process, with a bounded past. */
export class MemoryTransport implements Transport {
  readonly #retention: Retention
  readonly #time: LogClock
  readonly #past: Past
  #runs = 0
  readonly #waiting: Waiting[] = []
  #isDelivering = false
  #isClosed = false
  #tail: ((entry: Entry) => void) | null = null
  #timer: ReturnType<typeof setInterval> | null = null

  constructor({ retention, clock, allocate = allocateBuffer }: MemoryOptions) {
    this.#retention = retention
    this.#past = new Past(retention, memoryPlaceBytes, allocate, Math.floor(Math.random() * 2 ** 32))
    this.#time = new LogClock(steady(clock), () => {})
  }

  async open(onEntry: (entry: Entry) => void): Promise<Head> {
    if (this.#tail !== null || this.#isClosed) throw new Error('a log is opened once')
    this.#tail = onEntry
    if (hasAge(this.#retention)) {
      this.#timer = setInterval(() => {
        this.#runs++
        this.prune()
      }, PRUNE_EVERY_MS)
      this.#timer.unref()
    }
    return { position: this.#past.head, id: null }
  }

  async append(envelope: Envelope): Promise<void> {
    const tail = this.#openTail()
    if (this.#isDelivering) return await this.#appendLater(envelope)
    this.#isDelivering = true
    try {
      tail(this.#keep(envelope))
    } finally {
      this.#deliverWaiting(tail)
      this.#isDelivering = false
    }
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

  async browse(before: Position, limit: PageLimit): Promise<readonly DatedEntry[]> {
    this.#openTail()
    this.prune()
    return this.#past.browse(before, limit)
  }

  async stats(): Promise<TransportStats> {
    this.#openTail()
    this.prune()
    const { all, bytes, oldestAt, rules, places, dropped } = this.#past
    const whole = {
      rows: all.count,
      dropped,
      bytes,
      oldestAt,
      now: this.#time.now(),
      fileBytes: 0,
      retentionRuns: this.#runs,
    }
    if (rules.length === 0) return whole
    const ruled = rules.map(({ count, bytes }) => ({ rows: count, bytes }))
    return { ...whole, rules: ruled, places: places.count }
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

  /** Forgets the entries that are too old now. The timer and every read call it; so may a test. */
  prune(): void {
    this.#past.expire(this.#time.now())
  }

  /** One after the other: an append made by the tail waits until the current entry is delivered. */
  #appendLater(envelope: Envelope): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#waiting.push({ envelope, resolve, reject })
    return promise
  }

  #deliverWaiting(tail: (entry: Entry) => void): void {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      try {
        tail(this.#keep(next.envelope))
        next.resolve()
      } catch (error) {
        next.reject(error)
      }
    }
  }

  #keep(envelope: Envelope): Entry {
    const at = this.#time.now()
    const rule = ruleOf(envelope.topics, this.#retention.rules ?? [])
    this.#past.expire(at)
    return this.#past.add({ envelope, at, bytes: memoryBytes(envelope, rule !== null), rule })
  }

  #openTail(): (entry: Entry) => void {
    if (this.#tail === null) throw new ProtocolError('store-unavailable', 'the log is not open')
    return this.#tail
  }
}

interface Waiting {
  readonly envelope: Envelope
  readonly resolve: () => void
  readonly reject: (reason: unknown) => void
}

function hasAge({ maxAgeMs, rules = [] }: Retention): boolean {
  return maxAgeMs !== null || rules.some((rule) => rule.maxAgeMs !== null)
}

const PRUNE_EVERY_MS = 1000

// The head of its record, its slot and its key: resident memory of 48 MiB of entries is within a seventh of
// their bytes, from 10 B to 40 KB of data.
const ENTRY_OVERHEAD = 150

// The place and its key. Less than what the entry was counted with, so that to drop one never takes room.
const PLACE_OVERHEAD = 150

// Two slots and, with a rule per topic, a line of its own and its key: at most, with one entry of each topic.
const RULED_OVERHEAD = 300
