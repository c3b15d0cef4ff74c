import { type Identity, mayRead } from '../protocol/grant.ts'
import type { TopicUrl } from '../protocol/url-pattern/pattern.ts'
import { Delivery } from './delivery.ts'
import type { HubEvent, HubLimits } from './event.ts'
import { Routing } from './routing.ts'
import type { Subscriber } from './subscriber.ts'
import { Trail } from './trail.ts'
import type { Entry } from './transport.ts'

/**
 * Entries to live subscribers. The entries of a turn are planned together (who gets which), then each
 * subscriber is written to once; one that comes alone needs no plan. All of it stops after a slice of time, planning
 * between two entries, and goes on in a later turn, so that a publication to tens of thousands holds nobody else up;
 * what comes next waits until everything before it is written, which keeps the order of every subscriber.
 */
export class Dispatch {
  #routing: Routing<Subscriber>
  readonly #options: DispatchOptions
  #pending: Entry[] = []
  #pendingBytes = 0
  #isScheduled = false
  #plan: Plan = emptyPlan(0)
  /** Instead of a plan, when an entry was alone in its turn. */
  #alone: Delivery | null = null
  #aloneSince = 0
  /** When the oldest pending entry came. */
  #pendingSince = 0
  #drained: PromiseWithResolvers<void> | null = null
  #settled: PromiseWithResolvers<void> | null = null

  constructor(options: DispatchOptions) {
    this.#options = options
    this.#routing = new Routing(options.limits.remembered)
  }

  get gauges() {
    return { pendingEntries: this.#pending.length, pendingBytes: this.#pendingBytes, ...this.#routing.size }
  }

  /** Whether publishers should wait: readers get less than what is accepted. */
  get isFull(): boolean {
    return this.#pendingBytes > this.#options.limits.pendingBytes
  }

  /** Resolves when `isFull` no longer holds. */
  async drained(): Promise<void> {
    while (this.isFull) {
      this.#drained ??= Promise.withResolvers()
      await this.#drained.promise
    }
  }

  /** Resolves when everything that was added is written, as far as the readers take it. */
  async settled(): Promise<void> {
    while (this.#pending.length > 0 || !this.#isWritten) {
      this.#settled ??= Promise.withResolvers()
      await this.#settled.promise
    }
  }

  add(entry: Entry): void {
    if (this.#pending.length === 0) this.#pendingSince = this.#options.clock()
    this.#pending.push(entry)
    this.#pendingBytes += entry.frame.length
    this.#schedule()
  }

  join(subscriber: Subscriber): void {
    subscriber.matchers = this.#routing.shared(subscriber.matchers)
    this.#routing.add(subscriber)
  }

  remove(subscriber: Subscriber): void {
    this.#routing.remove(subscriber)
  }

  /** Forgets which patterns match which topics; it is computed again when needed. */
  forget(): void {
    this.#routing.forget()
  }

  /** Lets go of everything that was not written yet and of all who read: the hub ends their streams. */
  reset(): void {
    this.#pending = []
    this.#pendingBytes = 0
    this.#plan = emptyPlan(0)
    this.#alone = null
    this.#routing = new Routing(this.#options.limits.remembered)
    this.#drained?.resolve()
    this.#drained = null
    this.#settled?.resolve()
    this.#settled = null
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.#options.schedule(() => {
      this.#isScheduled = false
      this.#run()
    })
  }

  #run(): void {
    const until = this.#options.clock() + this.#options.limits.sliceMs
    if (this.#isWritten) this.#begin(until)
    if (this.#alone === null) this.#write(until)
    else this.#deliver(this.#alone, until)
    if (this.#pending.length > 0 || !this.#isWritten) {
      this.#schedule()
      return
    }
    this.#settled?.resolve()
    this.#settled = null
  }

  /** Whether nothing of what was taken is still to be written. */
  get #isWritten(): boolean {
    return this.#alone === null && this.#plan.next === this.#plan.readers.length
  }

  #begin(until: number): void {
    const [entry] = this.#pending
    if (entry === undefined || this.#pending.length > 1) {
      this.#makePlan(until)
      return
    }
    const { parseUrl } = this.#options
    const permitted = entry.private ? permission(entry, parseUrl) : null
    this.#aloneSince = this.#pendingSince
    this.#alone = new Delivery(entry, this.#routing.find(entry.topics, parseUrl), permitted)
    this.#takeOff(1, entry.frame.length)
  }

  #takeOff(entries: number, bytes: number): void {
    this.#pending = entries === this.#pending.length ? [] : this.#pending.slice(entries)
    this.#pendingBytes -= bytes
    if (this.#drained === null || this.isFull) return
    this.#drained.resolve()
    this.#drained = null
  }

  #makePlan(until: number): void {
    const plan = emptyPlan(this.#pendingSince)
    const root = Trail.root()
    let taken = 0
    for (const entry of this.#pending) {
      // A first entry is always planned; half of the slice is left for writing.
      const isOver = plan.bytes + entry.frame.length > PLAN_BYTES || this.#isHalfOver(until)
      if (taken > 0 && isOver) break
      this.#planEntry(entry, root, plan)
      taken++
    }
    this.#plan = plan
    this.#takeOff(taken, plan.bytes)
  }

  #planEntry(entry: Entry, root: Trail, plan: Plan): void {
    plan.bytes += entry.frame.length
    const permitted = entry.private ? permission(entry, this.#options.parseUrl) : null
    for (const group of this.#routing.find(entry.topics, this.#options.parseUrl)) {
      for (const reader of group) {
        const trail = reader.trail ?? root
        // Several matchers or topics may lead to one reader, who gets the entry once (SUB-63).
        if (trail.entry === entry || entry.position <= reader.after) continue
        if (permitted !== null && !permitted(reader.identity)) continue
        if (reader.trail === null) plan.readers.push(reader)
        reader.trail = trail.to(entry)
        plan.deliveries++
      }
    }
  }

  #deliver(alone: Delivery, until: number): void {
    if (!alone.run(READERS_BETWEEN_CLOCKS, () => this.#options.clock() >= until)) return
    this.#alone = null
    this.#finish(alone.count, this.#aloneSince)
  }

  #write(until: number): void {
    const { readers } = this.#plan
    while (this.#plan.next < readers.length) {
      const end = Math.min(this.#plan.next + READERS_BETWEEN_CLOCKS, readers.length)
      for (; this.#plan.next < end; this.#plan.next++) writeTo(readers[this.#plan.next])
      if (this.#options.clock() >= until) break
    }
    if (this.#plan.next < readers.length) return
    const { deliveries, since } = this.#plan
    this.#plan = emptyPlan(0)
    this.#finish(deliveries, since)
  }

  #finish(deliveries: number, since: number): void {
    this.#options.observe({ kind: 'delivered', deliveries, ms: this.#options.clock() - since })
  }

  #isHalfOver(until: number): boolean {
    return this.#options.clock() > until - this.#options.limits.sliceMs / 2
  }
}

export interface DispatchOptions {
  readonly parseUrl: (topic: string) => TopicUrl | null
  readonly clock: () => number
  readonly schedule: (run: () => void) => void
  readonly observe: (event: HubEvent) => void
  readonly limits: HubLimits
}

/** More than this in one write to a reader gains nothing. */
const PLAN_BYTES = 256 * 1024
const READERS_BETWEEN_CLOCKS = 64

interface Plan {
  readonly readers: Subscriber[]
  /** The first reader that was not written to yet. */
  next: number
  bytes: number
  deliveries: number
  /** When its oldest entry came. */
  readonly since: number
}

function emptyPlan(since: number): Plan {
  return { readers: [], next: 0, bytes: 0, deliveries: 0, since }
}

function writeTo(reader: Subscriber | undefined): void {
  if (reader === undefined || reader.trail === null) return
  const { frame } = reader.trail
  reader.trail = null
  if (reader.state === 'live') reader.sink.write(frame)
}

/** Identities are shared by the connections of one token, so each is asked once per entry. */
function permission(
  entry: Entry,
  parseUrl: (topic: string) => TopicUrl | null,
): (identity: Identity) => boolean {
  const known = new Map<Identity, boolean>()
  const urls = entry.topics.map(parseUrl)
  return (identity) => {
    let permitted = known.get(identity)
    if (permitted === undefined) {
      permitted = mayRead(identity, entry.topics, urls)
      known.set(identity, permitted)
    }
    return permitted
  }
}
