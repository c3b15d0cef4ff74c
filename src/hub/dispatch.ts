import type { TopicUrl } from '../protocol/url-pattern/pattern.ts'
import type { Work } from '../protocol/work.ts'
import { type Audience, Search } from './audience.ts'
import type { Batch } from './batch.ts'
import { Delivery } from './delivery.ts'
import type { HubEvent, HubLimits } from './event.ts'
import type { Loop } from './loop.ts'
import { Plan } from './plan.ts'
import { Canary } from './proof/canary.ts'
import { Routing } from './routing.ts'
import type { Subscriber } from './subscriber.ts'
import { type Entry, type Position, START } from './transport.ts'
import type { Witness } from './witness.ts'

/**
 * Brings entries to live subscribers. It plans the entries of a turn together (who gets which), then writes to each
 * subscriber once; an entry that comes alone needs no plan. All of it stops after a slice of time, planning
 * between two entries or in the search for the readers of one, and goes on in a later turn, so that a publication to
 * tens of thousands holds nobody else up; later entries wait until all before them are written, which keeps the
 * order of every subscriber.
 */
export class Dispatch {
  #routing: Routing<Subscriber>
  readonly #options: DispatchOptions
  #pending: Entry[] = []
  #pendingBytes = 0
  #isScheduled = false
  /** Entries that were taken and not written to everybody yet. */
  #batch: Batch | null = null
  /** The position of the last entry that was taken. */
  #taken: Position = START
  /** The search for the readers of the first pending entry, when it takes longer than a slice. */
  #search: Search | null = null
  /** The weight of the identities of the live readers, each counted once for each of its readers. */
  #identityWeight = 0
  /** When the oldest pending entry came. */
  #pendingSince = 0
  #drained: PromiseWithResolvers<void> | null = null
  #settled: PromiseWithResolvers<void> | null = null
  #canary: Canary | null = null

  constructor(options: DispatchOptions) {
    this.#options = options
    this.#routing = new Routing(options.limits.remembered)
  }

  get gauges() {
    return { pendingEntries: this.#pending.length, pendingBytes: this.#pendingBytes, ...this.#routing.size }
  }

  /** Whether publishers should wait: the hub accepts more than it delivers. */
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

  /** Resolves when every added entry is written, as far as the readers take it. */
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

  /**
   * Resolves when the next turn in which entries are written has also written one to a reader that nobody else sees.
   * It waits for the turn, and not for the entries before it: those of a hub with much to do may take long.
   */
  probe(): Promise<void> {
    if (this.#canary === null) {
      this.#canary = new Canary()
      this.#schedule()
    }
    return this.#canary.written
  }

  join(subscriber: Subscriber): void {
    subscriber.matchers = this.#routing.shared(subscriber.matchers)
    this.#routing.add(subscriber)
    this.#identityWeight += subscriber.identity.weight
  }

  remove(subscriber: Subscriber): void {
    this.#routing.remove(subscriber)
    this.#identityWeight -= subscriber.identity.weight
  }

  /** The groups of live readers that ask for one of the topics. */
  audience(topics: readonly string[]): Work<ReadonlySet<Subscriber>[]> {
    return this.#routing.findInSteps(topics, this.#options.parseUrl)
  }

  /** Forgets which patterns match which topics; the routing evaluates them again when needed. */
  forget(): void {
    this.#routing.forget()
  }

  /** Lets go of all entries that were not written yet and of all readers: the hub ends their streams. */
  reset(): void {
    this.#pending = []
    this.#pendingBytes = 0
    this.#batch = null
    this.#search = null
    this.#identityWeight = 0
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
    this.#canary?.deliver()
    this.#canary = null
    if (this.#pending.length > 0 || this.#batch !== null) {
      this.#schedule()
      return
    }
    this.#settled?.resolve()
    this.#settled = null
  }

  /**
   * Takes the next entries, as many as can be planned in half of the slice: the other half is left for writing. Null:
   * there is none, or the search for the readers of the first is not over.
   */
  #take(until: number): Batch | null {
    const [first] = this.#pending
    if (first === undefined) return null
    const audience = this.#audienceOf(first, until)
    if (audience === null) return null
    const since = this.#pendingSince
    if (this.#pending.length === 1) {
      this.#takeOff(1, first.frame.length)
      return new Delivery(since, first, audience.groups, audience.permitted)
    }
    const plan = new Plan(since)
    let taken = 0
    for (const entry of this.#pending) {
      // A first entry is always planned.
      if (taken > 0 && (!plan.hasRoomFor(entry) || this.#isHalfOver(until))) break
      const found = entry === first ? audience : this.#audienceOf(entry, until)
      if (found === null) break
      plan.add(entry, found.groups, found.permitted)
      taken++
    }
    this.#takeOff(taken, plan.bytes)
    return plan
  }

  #takeOff(entries: number, bytes: number): void {
    this.#taken = this.#pending[entries - 1]?.position ?? this.#taken
    this.#pending = entries === this.#pending.length ? [] : this.#pending.slice(entries)
    this.#pendingBytes -= bytes
    if (this.#drained === null || this.isFull) return
    this.#drained.resolve()
    this.#drained = null
  }

  #finish({ count, since }: Batch): void {
    this.#batch = null
    const { loop, observe, witness } = this.#options
    witness?.delivered(this.#taken, count)
    observe({ kind: 'delivered', deliveries: count, ms: loop.now() - since })
  }

  #isHalfOver(until: number): boolean {
    return this.#options.loop.now() > until - this.#options.limits.sliceMs / 2
  }

  /** The readers of the entry. Null: the slice is over; the next call for the entry goes on with the search. */
  #audienceOf(entry: Entry, until: number): Audience | null {
    const { loop, parseUrl } = this.#options
    const search =
      this.#search?.entry === entry
        ? this.#search
        : new Search(entry, this.#routing, this.#identityWeight, parseUrl)
    const audience = search.run(() => loop.now() >= until)
    this.#search = audience === null ? search : null
    return audience
  }
}

export interface DispatchOptions {
  readonly parseUrl: (topic: string) => TopicUrl | null
  readonly loop: Loop
  readonly observe: (event: HubEvent) => void
  readonly witness: Witness | null
  readonly limits: HubLimits
}
