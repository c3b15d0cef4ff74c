import { isSelected, type Subscription, type SubscriptionPath } from '../protocol/subscription.ts'

/** Knows who is subscribed, on every node of the hub. */
export interface Presence {
  /** Resolves when `find` finds the subscriptions of one subscriber. */
  join(subscriber: string, subscriptions: readonly Subscription[]): Promise<void>
  /** Resolves when `find` does not find them any more. Leaving twice does nothing. */
  leave(subscriber: string): Promise<void>
  /**
   * The active subscriptions that the path selects, oldest subscriber first, in pages: there may be millions, and
   * between two pages others may have their turn. A subscription that begins or ends meanwhile may be among them.
   */
  find(path: SubscriptionPath): AsyncIterable<readonly Subscription[]>
}

/** The presence of a hub that is one process. Holds nothing but active subscriptions. */
export class LocalPresence implements Presence {
  readonly #active = new Map<string, readonly Subscription[]>()

  async join(subscriber: string, subscriptions: readonly Subscription[]): Promise<void> {
    this.#active.set(subscriber, subscriptions)
  }

  async leave(subscriber: string): Promise<void> {
    this.#active.delete(subscriber)
  }

  async *find(path: SubscriptionPath): AsyncIterable<readonly Subscription[]> {
    if (path.kind === 'one') {
      const own = this.#active.get(path.subscriber) ?? []
      yield own.filter((subscription) => isSelected(subscription, path))
      return
    }
    let page: Subscription[] = []
    let seen = 0
    for (const subscriptions of this.#active.values()) {
      for (const subscription of subscriptions) if (isSelected(subscription, path)) page.push(subscription)
      seen += subscriptions.length
      if (seen < PAGE) continue
      yield page
      page = []
      seen = 0
    }
    yield page
  }
}

/** The number of subscriptions that a page looks at, in about a tenth of a millisecond. */
const PAGE = 1000
