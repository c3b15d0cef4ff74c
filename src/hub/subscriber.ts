import type { Frame } from '../protocol/event-stream.ts'
import { type Identity, mayRead, mayReadInSteps } from '../protocol/grant.ts'
import { type Matcher, selects, testWeight } from '../protocol/matcher.ts'
import type { TopicUrl } from '../protocol/url-pattern/pattern.ts'
import type { Work } from '../protocol/work.ts'
import type { Trail } from './trail.ts'
import type { Entry, Position } from './transport.ts'

/** Why a stream ended. One closed set, for logs and metrics. */
export type CloseReason =
  | { readonly kind: 'client' }
  | { readonly kind: 'expired' }
  | { readonly kind: 'lifetime' }
  | { readonly kind: 'slow'; readonly queuedBytes: number }
  | { readonly kind: 'lost' }
  | { readonly kind: 'failed' }
  | { readonly kind: 'shed' }
  /** Somebody ended it by hand, in the console. */
  | { readonly kind: 'operator' }
  | { readonly kind: 'shutdown' }

/** Takes a subscriber's frames. The edge decides what "too slow" means. */
export interface Sink {
  /** Takes whole events. Never throws, never waits; after `close` it does nothing. */
  write(frame: Frame): void
  /** Whether the reader has taken enough, so that the hub may write more of the past. */
  readonly isReady: boolean
  /** Bytes that the reader has not taken yet. */
  readonly waitingBytes: number
  /** Resolves when `isReady` holds again, or when the sink is closed. */
  ready(): Promise<void>
  /** Ends the stream. The hub calls it once; calling it again does nothing. */
  close(reason: CloseReason): void
}

/** The place where a stream starts, settled before its first byte (REC-04). */
export interface Cursor {
  readonly after: Position
  /** The id that the response names: the requested one, `earliest`, or null without a cursor (REC-03). */
  readonly lastEventId: string | null
  /** The number of times that the hub's tail had lost its place by then: after another, the cursor means nothing. */
  readonly losses: number
}

/**
 * One connection as the hub sees it. It is catching up with the past, then live, then ended, in this order;
 * `hub.ts` moves it.
 */
export class Subscriber {
  readonly id: string
  /** A live subscriber shares its matchers with others who ask for the same. */
  matchers: readonly Matcher[]
  readonly identity: Identity
  readonly sink: Sink
  /** The payloads of its subscriptions in order, where finding them takes long; null: they are found when needed. */
  readonly payloads: readonly unknown[] | null
  /** When it came, in milliseconds of the hub's loop. */
  readonly openedAt: number
  state: 'catching-up' | 'live' | 'ended' = 'catching-up'
  /** The subscriber has seen or does not want all entries up to here. The hub skips live entries at or before it. */
  after: Position
  /** Whether a gap would break a promise: the response has named the cursor, or the hub has replayed an entry. */
  isPromised: boolean
  /** The entries of the current turn, until they are written. */
  trail: Trail | null = null

  constructor(
    id: string,
    matchers: readonly Matcher[],
    identity: Identity,
    cursor: Cursor,
    sink: Sink,
    payloads: readonly unknown[] | null = null,
    openedAt = 0,
  ) {
    this.openedAt = openedAt
    this.id = id
    this.matchers = matchers
    this.identity = identity
    this.sink = sink
    this.payloads = payloads
    this.after = cursor.after
    this.isPromised = cursor.lastEventId !== null && cursor.lastEventId !== 'earliest'
  }

  get isEnded(): boolean {
    return this.state === 'ended'
  }

  /** Whether a replayed entry is for this subscriber, who asks for it and may read it (REC-11). */
  wants(entry: Entry, parseUrl: (topic: string) => TopicUrl | null): boolean {
    const needsUrls = this.matchers.some(({ kind }) => kind === 'pattern')
    const urls = needsUrls ? entry.topics.map(parseUrl) : []
    const isAsked = this.matchers.some((matcher) =>
      entry.topics.some((topic, at) => matcher.test(topic, urls[at])),
    )
    return isAsked && (!entry.private || mayRead(this.identity, entry.topics, urls))
  }

  /** The weight of the tests that tell whether it wants an entry, as `testWeight` counts it. */
  get weight(): number {
    return testWeight(this.matchers) + this.identity.weight
  }

  /** As `wants`, in steps, when the matchers and grants are not light on the topics. */
  *wantsInSteps(entry: Entry, parseUrl: (topic: string) => TopicUrl | null): Work<boolean> {
    const urls = entry.topics.map(parseUrl)
    for (const [at, topic] of entry.topics.entries()) {
      yield
      if (!(yield* selects(this.matchers, topic, urls[at] ?? null))) continue
      return !entry.private || (yield* mayReadInSteps(this.identity, entry.topics, urls))
    }
    return false
  }
}
