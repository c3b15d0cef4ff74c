import { type Identity, mayRead } from '../protocol/grant.ts'
import type { TopicUrl } from '../protocol/url-pattern/pattern.ts'
import type { Batch } from './batch.ts'
import { Delivery } from './delivery.ts'
import type { HubEvent, HubLimits } from './event.ts'
import type { Loop } from './loop.ts'
import { Plan } from './plan.ts'
import { Routing } from './routing.ts'
import type { Subscriber } from './subscriber.ts'
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
  /** Taken and not written to everybody yet. */
  #batch: Batch | null = null
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
    while (this.#pending.length > 0 || this.#batch !== null) {
      this.#settled ??= Promise.withResolvers()
      await this.#settled.promise
    }
  }

  add(entry: Entry): void {
    if (this.#pending.length === 0) this.#pendingSince = this.#options.loop.now()
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
    this.#batch = null
    this.#routing = new Routing(this.#options.limits.remembered)
    this.#drained?.resolve()
    this.#drained = null
    this.#settled?.resolve()
    this.#settled = null
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.#options.loop.later(() => {
      this.#isScheduled = false
      this.#run()
    })
  }

  #run(): void {
    const { loop, limits } = this.#options
    const until = loop.now() + limits.sliceMs
    const batch = this.#batch ?? this.#take(until)
    this.#batch = batch
    if (batch?.run(() => loop.now() >= until) === true) this.#finish(batch)
    if (this.#pending.length > 0 || this.#batch !== null) {
      this.#schedule()
      return
    }
    this.#settled?.resolve()
    this.#settled = null
  }

  /** The next entries, as many as can be planned in half of the slice: the other half is left for writing. */
  #take(until: number): Batch | null {
    const [first] = this.#pending
    if (first === undefined) return null
    const since = this.#pendingSince
    if (this.#pending.length === 1) {
      this.#takeOff(1, first.frame.length)
      return new Delivery(since, first, this.#readersOf(first), this.#permission(first))
    }
    const plan = new Plan(since)
    let taken = 0
    for (const entry of this.#pending) {
      // A first entry is always planned.
      if (taken > 0 && (!plan.hasRoomFor(entry) || this.#isHalfOver(until))) break
      plan.add(entry, this.#readersOf(entry), this.#permission(entry))
      taken++
    }
    this.#takeOff(taken, plan.bytes)
    return plan
  }

  #takeOff(entries: number, bytes: number): void {
    this.#pending = entries === this.#pending.length ? [] : this.#pending.slice(entries)
    this.#pendingBytes -= bytes
    if (this.#drained === null || this.isFull) return
    this.#drained.resolve()
    this.#drained = null
  }

  #finish({ count, since }: Batch): void {
    this.#batch = null
    const { loop, observe } = this.#options
    observe({ kind: 'delivered', deliveries: count, ms: loop.now() - since })
  }

  #isHalfOver(until: number): boolean {
    return this.#options.loop.now() > until - this.#options.limits.sliceMs / 2
  }

  #readersOf({ topics }: Entry): readonly ReadonlySet<Subscriber>[] {
    return this.#routing.find(topics, this.#options.parseUrl)
  }

  /**
   * Who may read the entry; null: everybody. Identities are shared by the connections of one token, so each is asked
   * once per entry.
   */
  #permission(entry: Entry): ((identity: Identity) => boolean) | null {
    if (!entry.private) return null
    const known = new Map<Identity, boolean>()
    const urls = entry.topics.map(this.#options.parseUrl)
    return (identity) => {
      let permitted = known.get(identity)
      if (permitted === undefined) {
        permitted = mayRead(identity, entry.topics, urls)
        known.set(identity, permitted)
      }
      return permitted
    }
  }
}

export interface DispatchOptions {
  readonly parseUrl: (topic: string) => TopicUrl | null
  readonly loop: Loop
  readonly observe: (event: HubEvent) => void
  readonly limits: HubLimits
}
