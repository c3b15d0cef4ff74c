import {
  type Context,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import type { Subscriber } from '../../hub/subscriber.ts'
import type { Entry, Position } from '../../hub/transport.ts'
import type { Passage, Witness } from '../../hub/witness.ts'
import type { Update } from '../../protocol/update.ts'

/**
 * Follows requests and what the hub does for them. A span `publish` begins with the request, or continues the trace that
 * its `traceparent` names (W3C Trace Context); inside are `store`, until the log keeps the update as it promises, and
 * `deliver`, from the log until every live reader was written to, which may end after the answer. A span `subscribe` has
 * `replay` inside, until the reader is live. Spans have neither topics nor data, and no query of a URL.
 *
 * Held are only updates and readers under way, each until the hub says that it is done.
 */
export class Traces implements Witness {
  readonly #tracer: Tracer
  readonly #hubPath: string
  /** The traces of updates that the edge has handed to the hub. */
  readonly #published = new WeakMap<Update, Context>()
  /** The traces of updates that go into the log and have not come out of it, by id. */
  readonly #expected = new Map<string, Context>()
  /** In the order of the log. */
  #delivering: Delivering[] = []
  readonly #replaying = new Map<Subscriber, Replaying>()

  /** `hubPath`: the path that spans of requests show. */
  constructor(tracer: Tracer, hubPath: string) {
    this.#tracer = tracer
    this.#hubPath = hubPath
  }

  /** The number of updates and readers that are followed now. */
  get size(): number {
    return this.#expected.size + this.#delivering.length + this.#replaying.size
  }

  /** Begins the spans of a request; null where nobody follows it. `name`: the way by which it is answered. */
  begin(name: string, request: Request) {
    if (!followed.has(name)) return null
    const attributes = { 'http.request.method': request.method, 'http.route': this.#hubPath }
    const parent = propagator.extract(ROOT_CONTEXT, request.headers, fields)
    const span = this.#tracer.startSpan(name, { kind: SpanKind.SERVER, attributes }, parent)
    // The rest of the trace would be as empty.
    if (!span.isRecording()) return null
    const context = trace.setSpan(parent, span)
    return {
      publishes: (update: Update) => {
        span.setAttributes({ 'mercure.topics': update.topics.length, 'mercure.private': update.private })
        this.#published.set(update, context)
      },
      replays: (subscriber: Subscriber) => {
        this.#replaying.set(subscriber, { span: this.#child('replay', context), entries: 0 })
      },
      answered: (status: number) => {
        span.setAttribute('http.response.status_code', status)
        if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR })
        span.end()
      },
    }
  }

  appending(update: Update, id: string): Passage | null {
    const context = this.#published.get(update)
    if (context === undefined) return null
    const span = this.#child('store', context)
    this.#expected.set(id, context)
    // The same id may be on its way twice, and the second has taken the place of the first.
    const settle = () => {
      if (this.#expected.get(id) === context) this.#expected.delete(id)
      span.end()
    }
    return {
      stored: settle,
      failed: (message) => {
        span.setStatus({ code: SpanStatusCode.ERROR, message })
        settle()
      },
    }
  }

  received({ id, position }: Entry): void {
    if (this.#expected.size === 0) return
    const context = this.#expected.get(id)
    if (context === undefined) return
    this.#expected.delete(id)
    this.#delivering.push({ position, span: this.#child('deliver', context) })
  }

  delivered(through: Position, deliveries: number): void {
    if (this.#delivering.length === 0) return
    const done = this.#delivering.findIndex(({ position }) => position > through)
    const ended = this.#delivering.splice(0, done === -1 ? this.#delivering.length : done)
    for (const { span } of ended) {
      span.setAttribute('mercure.turn.deliveries', deliveries)
      span.end()
    }
  }

  replayed(subscriber: Subscriber, entries: number): void {
    const replaying = this.#replaying.get(subscriber)
    if (replaying !== undefined) replaying.entries += entries
  }

  caughtUp(subscriber: Subscriber): void {
    this.#endReplay(subscriber, true)
  }

  ended(subscriber: Subscriber): void {
    this.#endReplay(subscriber, false)
  }

  lost(): void {
    for (const { span } of this.#delivering.splice(0)) {
      span.setStatus({ code: SpanStatusCode.ERROR, message: 'the tail of the log lost its place' })
      span.end()
    }
  }

  #endReplay(subscriber: Subscriber, isWhole: boolean): void {
    const replaying = this.#replaying.get(subscriber)
    if (replaying === undefined) return
    this.#replaying.delete(subscriber)
    const { span, entries } = replaying
    span.setAttributes({ 'mercure.replayed': entries, 'mercure.replay.complete': isWhole })
    span.end()
  }

  #child(name: string, context: Context): Span {
    return this.#tracer.startSpan(name, {}, context)
  }
}

interface Delivering {
  readonly position: Position
  readonly span: Span
}

interface Replaying {
  readonly span: Span
  entries: number
}

/** The routes whose requests have spans: checks of health and unknown paths would hide them. */
const followed: ReadonlySet<string> = new Set(['publish', 'subscribe', 'subscriptions'])

const propagator = new W3CTraceContextPropagator()

const fields = {
  get: (headers: Headers, name: string) => headers.get(name) ?? undefined,
  keys: (headers: Headers) => [...headers.keys()],
}
