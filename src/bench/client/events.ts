import type { Latency } from './latency.ts'

/** The events that all subscribers of a run have received together. */
export class Tally {
  events = 0
  /** Subscribers whose stream has ended. */
  ended = 0
  /** Keeps the delivery times, or null while nobody looks. */
  latency: Latency | null = null
  /** Milliseconds of `performance.now` at the first event and at the last. */
  firstAt = 0
  lastAt = 0
  #awaited = Number.POSITIVE_INFINITY
  #reached: (() => void) | null = null

  /** Counts events that came at `now`, in milliseconds of `performance.now`. */
  add(events: number, now: number): void {
    if (this.events === 0) this.firstAt = now
    this.lastAt = now
    this.events += events
    if (this.events < this.#awaited) return
    this.#awaited = Number.POSITIVE_INFINITY
    this.#reached?.()
  }

  /** Resolves when `count` events were received, or when none came for `quietMs` or the signal is aborted. */
  async reach(count: number, quietMs: number, signal: AbortSignal): Promise<void> {
    if (this.events >= count || signal.aborted) return
    const { promise, resolve } = Promise.withResolvers<void>()
    let before = this.events
    const timer = setInterval(() => {
      if (this.events === before) resolve()
      before = this.events
    }, quietMs)
    this.#awaited = count
    this.#reached = resolve
    signal.addEventListener('abort', () => resolve(), { once: true })
    await promise
    clearInterval(timer)
    this.#awaited = Number.POSITIVE_INFINITY
  }
}

/**
 * Counts the events in the pieces of one stream, wherever they are cut: lines that start with `data:`, since
 * every event of a run has exactly one. Two events of a run are equally long, so the next one is looked for
 * where the last two say, and searched only when it is not there.
 */
export class EventCounter {
  readonly #dataBytes: number
  /** The bytes of the mark that the last piece ended with. The stream starts at the start of a line. */
  #matched = 1
  #stride = 0

  /** `dataBytes`: the least length of an event's data. */
  constructor(dataBytes: number) {
    this.#dataBytes = dataBytes
  }

  /**
   * The number of events that have their mark in these bytes. `onMark` is told where the value of each
   * begins, which may be the end of the piece.
   */
  count(bytes: Buffer, from: number, to: number, onMark: ((at: number) => void) | null): number {
    let at = this.#finishMark(bytes, from, to)
    let events = 0
    if (this.#matched === MARK.length) {
      this.#matched = 0
      events++
      onMark?.(at)
    } else if (at === to) return 0
    let last = -1
    for (;;) {
      const guess = last + this.#stride
      const isThere = last !== -1 && this.#stride > 0 && guess + MARK.length <= to && isMark(bytes, guess)
      const found = isThere ? guess : bytes.indexOf(MARK, at)
      if (found === -1 || found + MARK.length > to) break
      if (!isThere && last !== -1) this.#learn(found - last)
      last = found
      at = found + MARK.length
      events++
      onMark?.(at)
    }
    this.#matched = endingWith(bytes, at, to)
    return events
  }

  #finishMark(bytes: Buffer, from: number, to: number): number {
    let at = from
    while (this.#matched > 0 && this.#matched < MARK.length && at < to) {
      if (bytes[at] === MARK[this.#matched]) {
        this.#matched++
        at++
      } else this.#matched = 0
    }
    return at
  }

  /** A stride that has room for two events would step over one. */
  #learn(stride: number): void {
    this.#stride = stride < 2 * (this.#dataBytes + MARK.length) ? stride : 0
  }
}

const MARK = Buffer.from('\ndata:')
const NEWLINE = 0x0a

function isMark(bytes: Buffer, at: number): boolean {
  return (
    bytes[at] === NEWLINE &&
    bytes[at + 1] === MARK[1] &&
    bytes[at + 2] === MARK[2] &&
    bytes[at + 3] === MARK[3] &&
    bytes[at + 4] === MARK[4] &&
    bytes[at + 5] === MARK[5]
  )
}

/** How many bytes at the end of the piece are the beginning of a mark. */
function endingWith(bytes: Buffer, from: number, to: number): number {
  for (let length = Math.min(MARK.length - 1, to - from); length > 0; length--) {
    let same = 0
    while (same < length && bytes[to - length + same] === MARK[same]) same++
    if (same === length) return length
  }
  return 0
}
