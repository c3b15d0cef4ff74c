import { isSelected, type Subscription, type SubscriptionPath } from '../protocol/subscription.ts'

/** Who is subscribed, on every node of the hub. */
export interface Presence {
  /** Resolves when the subscriptions of one subscriber can be found. */
  join(subscriber: string, subscriptions: readonly Subscription[]): Promise<void>
  /** Resolves when they cannot be found any more. Leaving twice does nothing. */
  leave(subscriber: string): Promise<void>
  /** The active subscriptions that the path selects, oldest subscriber first. */
  find(path: SubscriptionPath): Promise<readonly Subscription[]>
}

/** The presence of a hub that is one process. Holds nothing but what is active. */
export class LocalPresence implements Presence {
  readonly #active = new Map<string, readonly Subscription[]>()

  /** Subscribers that are present, for the gauge. */
  get size(): number {
    return this.#active.size
  }

  async join(subscriber: string, subscriptions: readonly Subscription[]): Promise<void> {
    this.#active.set(subscriber, subscriptions)
  }

  async leave(subscriber: string): Promise<void> {
    this.#active.delete(subscriber)
  }

  async find(path: SubscriptionPath): Promise<readonly Subscription[]> {
    if (path.kind !== 'one') return [...this.#all()].filter((subscription) => isSelected(subscription, path))
    const own = this.#active.get(path.subscriber) ?? []
    return own.filter((subscription) => isSelected(subscription, path))
  }

  *#all(): Iterable<Subscription> {
    for (const subscriptions of this.#active.values()) yield* subscriptions
  }
}
