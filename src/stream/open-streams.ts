import { type Loop, SLICE_MS } from '../hub/loop.ts'
import { Deadlines } from './deadlines.ts'

/** An open stream as the list sees it. It keeps its own place there, so that the list finds it without a search. */
export interface Beating {
  /** Its place in the list; -1 when it is not in. Only the list writes it. */
  place: number
  /** Writes a comment when nothing was written since the time, in milliseconds of the list's clock. */
  beat(quietSince: number): void
}

/**
 * All open streams of a hub, with what they share: their heartbeat, the queue of their ends, and the sum of the bytes
 * that wait for slow readers.
 *
 * One timer beats for all of them, from `start` to `stop`: a timer for each of 10,000 is megabytes. The delay of a
 * beat tells how long the event loop makes everybody wait.
 */
export class OpenStreams {
  readonly #open: Beating[] = []
  readonly #loop: Loop
  /** The ends of the streams' lifetimes, in milliseconds of the loop. */
  readonly lifetimes: Deadlines
  /** The ends of the tokens, for streams that have one, in milliseconds since the epoch. */
  readonly expiries: Deadlines
  /** Milliseconds of the clock, as of the last look. */
  now: number
  /** The delay of the last beat, in milliseconds. */
  lagMs = 0
  /** Bytes waiting for slow readers, in sum. */
  waitingBytes = 0
  #heartbeatMs: number
  /** Calls the next beat off. Null while the timer stands still. */
  #cancel: (() => void) | null = null
  /** Streams below this place still wait for the beat that is under way. */
  #beating = 0

  constructor({ loop, wall, heartbeatMs }: OpenStreamsOptions) {
    this.#loop = loop
    this.lifetimes = new Deadlines(loop)
    this.expiries = new Deadlines({ now: wall, delay: loop.delay })
    this.#heartbeatMs = heartbeatMs
    this.now = loop.now()
  }

  get size(): number {
    return this.#open.length
  }

  /** The silence after which a stream writes a comment from now on, in milliseconds; 0 is never. */
  set heartbeatMs(ms: number) {
    if (ms === this.#heartbeatMs) return
    this.#heartbeatMs = ms
    if (this.#cancel !== null) this.start()
  }

  add(stream: Beating): void {
    stream.place = this.#open.push(stream) - 1
  }

  /** Takes it out. Does nothing when it is not in. */
  remove(stream: Beating): void {
    const { place } = stream
    if (place === -1) return
    stream.place = -1
    const last = this.#open.pop()
    if (last === undefined || last === stream) return
    this.#open[place] = last
    last.place = place
  }

  /** Starts the timer, or starts it anew. */
  start(): void {
    this.stop()
    this.now = this.#loop.now()
    this.#awaitBeat()
  }

  stop(): void {
    this.#cancel?.()
    this.#cancel = null
  }

  /** Beats once for all streams, in slices. The timer calls it. */
  beat(): void {
    const now = this.#loop.now()
    this.lagMs = Math.max(0, now - this.now - this.#beatMs)
    this.now = now
    // A timer does not notice that the wall clock was set, or that the machine has slept (SUB-87).
    this.expiries.look()
    if (this.#heartbeatMs === 0) return
    const isUnderWay = this.#beating > 0
    this.#beating = this.#open.length
    if (!isUnderWay) this.#beatOn()
  }

  #awaitBeat(): void {
    this.#cancel = this.#loop.delay(this.#beatMs, () => {
      // Before the beat, so that the time which the beat takes is not taken for a delay of the next one.
      this.#awaitBeat()
      this.beat()
    })
  }

  /** Milliseconds between two beats. Without a heartbeat the beats only measure the lag. */
  get #beatMs(): number {
    return this.#heartbeatMs === 0 ? 1000 : Math.min(1000, Math.max(50, this.#heartbeatMs / 4))
  }

  /** Thousands of comments at once would hold the loop: the beat stops after a slice, and goes on in a later turn. */
  #beatOn(): void {
    const until = this.#loop.now() + SLICE_MS
    const quietSince = this.now - this.#heartbeatMs
    // From the end: when a stream ends by its beat or meanwhile, one that had its turn takes its place.
    for (let at = Math.min(this.#beating, this.#open.length) - 1; at >= 0; at--) {
      this.#beating = at
      this.#open[at]?.beat(quietSince)
      if (at % BEATS_BETWEEN_CLOCKS === 0 && this.#loop.now() >= until) break
    }
    if (this.#open.length === 0) this.#beating = 0
    if (this.#beating > 0) this.#loop.later(() => this.#beatOn())
  }
}

const BEATS_BETWEEN_CLOCKS = 64

/** Everything that is not a decision comes in from outside. */
export interface OpenStreamsOptions {
  readonly loop: Loop
  /** Milliseconds since the epoch, as tokens count. It may step. */
  readonly wall: () => number
  readonly heartbeatMs: number
}
