import type { Presence } from '../../hub/presence.ts'
import {
  isSelected,
  type Subscription,
  type SubscriptionPath,
  subscriptionBytes,
} from '../../protocol/subscription.ts'
import type { Envelope } from '../../protocol/update.ts'
import { NODES, REAP, ROW, SCAN } from './scripts/nodes.ts'
import type { RedisTransport } from './transport.ts'

/** Makes the events that tell of subscriptions. */
export type Events = (subscriptions: readonly Subscription[], active: boolean) => readonly Envelope[]

/**
 * Who is subscribed, on all nodes. A row and its events are stored in one step, so that each beginning and each end is
 * told once. The presence knows which rows its node should have, and compares after each new session and whenever its
 * lease had run out: another node may have told that this one is dead.
 */
export class RedisPresence implements Presence {
  readonly #log: RedisTransport
  readonly #events: Events
  readonly #clock: () => number
  readonly #own = new Map<string, Row>()
  #repairing: Promise<void> | null = null
  #isInDoubt = false
  readonly #reaping = new Set<string>()
  #reaped = 0

  /** `clock`: milliseconds since the epoch, for when a subscriber joined. */
  constructor(log: RedisTransport, events: Events, clock: () => number) {
    this.#log = log
    this.#events = events
    this.#clock = clock
    log.listen({ onDoubt: () => this.#repair(), onDead: (node) => void this.#reap(node) })
  }

  /** The number of subscribers of dead nodes whose ends this one has told. */
  get reaped(): number {
    return this.#reaped
  }

  async join(subscriber: string, subscriptions: readonly Subscription[]): Promise<void> {
    const row = { document: documentOf(this.#clock(), subscriptions), subscriptions }
    this.#own.set(subscriber, row)
    await this.#store('j', this.#log.node, subscriber, row)
  }

  async leave(subscriber: string): Promise<void> {
    const row = this.#own.get(subscriber)
    if (row === undefined) return
    this.#own.delete(subscriber)
    await this.#store('l', this.#log.node, subscriber, row)
  }

  async *find(path: SubscriptionPath): AsyncIterable<readonly Subscription[]> {
    const nodes = (await this.#log.ask(NODES, () => [])).map(String)
    for (const node of nodes) {
      const pages = path.kind === 'one' ? this.#row(node, path.subscriber) : this.#rows(node)
      for await (const rows of pages) {
        yield rows.flatMap(({ subscriptions }) => subscriptions.filter((one) => isSelected(one, path)))
      }
    }
  }

  async *#row(node: string, subscriber: string): AsyncGenerator<readonly Row[]> {
    const [document] = await this.#log.ask(ROW, () => [node, subscriber])
    if (document !== undefined) yield [parseDocument(subscriber, String(document))]
  }

  /** The rows of a node in pages, each once: a hash that grows meanwhile shows some twice. */
  async *#rows(node: string): AsyncGenerator<readonly (Row & { readonly subscriber: string })[]> {
    const seen = new Set<string>()
    let cursor = '0'
    do {
      const [next, page] = await this.#log.ask(SCAN, () => [node, cursor])
      cursor = String(next)
      const found = pairsOf(page).filter(([subscriber]) => !seen.has(subscriber))
      for (const [subscriber] of found) seen.add(subscriber)
      yield found.map(([subscriber, document]) => ({ subscriber, ...parseDocument(subscriber, document) }))
    } while (cursor !== '0')
  }

  async #store(kind: 'j' | 'l', owner: string, subscriber: string, row: Row): Promise<void> {
    const { document, subscriptions } = row
    const bytes = subscriptions.reduce((sum, one) => sum + subscriptionBytes(one), document.length)
    const make = () => this.#events(subscriptions, kind === 'j')
    const updates = subscriptions.length
    await this.#log.store({ kind, owner, subscriber, document, updates, bytes, make })
  }

  /** One comparison at a time; a doubt that comes meanwhile makes another one. */
  #repair(): void {
    this.#isInDoubt = true
    this.#repairing ??= this.#compare()
      // The next session or the next tick doubts again.
      .catch(() => {})
      .finally(() => {
        this.#repairing = null
      })
  }

  async #compare(): Promise<void> {
    while (this.#isInDoubt) {
      this.#isInDoubt = false
      // A subscriber that joins from now on stores its own row.
      const wanted = new Map(this.#own)
      const there = new Set<string>()
      for await (const rows of this.#rows(this.#log.node)) {
        for (const row of rows) {
          there.add(row.subscriber)
          if (!this.#own.has(row.subscriber))
            void this.#store('l', this.#log.node, row.subscriber, row).catch(() => {})
        }
      }
      await this.#storeMissing([...wanted].filter(([subscriber]) => !there.has(subscriber)))
    }
  }

  /** A few at a time: after a lost log these may be all. */
  async #storeMissing(missing: readonly (readonly [string, Row])[]): Promise<void> {
    for (let at = 0; at < missing.length; at += REPAIRED_TOGETHER) {
      const stored = missing
        .slice(at, at + REPAIRED_TOGETHER)
        .filter(([subscriber, row]) => this.#own.get(subscriber) === row)
        .map(([subscriber, row]) => this.#store('j', this.#log.node, subscriber, row))
      await Promise.all(stored)
    }
  }

  /** Tells the ends of all subscriptions of a dead node, page by page. */
  async #reap(node: string): Promise<void> {
    if (this.#reaping.has(node)) return
    this.#reaping.add(node)
    try {
      for (;;) {
        const page = pairsOf(await this.#log.ask(REAP, () => [this.#log.time, this.#log.log, node]))
        if (page.length === 0) return
        const ends = page.map(([subscriber, document]) =>
          this.#store('l', node, subscriber, parseDocument(subscriber, document)),
        )
        await Promise.all(ends)
        this.#reaped += page.length
      }
    } catch {
      // The claim runs out, and this node or another one goes on.
    } finally {
      this.#reaping.delete(node)
    }
  }
}

const REPAIRED_TOGETHER = 200

interface Row {
  readonly document: string
  readonly subscriptions: readonly Subscription[]
}

/** A row as the log keeps it: when the subscriber joined, then type, match and payload of each subscription. */
function documentOf(joined: number, subscriptions: readonly Subscription[]): string {
  const members = subscriptions.map(({ matchType, match, payload }) =>
    payload === undefined ? [matchType, match] : [matchType, match, payload],
  )
  return JSON.stringify([joined, ...members])
}

function parseDocument(subscriber: string, document: string): Row {
  const parsed: unknown = JSON.parse(document)
  const [, ...members] = Array.isArray(parsed) ? parsed : []
  const subscriptions = members.map((member: unknown) => {
    const [matchType, match, payload]: unknown[] = Array.isArray(member) ? member : []
    const subscription = { matchType: String(matchType), match: String(match), subscriber }
    return payload === undefined ? subscription : { ...subscription, payload }
  })
  return { document, subscriptions }
}

/** Fields and values of a hash, flat or in a list of their own. */
function pairsOf(page: unknown): readonly (readonly [string, string])[] {
  const flat = Array.isArray(page) ? page.map(String) : []
  return Array.from({ length: Math.floor(flat.length / 2) }, (_, at) => [
    flat[2 * at] ?? '',
    flat[2 * at + 1] ?? '',
  ])
}
