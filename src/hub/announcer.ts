import {
  type Announcement,
  type Subscription,
  subscriptionBytes,
  subscriptionsOf,
  subscriptionUpdate,
} from '../protocol/subscription.ts'
import type { HubLocation } from '../protocol/topic.ts'
import type { Update } from '../protocol/update.ts'
import type { Loop } from './loop.ts'
import type { Presence, Tell } from './presence.ts'
import type { CloseReason, Subscriber } from './subscriber.ts'

/**
 * Has it told who subscribes (section 7): the presence keeps that and has an event stored for each subscription. The
 * events of one subscriber keep their order even when the log is slow.
 *
 * When a known holder's connection ends, the announcer holds back its end for a moment: it announces a client that
 * reconnects under its new id first and then ends the old one, so that a reader that counts never sees it gone.
 *
 * Events wait like publications while the hub accepts more than it can deliver. The announcer counts the bytes of all
 * events that are still to be told: connections that come and go faster than the log takes their events must not fill
 * the memory.
 */
export class Announcer {
  readonly #options: AnnouncerOptions
  readonly #begun = new Map<Subscriber, Begun>()
  readonly #held = new Map<string, Held[]>()
  readonly #underWay = new Set<Promise<void>>()
  #waitingBytes = 0
  #appendingBytes = 0
  #room: PromiseWithResolvers<void> | null = null

  constructor(options: AnnouncerOptions) {
    this.#options = options
  }

  /** Bytes of events that are still to be stored, those of ends that are held back included. */
  get waitingBytes(): number {
    return this.#waitingBytes
  }

  /** Whether more events wait than may: the hub should let no subscriber in. */
  get isFull(): boolean {
    return this.#waitingBytes > this.#options.waitingBytesMax
  }

  /** The subscriber is registered: its subscriptions exist from now on (ACT-10). */
  begin(subscriber: Subscriber): void {
    const subscriptions = allOf(subscriber)
    const bytes = subscriptions.reduce((sum, one) => sum + subscriptionBytes(one), 0)
    const told = this.#track(bytes, async () => {
      await this.#options.presence.join(subscriber.id, subscriptions, this.#tell)
      if (!subscriber.isEnded) this.#release(subscriber)
    })
    this.#begun.set(subscriber, { told, bytes })
  }

  /** The connection has ended, for any reason (ACT-11). */
  end(subscriber: Subscriber, reason: CloseReason): void {
    const begun = this.#begun.get(subscriber)
    if (begun === undefined) return
    const mayReturn = returning.has(reason.kind)
    const key = holderKey(subscriber)
    if (!mayReturn || key === null || this.#options.graceMs === 0 || this.isFull) {
      this.#finish(subscriber, begun)
      return
    }
    this.#waitingBytes += begun.bytes
    const finish = () => {
      this.#waitingBytes -= begun.bytes
      this.#finish(subscriber, begun)
    }
    const held: Held = { finish, cancel: () => {} }
    held.cancel = this.#options.loop.delay(this.#options.graceMs, () => {
      this.#unhold(key, held)
      held.finish()
    })
    this.#held.set(key, [...(this.#held.get(key) ?? []), held])
  }

  /** Tells the ends that are held back, and resolves when every event was told. */
  async settle(): Promise<void> {
    for (const held of [...this.#held.values()].flat()) {
      held.cancel()
      held.finish()
    }
    this.#held.clear()
    while (this.#underWay.size > 0) await Promise.all(this.#underWay)
  }

  #finish(subscriber: Subscriber, { told, bytes }: Begun): void {
    this.#begun.delete(subscriber)
    void this.#track(bytes, async () => {
      await told
      await this.#options.presence.leave(subscriber.id, this.#tell)
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

  /** Makes each event when there is room for it, and not before. */
  readonly #tell: Tell = async (subscriptions, active) => {
    const { location, append, announce = subscriptionUpdate } = this.#options
    const appending: Promise<void>[] = []
    for (const one of subscriptions) {
      // Awaits only where it must: the log stores events of one turn together.
      for (let wait = this.#wait(); wait !== null; wait = this.#wait()) await wait
      const bytes = subscriptionBytes(one)
      this.#appendingBytes += bytes
      const appended = append(announce(location, one, active)).finally(() => this.#landed(bytes))
      // `#publish` awaits it below, when all are on their way.
      appended.catch(() => {})
      appending.push(appended)
    }
    await Promise.all(appending)
  }

  /** Resolves when the next event may be made; null: it may be made now. */
  #wait(): Promise<void> | null {
    const wait = this.#options.drained()
    if (wait !== null || this.#appendingBytes <= APPENDING_BYTES) return wait
    this.#room ??= Promise.withResolvers()
    return this.#room.promise
  }

  #landed(bytes: number): void {
    this.#appendingBytes -= bytes
    if (this.#appendingBytes > APPENDING_BYTES) return
    this.#room?.resolve()
    this.#room = null
  }

  /** A failure is the store's: its own checks show it, and the stream does not depend on it. */
  #track(bytes: number, run: () => Promise<void>): Promise<void> {
    this.#waitingBytes += bytes
    const promise = run().catch(() => this.#options.onFailure())
    this.#underWay.add(promise)
    return promise.finally(() => {
      this.#waitingBytes -= bytes
      this.#underWay.delete(promise)
    })
  }
}
export interface AnnouncerOptions {
  readonly location: HubLocation
  readonly presence: Presence
  /** Stores an update of the hub's own. */
  readonly append: (update: Update) => Promise<void>
  /** Resolves when readers have caught up with all accepted updates; null: they have. */
  readonly drained: () => Promise<void> | null
  /** By default that of 1.0; another one where a hub speaks an earlier generation too. */
  readonly announce?: Announcement | undefined
  readonly onFailure: () => void
  /** The time for which the end of a known holder's connection is held back, in milliseconds; 0 is not at all. */
  readonly graceMs: number
  /** Bytes of events that may wait before the hub lets no subscriber in. */
  readonly waitingBytesMax: number
  readonly loop: Loop
}

/** The ends after which a client comes back at once. */
const returning: ReadonlySet<CloseReason['kind']> = new Set(['client', 'lifetime', 'slow', 'operator'])

/** Events on their way into the log at a time, in bytes. */
const APPENDING_BYTES = 1024 * 1024

interface Begun {
  /** Resolves when the subscriber's beginning was told, or could not be. */
  readonly told: Promise<void>
  readonly bytes: number
}

interface Held {
  readonly finish: () => void
  cancel: () => void
}

function allOf({ id, matchers, identity, payloads }: Subscriber): readonly Subscription[] {
  return subscriptionsOf(id, matchers, identity, payloads)
}

/** A text that is equal for the same holder with the same matchers; null for nobody in particular. */
function holderKey({ identity, matchers }: Subscriber): string | null {
  if (identity.holder === null) return null
  const texts = matchers.map(({ type, pattern }) => `${type}\t${pattern}`).sort()
  return [identity.holder, ...texts].join('\n')
}
