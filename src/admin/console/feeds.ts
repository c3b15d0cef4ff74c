import type { CloseReason } from '../../hub/subscriber.ts'
import type { Entry } from '../../hub/transport.ts'
import { encode } from '../../protocol/event-stream.ts'
import type { EventStream, StreamOwner } from '../../stream/event-stream.ts'
import { type TopicFilter, topicFilter } from './filter.ts'
import { HotTopics } from './hot-topics.ts'
import { apiFields, Refusal } from './refusal.ts'
import { Reservoir } from './reservoir.ts'
import { Meter } from './series.ts'
import type { ConsoleSources } from './sources.ts'
import { listed, type Seen, seen } from './update.ts'

/**
 * Everything that runs while somebody looks, and only then: the feeds of open pages with their timer, the counted
 * topics, and the tap in the hub, which both read.
 *
 * Life of a feed: opened -> a sample each second and, where the page asked for updates, a fair sample of those four times
 * a second -> its page is gone, its token changed, or it takes too little: then the stream ends like that of any reader.
 */
export class Feeds {
  readonly #sources: ConsoleSources
  readonly #feeds = new Set<Feed>()
  /** One look at the figures serves all feeds. */
  #meter: Meter | null = null
  #cancel: (() => void) | null = null
  #ticks = 0
  #hot: { readonly topics: HotTopics; readonly since: number; askedAt: number } | null = null

  constructor(sources: ConsoleSources) {
    this.#sources = sources
  }

  /** The number of open feeds. */
  get size(): number {
    return this.#feeds.size
  }

  /** Opens a feed. `asked`: the query. Throws a Refusal: 429 beyond eight feeds, 400 for a filter that is none. */
  open(asked: URLSearchParams): EventStream {
    if (this.#feeds.size >= FEEDS_MAX) throw new Refusal(429, `there are ${FEEDS_MAX} feeds already`, 5)
    const { location, random, openStream, settings } = this.#sources
    const filter = topicFilter(asked.get('match') ?? '', asked.get('type') ?? 'text', location)
    const wantsUpdates = asked.has('updates')
    if (wantsUpdates && settings().payloads === 'all')
      this.#sources.audit('show private data', { page: 'live' })
    const feed = new Feed(
      wantsUpdates ? new Reservoir(BATCH_MAX, random) : null,
      filter,
      settings().token,
      () => this.#remove(feed),
    )
    this.#feeds.add(feed)
    this.#adjust()
    return openStream(new Headers({ ...apiFields, 'Content-Type': 'text/event-stream' }), feed)
  }

  /** The topics that are counted from the first question on, until nobody has asked for ten seconds. */
  hotTopics(): { readonly topics: HotTopics; readonly since: number } {
    const now = this.#sources.loop.now()
    this.#hot ??= { topics: new HotTopics(), since: this.#sources.wall(), askedAt: now }
    this.#hot.askedAt = now
    this.#adjust()
    return this.#hot
  }

  /** Ends all feeds, and stops everything that ran for them. */
  close(): void {
    for (const feed of this.#feeds) feed.end({ kind: 'shutdown' })
    this.#hot = null
    this.#adjust()
  }

  #remove(feed: Feed): void {
    this.#feeds.delete(feed)
    this.#adjust()
  }

  /** The tap and the timer are there exactly as long as somebody needs them. */
  #adjust(): void {
    const { hub, counters, loop } = this.#sources
    const isTapped = this.#hot !== null || [...this.#feeds].some(({ updates }) => updates !== null)
    hub.tap = isTapped ? (entry) => this.#see(entry) : null
    const isBusy = this.#feeds.size > 0 || this.#hot !== null
    if (!isBusy) {
      this.#cancel?.()
      this.#cancel = null
      this.#meter = null
    } else if (this.#cancel === null) {
      this.#meter = new Meter(counters, loop.now())
      this.#ticks = 0
      this.#await()
    }
  }

  #await(): void {
    this.#cancel = this.#sources.loop.delay(TICK_MS, () => {
      this.#await()
      void this.#tick()
    })
  }

  #see(entry: Entry): void {
    this.#hot?.topics.add(entry.topics[0] ?? '', entry.frame.length)
    for (const { updates, filter } of this.#feeds) {
      if (updates === null || (filter !== null && !filter(entry.topics))) continue
      const place = updates.next()
      if (place !== null) updates.put(place, seen(entry, this.#sources.wall()))
    }
  }

  async #tick(): Promise<void> {
    const { loop, settings, levels, wall } = this.#sources
    const { token, payloads } = settings()
    if (this.#hot !== null && loop.now() - this.#hot.askedAt > TOPICS_MS) {
      this.#hot = null
      this.#adjust()
    }
    for (const feed of this.#feeds) {
      if (feed.token !== token) feed.end({ kind: 'expired' })
      else feed.sendUpdates(payloads)
    }
    if (++this.#ticks % TICKS_PER_SAMPLE !== 0 || this.#feeds.size === 0) return
    const now = await levels()
    const sample = this.#meter?.take(now, loop.now())
    if (sample === undefined) return
    const frame = eventOf('sample', { at: wall(), ...sample })
    for (const feed of this.#feeds) feed.send(frame)
  }
}

class Feed implements StreamOwner {
  readonly updates: Reservoir<Seen> | null
  readonly filter: TopicFilter | null
  /** The token with which it was opened. */
  readonly token: string | null
  readonly #onEnd: () => void
  #stream: EventStream | null = null

  constructor(
    updates: Reservoir<Seen> | null,
    filter: TopicFilter | null,
    token: string | null,
    onEnd: () => void,
  ) {
    this.updates = updates
    this.filter = filter
    this.token = token
    this.#onEnd = onEnd
  }

  onOpen(stream: EventStream): void {
    this.#stream = stream
  }

  end(reason: CloseReason): void {
    const stream = this.#stream
    this.#stream = null
    stream?.close(reason)
  }

  onClosed(): void {
    this.#stream = null
    this.#onEnd()
  }

  send(frame: ReturnType<typeof eventOf>): void {
    this.#stream?.write(frame)
  }

  sendUpdates(payloads: Parameters<typeof listed>[1]): void {
    const taken = this.updates?.take()
    if (taken === undefined || taken.seen === 0) return
    const items = taken.items.map((one) => listed(one, payloads)).sort((left, right) => left.p - right.p)
    this.send(eventOf('updates', { seen: taken.seen, items }))
  }
}

function eventOf(type: string, data: unknown) {
  return encode({ type, data: JSON.stringify(data), retryMs: null }, '')
}

const FEEDS_MAX = 8
/** The most updates of one batch: four batches a second are more than anybody reads. */
const BATCH_MAX = 25
const TICK_MS = 250
const TICKS_PER_SAMPLE = 4
/** The time for which topics are counted after the last question, in milliseconds. */
const TOPICS_MS = 10_000
