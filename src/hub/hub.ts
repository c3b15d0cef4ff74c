import { ProtocolError } from '../protocol/error.ts'
import type { Identity } from '../protocol/grant.ts'
import type { Matcher } from '../protocol/matcher.ts'
import type { Announcement } from '../protocol/subscription.ts'
import type { HubLocation } from '../protocol/topic.ts'
import { seal, type Update } from '../protocol/update.ts'
import { parseTopicUrl } from '../protocol/url-pattern/pattern.ts'
import type { Work } from '../protocol/work.ts'
import { Announcer } from './announcer.ts'
import { Budget } from './budget.ts'
import { Dispatch } from './dispatch.ts'
import type { HubEvent, HubGauges, HubLimits } from './event.ts'
import type { Loop } from './loop.ts'
import type { Presence } from './presence.ts'
import { Replay } from './replay.ts'
import { type CloseReason, type Cursor, type Sink, Subscriber } from './subscriber.ts'
import { type Entry, type Head, type Position, START, type Transport } from './transport.ts'
import type { Witness } from './witness.ts'

/**
 * The hub: it decides who gets which update, and when.
 *
 * Life of an update: publish -> append -> (the log commits) -> receive -> dispatch, a turn later, together
 * with everything else that the turn brought. Life of a subscriber: locate (settles the cursor) -> subscribe ->
 * replay page by page until `after` is the head -> live -> ended. "Reached the head" and "is live" are one
 * synchronous step, so nothing falls between the past and the present, and no live queue is needed.
 */
export class Hub {
  readonly #transport: Transport
  readonly #loop: Loop
  readonly #sliceMs: number
  readonly #newId: () => string
  readonly #observe: (event: HubEvent) => void
  readonly #witness: Witness | null
  readonly #dispatch: Dispatch
  /** Publications on their way into the log. */
  #appending = 0
  #appended: PromiseWithResolvers<void> | null = null
  readonly #replay: Replay
  readonly #announcer: Announcer | null
  readonly #presence: Presence | null
  readonly #budget: Budget
  readonly #subscribers = new Set<Subscriber>()
  /** The number of times that the tail has lost its place. */
  #losses = 0
  #tap: ((entry: Entry) => void) | null = null
  /** Subscribers that such a loss has ended, with their sinks still to be closed. */
  #lost: Subscriber[] = []
  #head: { position: Position; id: string | null } = { position: START, id: null }
  #state: 'new' | 'open' | 'closing' = 'new'

  constructor(options: HubOptions) {
    this.#transport = options.transport
    this.#loop = options.loop
    this.#sliceMs = options.limits.sliceMs
    this.#newId = options.newId
    this.#presence = options.presence
    this.#announcer = this.#openAnnouncer(options)
    this.#budget = this.#openBudget(options)
    this.#observe = options.observe
    this.#witness = options.witness ?? null
    const parseUrl = (topic: string) => parseTopicUrl(topic, options.location)
    this.#dispatch = new Dispatch({ ...options, witness: this.#witness, parseUrl })
    this.#replay = new Replay({
      ...options,
      witness: this.#witness,
      parseUrl,
      head: () => this.#head.position,
      join: (subscriber) => this.#join(subscriber),
      end: (subscriber, reason) => this.end(subscriber, reason),
    })
  }

  /** Opens the log. Rejects with a plain Error that says what an operator can do. */
  async open(): Promise<void> {
    this.#head = await this.#transport.open(
      (entry) => this.#receive(entry),
      (head) => this.#lose(head),
      () => this.#drained(),
    )
    this.#state = 'open'
  }

  /** The newest entry of the log, whether it was dispatched yet or not. */
  get head(): Head {
    return this.#head
  }

  get subscriberCount(): number {
    return this.#subscribers.size + this.#lost.length
  }

  /** Who is subscribed. Throws a plain Error where the feature is off. */
  get presence(): Presence {
    if (this.#presence === null) throw new Error('active subscriptions are off')
    return this.#presence
  }

  /** Figures of the structures that grow, for gauges. */
  get gauges(): HubGauges {
    return {
      ...this.#dispatch.gauges,
      replaying: this.#replay.size,
      subscribers: this.subscriberCount,
      shedding: this.#budget.step,
      announcingBytes: this.#announcer?.waitingBytes ?? 0,
    }
  }

  /**
   * Resolves with the id when the update is stored as the log promises, not when it is delivered (PUB-53).
   * Rejects with `store-full`, `store-failed`, `store-unavailable` or `shutting-down`.
   */
  async publish(update: Update): Promise<string> {
    this.#checkPublishing()
    if (this.#dispatch.isFull) {
      await this.#dispatch.drained()
      this.#checkPublishing()
    }
    const id = update.id ?? this.#newId()
    const start = this.#loop.now()
    const passage = this.#witness?.appending(update, id) ?? null
    this.#appending++
    try {
      await this.#transport.append(seal(update, id))
    } catch (error) {
      const problem = error instanceof Error ? error.message : 'unknown'
      passage?.failed(problem)
      this.#observe({ kind: 'publish-failed', problem })
      throw error
    } finally {
      if (--this.#appending === 0) this.#appended?.resolve()
    }
    passage?.stored()
    this.#observe({ kind: 'published', ms: this.#loop.now() - start })
    return id
  }

  /**
   * Where a stream with this cursor starts (section 6). `null` is no cursor; an unknown or empty one starts
   * at the head and answers `earliest`. Rejects with `store-unavailable` or `shutting-down`.
   */
  async locate(lastEventId: string | null): Promise<Cursor> {
    if (this.#state !== 'open')
      throw new ProtocolError('shutting-down', 'the hub accepts no more subscribers')
    if (this.#budget.isFull || this.#announcer?.isFull === true)
      throw new ProtocolError('overloaded', 'the hub is short of memory')
    const losses = this.#losses
    if (lastEventId === null) return { after: this.#head.position, lastEventId: null, losses }
    if (lastEventId === 'earliest') return { after: START, lastEventId, losses }
    const position = lastEventId === '' ? null : await this.#transport.find(lastEventId)
    // The log may have found the place in a log that is no more.
    if (losses !== this.#losses) return await this.locate(lastEventId)
    if (position === null) return { after: this.#head.position, lastEventId: 'earliest', losses }
    return { after: position, lastEventId, losses }
  }

  /**
   * Registers a reader. The owner of the sink calls `end` when the connection is gone. `payloads`: those of its
   * subscriptions in order, where the caller has found them already.
   */
  subscribe(
    matchers: readonly Matcher[],
    identity: Identity,
    cursor: Cursor,
    sink: Sink,
    payloads: readonly unknown[] | null = null,
  ): Subscriber {
    const subscriber = new Subscriber(
      this.#newId(),
      matchers,
      identity,
      cursor,
      sink,
      payloads,
      this.#loop.now(),
    )
    this.#subscribers.add(subscriber)
    this.#observe({ kind: 'subscribed' })
    if (this.#state !== 'open') this.end(subscriber, { kind: 'shutdown' })
    else if (cursor.losses !== this.#losses) this.end(subscriber, { kind: 'lost' })
    else {
      this.#announcer?.begin(subscriber)
      this.#replay.start(subscriber)
    }
    return subscriber
  }

  /** The one way out of the hub, for every reason. Ending twice does nothing. */
  end(subscriber: Subscriber, reason: CloseReason): void {
    if (subscriber.state === 'ended') return
    if (subscriber.state === 'live') this.#dispatch.remove(subscriber)
    subscriber.state = 'ended'
    this.#subscribers.delete(subscriber)
    this.#finish(subscriber, reason)
  }

  /**
   * Sees every entry of any node as it comes out of the log, before its readers do; null: nobody looks. It must not
   * throw, and not keep large frames.
   */
  set tap(tap: ((entry: Entry) => void) | null) {
    this.#tap = tap
  }

  /**
   * The groups of live readers that ask for one of the topics, in steps; a reader may be in several. The sets are live.
   * Whether each may read a private update is another question.
   */
  audience(topics: readonly string[]): Work<ReadonlySet<Subscriber>[]> {
    return this.#dispatch.audience(topics)
  }

  /** Whether the log can take a publication now. Rejects with the reason when it cannot. */
  async check(): Promise<void> {
    if (this.#state !== 'open') throw new ProtocolError('shutting-down', 'the hub is not open')
    await this.#transport.check()
  }

  /** Resolves when the hub has written an entry to a reader inside the process, in a turn in which it writes to all. */
  async checkDelivery(): Promise<void> {
    await this.#dispatch.probe()
  }

  /** The number of publications that the log has neither accepted nor refused yet. */
  get appendingCount(): number {
    return this.#appending
  }

  /** Looks at the resident memory of the process, in bytes, and sheds load where it is above the budget. */
  look(residentBytes: number): void {
    this.#budget.look(residentBytes)
  }

  /** Refuses new subscribers and publications from now on; streams live on until they are ended. */
  stop(): void {
    this.#state = 'closing'
  }

  /** Resolves when every publication on its way is in the log, and the hub has written all to the live readers. */
  async settled(): Promise<void> {
    while (this.#appending > 0) {
      this.#appended = Promise.withResolvers()
      await this.#appended.promise
    }
    await this.#dispatch.settled()
  }

  /** The subscribers of this moment, for a caller that ends them one by one. */
  get subscribers(): readonly Subscriber[] {
    return [...this.#subscribers]
  }

  /** Ends every stream and lets go of the log. */
  async close(): Promise<void> {
    this.stop()
    for (const subscriber of this.#subscribers) this.end(subscriber, { kind: 'shutdown' })
    for (const subscriber of this.#lost.splice(0)) this.#finish(subscriber, { kind: 'lost' })
    await this.#announcer?.settle()
    await this.#transport.close()
  }

  /** Resolves when the readers have caught up with what is accepted; null: they have. */
  #drained(): Promise<void> | null {
    return this.#dispatch.isFull ? this.#dispatch.drained() : null
  }

  #checkPublishing(): void {
    if (this.#state === 'open') return
    throw new ProtocolError('shutting-down', 'the hub accepts no more publications')
  }

  #openAnnouncer({
    presence,
    location,
    loop,
    presenceGraceMs: graceMs,
    announce,
    limits,
  }: HubOptions): Announcer | null {
    if (presence === null) return null
    return new Announcer({
      presence,
      location,
      loop,
      graceMs,
      announce,
      waitingBytesMax: limits.pendingBytes,
      drained: () => this.#drained(),
      append: (update) => this.#transport.append(seal(update, this.#newId())),
      onFailure: () => this.#observe({ kind: 'announcement-failed' }),
    })
  }

  #openBudget({ limits, collectGarbage, observe }: HubOptions): Budget {
    return new Budget({
      limitBytes: limits.memoryBytes,
      dropCaches: () => {
        this.#dispatch.forget()
        collectGarbage()
      },
      endReplays: () => this.#shed(this.subscribers.filter(({ state }) => state === 'catching-up')),
      cutSlowest: () => this.#shed(slowest(this.subscribers)),
      observe,
    })
  }

  #shed(subscribers: readonly Subscriber[]): void {
    for (const subscriber of subscribers) this.end(subscriber, { kind: 'shed' })
  }

  #receive(entry: Entry): void {
    this.#head = { position: entry.position, id: entry.id }
    this.#witness?.received(entry)
    this.#tap?.(entry)
    this.#dispatch.add(entry)
  }

  #join(subscriber: Subscriber): void {
    subscriber.state = 'live'
    this.#witness?.caughtUp(subscriber)
    this.#dispatch.join(subscriber)
  }

  /**
   * The tail missed the entries between the last that it has seen and `head`, or all of the log is another one. In one
   * step nobody reads or waits any more, so that no reader gets an entry from beyond the gap; the hub then ends their
   * streams in slices. The readers come back, and the log says whether their cursor still holds.
   */
  #lose(head: Head): void {
    this.#head = head
    this.#losses++
    this.#witness?.lost()
    this.#dispatch.reset()
    this.#replay.reset()
    const isUnderWay = this.#lost.length > 0
    for (const subscriber of this.#subscribers) {
      subscriber.state = 'ended'
      this.#lost.push(subscriber)
    }
    this.#subscribers.clear()
    if (!isUnderWay) this.#endLost()
  }

  #endLost(): void {
    const until = this.#loop.now() + this.#sliceMs
    for (let next = this.#lost.pop(); next !== undefined; next = this.#lost.pop()) {
      this.#finish(next, { kind: 'lost' })
      if (this.#lost.length % LOST_BETWEEN_CLOCKS === 0 && this.#loop.now() >= until) break
    }
    if (this.#lost.length > 0) this.#loop.later(() => this.#endLost())
  }

  #finish(subscriber: Subscriber, reason: CloseReason): void {
    subscriber.sink.close(reason)
    this.#announcer?.end(subscriber, reason)
    this.#witness?.ended(subscriber)
    this.#observe({ kind: 'unsubscribed', reason })
  }
}

const LOST_BETWEEN_CLOCKS = 64

/** The readers with the most waiting bytes: as few of them as hold half of all waiting bytes. */
function slowest(subscribers: readonly Subscriber[]): readonly Subscriber[] {
  const waiting = subscribers
    .filter(({ sink }) => sink.waitingBytes > 0)
    .sort((left, right) => right.sink.waitingBytes - left.sink.waitingBytes)
  let left = waiting.reduce((sum, { sink }) => sum + sink.waitingBytes, 0) / 2
  return waiting.filter(({ sink }) => {
    const isCut = left > 0
    left -= sink.waitingBytes
    return isCut
  })
}

/** The parts of the hub. Everything that is not a decision comes in from outside. */
export interface HubOptions {
  readonly transport: Transport
  readonly location: HubLocation
  readonly loop: Loop
  /** A random IRI, for updates and subscribers (PUB-33, PUB-34). */
  readonly newId: () => string
  readonly observe: (event: HubEvent) => void
  /** Follows single updates and subscribers; by default nobody does. */
  readonly witness?: Witness | null | undefined
  /** Keeps who is subscribed; with null the hub tells nobody (ACT-01). */
  readonly presence: Presence | null
  /** Makes the events that tell who is subscribed; by default as 1.0 has them. */
  readonly announce?: Announcement | undefined
  /** The time for which the hub holds back the end of a known holder's stream, in milliseconds. */
  readonly presenceGraceMs: number
  /** Frees the memory of everything that the hub has let go of. */
  readonly collectGarbage: () => void
  readonly limits: HubLimits
}
