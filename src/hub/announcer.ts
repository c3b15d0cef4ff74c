import { payloadFor } from '../protocol/grant.ts'
import { type Subscription, subscriptionUpdate } from '../protocol/subscription.ts'
import type { HubLocation } from '../protocol/topic.ts'
import type { Update } from '../protocol/update.ts'
import type { Loop } from './loop.ts'
import type { Presence } from './presence.ts'
import type { CloseReason, Subscriber } from './subscriber.ts'

/**
 * Tells who subscribes (section 7): presence first, then an event for each subscription; at the end the other
 * way round. The events of one subscriber keep their order however long the log takes.
 *
 * When a known holder's connection ends, its end is held back for a moment: a client that reconnects is
 * announced under its new id first and the old one is then ended, so that whoever counts never sees it gone.
 */
export class Announcer {
  readonly #options: AnnouncerOptions
  readonly #begun = new Map<Subscriber, Promise<void>>()
  readonly #held = new Map<string, Held[]>()
  readonly #underWay = new Set<Promise<void>>()

  constructor(options: AnnouncerOptions) {
    this.#options = options
  }

  /** Ends that are held back now, for the gauge. */
  get heldCount(): number {
    return this.#held.size
  }

  /** The subscriber is registered: its subscriptions exist from now on (ACT-10). */
  begin(subscriber: Subscriber): void {
    const subscriptions = subscriptionsOf(subscriber)
    const begun = this.#track(async () => {
      await this.#options.presence.join(subscriber.id, subscriptions)
      await this.#publish(subscriptions, true)
      if (!subscriber.isEnded) this.#release(subscriber)
    })
    this.#begun.set(subscriber, begun)
  }

  /** The connection has ended, for whatever reason (ACT-11). */
  end(subscriber: Subscriber, reason: CloseReason): void {
    const begun = this.#begun.get(subscriber)
    if (begun === undefined) return
    const mayReturn = reason.kind === 'client' || reason.kind === 'lifetime' || reason.kind === 'slow'
    const key = holderKey(subscriber)
    if (!mayReturn || key === null || this.#options.graceMs === 0) {
      this.#finish(subscriber, begun)
      return
    }
    const held: Held = { finish: () => this.#finish(subscriber, begun), cancel: () => {} }
    held.cancel = this.#options.loop.delay(this.#options.graceMs, () => {
      this.#unhold(key, held)
      held.finish()
    })
    this.#held.set(key, [...(this.#held.get(key) ?? []), held])
  }

  /** Ends what is held back, and resolves when everything was told. */
  async settle(): Promise<void> {
    for (const held of [...this.#held.values()].flat()) {
      held.cancel()
      held.finish()
    }
    this.#held.clear()
    while (this.#underWay.size > 0) await Promise.all(this.#underWay)
  }

  #finish(subscriber: Subscriber, begun: Promise<void>): void {
    this.#begun.delete(subscriber)
    void this.#track(async () => {
      await begun
      await this.#options.presence.leave(subscriber.id)
      await this.#publish(subscriptionsOf(subscriber), false)
    })
  }

  /** The holder is back with the same matchers: one of its old connections is over. */
  #release(subscriber: Subscriber): void {
    const key = holderKey(subscriber)
    const held = key === null ? undefined : this.#held.get(key)?.[0]
    if (key === null || held === undefined) return
    held.cancel()
    this.#unhold(key, held)
    held.finish()
  }

  #unhold(key: string, held: Held): void {
    const left = (this.#held.get(key) ?? []).filter((other) => other !== held)
    if (left.length === 0) this.#held.delete(key)
    else this.#held.set(key, left)
  }

  async #publish(subscriptions: readonly Subscription[], active: boolean): Promise<void> {
    const { location, append } = this.#options
    await Promise.all(subscriptions.map((one) => append(subscriptionUpdate(location, one, active))))
  }

  /** A failure is the store's: it shows in its own checks, and the stream does not depend on it. */
  #track(run: () => Promise<void>): Promise<void> {
    const promise = run().catch(() => this.#options.onFailure())
    this.#underWay.add(promise)
    return promise.finally(() => this.#underWay.delete(promise))
  }
}

export interface AnnouncerOptions {
  readonly location: HubLocation
  readonly presence: Presence
  /** Stores an update of the hub's own. */
  readonly append: (update: Update) => Promise<void>
  readonly onFailure: () => void
  /** How long the end of a known holder's connection is held back, in milliseconds; 0 is not at all. */
  readonly graceMs: number
  readonly loop: Loop
}

interface Held {
  readonly finish: () => void
  cancel: () => void
}

function subscriptionsOf({ id, matchers, identity }: Subscriber): readonly Subscription[] {
  return matchers.map(({ type, pattern }) => ({
    matchType: type,
    match: pattern,
    subscriber: id,
    payload: payloadFor(identity, pattern),
  }))
}

/** The same holder with the same matchers; null for nobody in particular. */
function holderKey({ identity, matchers }: Subscriber): string | null {
  if (identity.holder === null) return null
  const texts = matchers.map(({ type, pattern }) => `${type}\t${pattern}`).sort()
  return [identity.holder, ...texts].join('\n')
}
