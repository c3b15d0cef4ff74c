import { concat, type Frame } from '../protocol/event-stream.ts'
import { stepsOf } from '../protocol/matcher.ts'
import type { TopicUrl } from '../protocol/url-pattern/pattern.ts'
import type { Work } from '../protocol/work.ts'
import type { HubEvent, HubLimits } from './event.ts'
import type { Loop } from './loop.ts'
import { Stretches } from './stretches.ts'
import type { CloseReason, Subscriber } from './subscriber.ts'
import type { Entry, Page, Position, Transport } from './transport.ts'
import type { Witness } from './witness.ts'

/**
 * Brings subscribers from their cursor to the head, page by page at each reader's speed. All of them share
 * one slice of every turn: they stand in a queue, a reader that got a page goes to its end, and a reader that has
 * not taken its page yet stands beside the queue. So a thousand replays cost the live readers no more than
 * one does. The more there are, the smaller are their pages: the bytes that are read and not yet taken stay bounded.
 */
export class Replay {
  readonly #options: ReplayOptions
  readonly #queue: Subscriber[] = []
  readonly #stretches: Stretches
  #waiting = 0
  #isRunning = false
  /** When the slice of this turn is over. */
  #until = 0

  constructor(options: ReplayOptions) {
    this.#options = options
    const { pageEntries: entries, pageBytes: bytes } = options.limits
    this.#stretches = new Stretches(options.transport, { entries, bytes })
  }

  /** The number of subscribers that are not live yet. */
  get size(): number {
    return this.#queue.length + this.#waiting
  }

  /** Makes the subscriber live, at once when there is nothing to catch up with. */
  start(subscriber: Subscriber): void {
    if (this.#joinAtHead(subscriber)) return
    this.#queue.push(subscriber)
    if (!this.#isRunning) void this.#run()
  }

  /** Lets go of all subscribers that catch up, whose streams the hub ends, and of the pages that were read for them. */
  reset(): void {
    this.#queue.length = 0
    this.#stretches.forget()
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    this.#until = this.#options.loop.now() + this.#options.limits.sliceMs
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      await this.#step(next)
      if (this.#isOver) await this.#rest()
    }
    this.#stretches.forget()
    this.#isRunning = false
  }

  get #isOver(): boolean {
    return this.#options.loop.now() >= this.#until
  }

  /** Lets everybody else go on, and begins a new slice in a later turn. */
  async #rest(): Promise<void> {
    const { loop, limits } = this.#options
    this.#stretches.forget()
    await new Promise<void>((resolve) => loop.later(resolve))
    this.#until = loop.now() + limits.sliceMs
  }

  async #step(subscriber: Subscriber): Promise<void> {
    if (subscriber.isEnded || this.#joinAtHead(subscriber)) return
    if (!subscriber.sink.isReady) {
      void this.#standBeside(subscriber)
      return
    }
    const page = await this.#read(subscriber)
    if (page === null || subscriber.isEnded) return
    const wanted = await this.#inSlices(this.#wanted(subscriber, page.entries))
    if (subscriber.isEnded) return
    this.#write(subscriber, page, wanted)
    if (!this.#joinAtHead(subscriber)) this.#queue.push(subscriber)
  }

  async #read(subscriber: Subscriber): Promise<Page | null> {
    const { head, end } = this.#options
    const until = head()
    try {
      const page = await this.#stretches.read(subscriber.after, until, this.#pageBytes)
      if (page !== 'lost') return page
      if (!subscriber.isPromised) return { entries: [], next: until }
      end(subscriber, { kind: 'lost' })
    } catch {
      // The log says itself, through its checks, that it cannot be read; the client comes back.
      end(subscriber, { kind: 'failed' })
    }
    return null
  }

  get #pageBytes(): number {
    // The subscriber whose page it is stands neither in the queue nor beside it.
    const share = PAGES_BYTES / (this.size + 1)
    return Math.min(this.#options.limits.pageBytes, Math.max(PAGE_BYTES_MIN, share))
  }

  /** Drives the work, with rests where it takes longer than a slice. */
  async #inSlices<T>(work: Work<T>): Promise<T> {
    for (;;) {
      const step = work.next()
      if (step.done === true) return step.value
      if (this.#isOver) await this.#rest()
    }
  }

  #write(subscriber: Subscriber, page: Page, wanted: readonly Entry[]): void {
    subscriber.after = page.next
    if (wanted.length === 0) return
    subscriber.isPromised = true
    subscriber.sink.write(join(wanted))
    this.#options.witness?.replayed(subscriber, wanted.length)
    this.#options.observe({ kind: 'replayed', entries: wanted.length })
  }

  *#wanted(subscriber: Subscriber, entries: readonly Entry[]): Work<readonly Entry[]> {
    const { parseUrl } = this.#options
    const wanted: Entry[] = []
    const { weight } = subscriber
    let steps = 0
    let before: Entry | null = null
    let isWanted = false
    for (const entry of entries) {
      // Neighbours may share their list of topics; then the answer is the same for all of them.
      if (entry.topics !== before?.topics || entry.private !== before.private) {
        const more = stepsOf(weight, entry.topics)
        steps += more
        if (steps > 1) {
          steps = more
          yield
        }
        isWanted =
          more > 1 ? yield* subscriber.wantsInSteps(entry, parseUrl) : subscriber.wants(entry, parseUrl)
      }
      before = entry
      if (isWanted) wanted.push(entry)
    }
    return wanted
  }

  async #standBeside(subscriber: Subscriber): Promise<void> {
    this.#waiting++
    await subscriber.sink.ready()
    this.#waiting--
    if (!subscriber.isEnded) this.start(subscriber)
  }

  /** One synchronous step: nothing can be received between the comparison and the joining. */
  #joinAtHead(subscriber: Subscriber): boolean {
    if (subscriber.after < this.#options.head()) return false
    this.#options.join(subscriber)
    return true
  }
}

/** The bytes of the pages of all readers that catch up, in memory while they do not take them. */
const PAGES_BYTES = 16 * 1024 * 1024
/** The least bytes of a page: a smaller one costs more to read than to send. */
const PAGE_BYTES_MIN = 16 * 1024

export interface ReplayOptions {
  readonly transport: Transport
  readonly loop: Loop
  readonly observe: (event: HubEvent) => void
  readonly witness: Witness | null
  readonly limits: HubLimits
  readonly parseUrl: (topic: string) => TopicUrl | null
  readonly head: () => Position
  readonly join: (subscriber: Subscriber) => void
  readonly end: (subscriber: Subscriber, reason: CloseReason) => void
}

/** The frames of a page often are one piece already. */
function join(entries: readonly Entry[]): Frame {
  const frames = entries.map((entry) => entry.frame)
  const start = frames[0]?.byteOffset ?? 0
  const buffer = frames[0]?.buffer
  let end = start
  let isPiece = true
  for (const frame of frames) {
    isPiece &&= frame.byteOffset === end && frame.buffer === buffer
    end += frame.length
  }
  if (!isPiece || buffer === undefined) return concat(frames, end - start)
  // A part of a page would keep all of it in memory, until the reader has taken it.
  const isWhole = end - start === buffer.byteLength
  return new Uint8Array(isWhole ? buffer : buffer.slice(start, end)) as Frame
}
