import { isSelected, type Subscription, type SubscriptionPath } from '../protocol/subscription.ts'

/** Stores the events of the subscriptions, each when the hub has room for it. Rejects as `Transport.append` does. */
export type Tell = (subscriptions: readonly Subscription[], active: boolean) => Promise<void>

/**
 * Knows who is subscribed, on every node of the hub, and has it told. A presence that several nodes share stores a row
 * together with its events, in one step that happens once; one that cannot do that calls `tell` when its row stands.
 */
export interface Presence {
  /** Resolves when `find` finds the subscriptions of one subscriber and their events are stored. Rejects as `tell` does. */
  join(subscriber: string, subscriptions: readonly Subscription[], tell: Tell): Promise<void>
  /** Resolves when `find` does not find them any more and their events are stored. Leaving twice does nothing. */
  leave(subscriber: string, tell: Tell): Promise<void>
  /**
   * The active subscriptions that the path selects, each once, in pages: there may be millions, and between two pages
   * others may have their turn. Those of one subscriber keep their order, and one process has the oldest subscriber
   * first. A subscription that begins or ends meanwhile may be among them.
   */
  find(path: SubscriptionPath): AsyncIterable<readonly Subscription[]>
}

/** The presence of a hub that is one process. Holds nothing but active subscriptions. */
export class LocalPresence implements Presence {
  readonly #active = new Map<string, readonly Subscription[]>()

  async join(subscriber: string, subscriptions: readonly Subscription[], tell: Tell): Promise<void> {
    this.#active.set(subscriber, subscriptions)
    await tell(subscriptions, true)
  }

  async leave(subscriber: string, tell: Tell): Promise<void> {
    const subscriptions = this.#active.get(subscriber)
    if (subscriptions === undefined) return
    this.#active.delete(subscriber)
    await tell(subscriptions, false)
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
