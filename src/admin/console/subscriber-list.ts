import type { Subscriber } from '../../hub/subscriber.ts'
import { payloadFor } from '../../protocol/grant.ts'
import type { Work } from '../../protocol/work.ts'
import type { SubscriberPage, SubscriberRow } from './answers.ts'
import { Refusal } from './refusal.ts'
import type { ConsoleSources } from './sources.ts'

/** The streams of a hub, in pages. A holder is never shown, only a hash of it under a key of this run. */
export class SubscriberList {
  readonly #sources: ConsoleSources
  readonly #key = crypto.getRandomValues(new Uint8Array(32))

  constructor(sources: ConsoleSources) {
    this.#sources = sources
  }

  /** Throws a Refusal for an order that is not known, and a page beyond the last. */
  async page(asked: URLSearchParams): Promise<SubscriberPage> {
    const { hub, drive } = this.#sources
    const filter = asked.get('filter') ?? ''
    const order = orders.get(asked.get('order') ?? 'waiting')
    const skipped = Number(asked.get('after') ?? 0)
    if (order === undefined) throw new Refusal(400, 'the order is not known')
    if (!Number.isInteger(skipped) || skipped < 0 || skipped > SKIPPED_MAX || filter.length > 1000)
      throw new Refusal(400, `there are ${SKIPPED_MAX} rows at most: filter instead`)
    const head = hub.head.position
    const all = hub.subscribers
    const key = (one: Subscriber) => order(one, behind(one, head))
    const { matched, best } = await drive(this.#select(all, filter, key, skipped + PAGE))
    const rows = best.slice(skipped).map((one) => this.#row(one, head))
    const isLast = matched <= skipped + PAGE || skipped + PAGE > SKIPPED_MAX
    return { total: all.length, matched, rows, next: isLast ? null : String(skipped + PAGE) }
  }

  /** The first of those that match, in order, in steps: the list holds twice as many as asked for at most. */
  *#select(
    all: readonly Subscriber[],
    filter: string,
    key: (one: Subscriber) => number,
    many: number,
  ): Work<{ readonly matched: number; readonly best: readonly Subscriber[] }> {
    let matched = 0
    let held: { readonly one: Subscriber; readonly key: number }[] = []
    const cut = () => {
      held = held.sort((left, right) => right.key - left.key).slice(0, many)
    }
    for (const [at, one] of all.entries()) {
      if (at % STEP === STEP - 1) yield
      if (filter !== '' && !this.#matches(one, filter)) continue
      matched++
      held.push({ one, key: key(one) })
      if (held.length >= 2 * many) cut()
    }
    cut()
    return { matched, best: held.map(({ one }) => one) }
  }

  #matches(one: Subscriber, filter: string): boolean {
    if (one.id.includes(filter) || one.matchers.some(({ pattern }) => pattern.includes(filter))) return true
    return filter.length === HOLDER && this.#holderOf(one) === filter
  }

  #row(one: Subscriber, head: number): SubscriberRow {
    const { loop, wall, settings } = this.#sources
    const [first] = one.matchers
    const payload =
      first === undefined ? undefined : (one.payloads?.[0] ?? payloadFor(one.identity, first.pattern))
    const isShown = settings().payloads === 'all' && payload !== undefined && payload !== null
    return {
      id: one.id,
      matchers: one.matchers
        .slice(0, MATCHERS_MAX)
        .map(({ type, pattern }) => ({ type, pattern: pattern.slice(0, PATTERN_MAX) })),
      state: one.state,
      behind: behind(one, head),
      openedAt: Math.round(wall() - (loop.now() - one.openedAt)),
      waiting: one.sink.waitingBytes,
      holder: this.#holderOf(one),
      payload: isShown ? JSON.stringify(payload).slice(0, PATTERN_MAX) : null,
      expiresAt: one.identity.expiresAt,
    }
  }

  #holderOf({ identity }: Subscriber): string | null {
    if (identity.holder === null) return null
    const hash = new Bun.CryptoHasher('sha256', this.#key).update(identity.holder)
    return hash.digest('base64url').slice(0, HOLDER)
  }
}

/** A live reader has all that the hub has dispatched. */
function behind({ state, after }: Subscriber, head: number): number {
  return state === 'live' ? 0 : Math.max(0, head - after)
}

type Order = (one: Subscriber, behind: number) => number

const orders: ReadonlyMap<string, Order> = new Map<string, Order>([
  ['waiting', ({ sink }) => sink.waitingBytes],
  ['newest', ({ openedAt }) => openedAt],
  ['oldest', ({ openedAt }) => -openedAt],
  ['behind', (_, behind) => behind],
])

const PAGE = 100
const SKIPPED_MAX = 2000
const STEP = 500
const HOLDER = 8
const MATCHERS_MAX = 20
const PATTERN_MAX = 500
