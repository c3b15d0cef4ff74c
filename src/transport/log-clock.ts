import type { Notice } from './notice.ts'

/** The clocks of the machine, in milliseconds. */
export interface Clocks {
  /** Time since the epoch. An operator or the network may set it at any time. */
  wall(): number
  /** A clock that nobody sets. While the machine sleeps it may stand still. */
  monotonic(): number
  /** Time since the machine was started, its sleep included, perhaps in whole seconds; null where nobody can tell. */
  uptime(): number | null
  /** Names the time from one start of the machine to the next; null where nobody can tell. */
  readonly boot: string | null
}

/** One clock that is never set and counts sleep. */
export function steady(clock: () => number): Clocks {
  return { wall: clock, monotonic: clock, uptime: () => null, boot: null }
}

/** The relation of a log's time to the clocks, by which the time goes on after a restart. */
export interface Anchor {
  readonly boot: string | null
  /** The time of the log is that of `uptime` and this, in the boot. */
  readonly bootOffset: number
  /** The wall clock shows the time of the log and this. */
  readonly wallOffset: number
}

/** The anchor of a log that nobody has opened: its time is that of the wall clock. */
export const NEW_ANCHOR: Anchor = { boot: null, bootOffset: 0, wallOffset: 0 }

/**
 * The time by which a log counts age. It passes as real time does, independently of the wall clock: when that is set,
 * the age of every entry stays the same, and only the distance of the two changes. While the machine sleeps, time
 * passes.
 *
 * Across a restart of the hub the uptime tells how much time went by; across one of the machine the wall clock does,
 * and the log's time goes on from its newest entry where that clock shows less. Nobody can tell a clock that was wrong
 * when the machine stopped and is right when it starts again from time that passed.
 */
export class LogClock {
  readonly #clocks: Clocks
  readonly #notify: (notice: Notice) => void
  /** The time of the log is that of the monotonic clock and this. */
  #offset: number
  #latest = Number.NEGATIVE_INFINITY
  /** The milliseconds by which the wall clock is ahead of the monotonic one. */
  #wallAhead: number
  /** The milliseconds by which the uptime is ahead of the monotonic clock. */
  #uptimeAhead: number | null
  #wallOffset = 0

  constructor(clocks: Clocks, notify: (notice: Notice) => void) {
    this.#clocks = clocks
    this.#notify = notify
    this.#wallAhead = this.#aheadOf(clocks.wall())
    this.#uptimeAhead = this.#aheadOf(clocks.uptime())
    this.#offset = this.#wallAhead
  }

  /** Goes on where the log was left, and never before its newest entry, whose time is in milliseconds. */
  resume({ boot, bootOffset, wallOffset }: Anchor, newestAt: number): void {
    const clocks = this.#clocks
    const uptime = clocks.boot !== null && clocks.boot === boot ? clocks.uptime() : null
    const time = uptime === null ? clocks.wall() - wallOffset : uptime + bootOffset
    this.#offset = this.#aheadOf(Math.max(time, newestAt))
    this.#latest = newestAt
    this.#wallOffset = this.#wallOffsetOf(wallOffset)
  }

  /** Whole milliseconds, never less than any answer before. */
  now(): number {
    if (Math.abs(this.#aheadOf(this.#clocks.wall()) - this.#wallAhead) > TOLERANCE_MS) this.look()
    const time = Math.floor(this.#clocks.monotonic() + this.#offset)
    if (time < this.#latest) this.#offset += this.#latest - time
    else this.#latest = time
    return this.#latest
  }

  /** Notices that the machine slept or that its clock was set. Called now and then: sleep may show nowhere. */
  look(): void {
    this.#noticeSleep()
    this.#wallAhead = this.#aheadOf(this.#clocks.wall())
    const before = this.#wallOffset
    this.#wallOffset = this.#wallOffsetOf(before)
    if (this.#wallOffset !== before) this.#notify({ kind: 'clock-set', ms: this.#wallOffset - before })
  }

  /** The anchor to store with the log. It changes when the wall clock is set. */
  get anchor(): Anchor {
    const uptime = this.#clocks.uptime()
    const boot = uptime === null ? null : this.#clocks.boot
    const bootOffset = uptime === null ? 0 : Math.round(this.#clocks.monotonic() + this.#offset - uptime)
    return { boot, bootOffset, wallOffset: this.#wallOffset }
  }

  /** The time that the wall clock would have shown at this time of the log, in milliseconds. */
  toWall(time: number): number {
    return time + this.#wallOffset
  }

  #noticeSleep(): void {
    const ahead = this.#aheadOf(this.#clocks.uptime())
    const sleptMs = ahead === null || this.#uptimeAhead === null ? 0 : ahead - this.#uptimeAhead
    if (Math.abs(sleptMs) < TOLERANCE_MS) return
    this.#uptimeAhead = ahead
    if (sleptMs < 0) return
    this.#offset += sleptMs
    this.#notify({ kind: 'slept', ms: Math.round(sleptMs) })
  }

  /** The offset before, when it still holds. */
  #wallOffsetOf(before: number): number {
    const offset = Math.round(this.#wallAhead - this.#offset)
    return Math.abs(offset - before) > TOLERANCE_MS ? offset : before
  }

  #aheadOf<Time extends number | null>(time: Time): Time extends null ? null : number
  #aheadOf(time: number | null): number | null {
    return time === null ? null : time - this.#clocks.monotonic()
  }
}

// The uptime may come in whole seconds, and each of two readings may be off by one.
const TOLERANCE_MS = 2000
