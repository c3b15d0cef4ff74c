/**
 * The time by which a log counts age: it follows the clock forwards and never goes back.
 * A step back of the clock, or a newest entry from the future after a restart, becomes an offset: time goes on
 * from where it was, at the speed of the clock, so no entry outlives its age because a clock was corrected.
 * A step forwards cannot be told from time that passed while the hub was down.
 */
export class LogClock {
  readonly #clock: () => number
  #offset = 0
  #latest = Number.NEGATIVE_INFINITY

  /** `clock` answers milliseconds since the epoch, fractions included. */
  constructor(clock: () => number) {
    this.#clock = clock
  }

  /** Goes on from the newest time that the log knows, in milliseconds. */
  resume(latest: number): void {
    this.#latest = Math.max(this.#latest, latest)
  }

  /** Whole milliseconds, never less than any answer before. */
  now(): number {
    const time = Math.floor(this.#clock()) + this.#offset
    if (time < this.#latest) this.#offset += this.#latest - time
    else this.#latest = time
    return this.#latest
  }
}
