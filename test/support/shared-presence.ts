import type { Presence } from '../../src/hub/presence.ts'
import {
  isSelected,
  type Subscription,
  type SubscriptionPath,
  subscriptionUpdate,
} from '../../src/protocol/subscription.ts'
import { seal } from '../../src/protocol/update.ts'
import { location } from './hub.ts'
import type { SharedLog } from './shared-log.ts'

/** Who is subscribed on all nodes, as a server keeps it: a row changes together with its events, in one step. */
export class SharedRows {
  /** Time in seconds. */
  now = 0
  readonly rows = new Map<string, Map<string, readonly Subscription[]>>()
  readonly leases = new Map<string, number>()
  /** Nodes whose lease came with a row, since they had lost their own. */
  readonly borrowed = new Set<string>()
  readonly #log: SharedLog
  #events = 0

  constructor(log: SharedLog) {
    this.#log = log
  }

  /** Nobody but the node itself changes its rows while its lease holds. */
  store(active: boolean, by: string, owner: string, subscriber: string, all: readonly Subscription[]): void {
    const rows = this.rows.get(owner) ?? new Map<string, readonly Subscription[]>()
    this.rows.set(owner, rows)
    if (by !== owner && (this.leases.get(owner) ?? 0) > this.now) return
    if (active && !this.leases.has(owner)) {
      this.leases.set(owner, this.now + LEASE)
      this.borrowed.add(owner)
    }
    if (active === rows.has(subscriber)) return
    if (active) rows.set(subscriber, all)
    else rows.delete(subscriber)
    for (const one of all)
      this.#log.add(seal(subscriptionUpdate(location, one, active), `event-${++this.#events}`))
  }
}

/** The presence of one node on such rows. While the server is away it gives up, and makes up for it afterwards. */
export class SharedPresence implements Presence {
  readonly name = crypto.randomUUID()
  isUp = true
  readonly #rows: SharedRows
  readonly #own = new Map<string, readonly Subscription[]>()
  #isInDoubt = false

  constructor(rows: SharedRows) {
    this.#rows = rows
    this.tick()
  }

  async join(subscriber: string, subscriptions: readonly Subscription[]): Promise<void> {
    this.#own.set(subscriber, subscriptions)
    this.#store(true, this.name, subscriber, subscriptions)
  }

  async leave(subscriber: string): Promise<void> {
    const subscriptions = this.#own.get(subscriber)
    this.#own.delete(subscriber)
    if (subscriptions !== undefined) this.#store(false, this.name, subscriber, subscriptions)
  }

  async *find(path: SubscriptionPath): AsyncIterable<readonly Subscription[]> {
    for (const rows of this.#rows.rows.values())
      yield [...rows.values()].flat().filter((one) => isSelected(one, path))
  }

  /** Extends the lease, compares when there is a doubt, and tells the ends of dead nodes. */
  tick(): void {
    if (!this.isUp) return
    const { leases, rows, now, borrowed } = this.#rows
    if ((leases.get(this.name) ?? 0) <= now || borrowed.delete(this.name)) this.#isInDoubt = true
    leases.set(this.name, now + LEASE)
    if (this.#isInDoubt) this.#compare()
    for (const [owner, lease] of leases) {
      if (lease > now) continue
      for (const [subscriber, all] of rows.get(owner) ?? []) this.#store(false, owner, subscriber, all)
      leases.delete(owner)
    }
  }

  #compare(): void {
    this.#isInDoubt = false
    const there = this.#rows.rows.get(this.name) ?? new Map<string, readonly Subscription[]>()
    for (const [subscriber, all] of there)
      if (!this.#own.has(subscriber)) this.#store(false, this.name, subscriber, all)
    for (const [subscriber, all] of this.#own) this.#store(true, this.name, subscriber, all)
  }

  #store(active: boolean, owner: string, subscriber: string, all: readonly Subscription[]): void {
    if (this.isUp) this.#rows.store(active, this.name, owner, subscriber, all)
    else this.#isInDoubt = true
  }
}

const LEASE = 10
