/** Entries that were taken together, on their way to the readers who get them. */
export interface Batch {
  /** When the oldest of them came, in milliseconds of the loop. */
  readonly since: number
  /** How many deliveries it makes: one for each entry and reader. Final when `run` has answered true. */
  readonly count: number
  /**
   * Writes to readers, and asks after every few of them whether it is time to stop. Answers whether everybody has
   * been written to; until then it goes on where it was left, in a later turn. Who ended meanwhile gets nothing.
   */
  run(isOver: () => boolean): boolean
}

/** How many readers are written to before the clock is looked at again. */
export const READERS_BETWEEN_CLOCKS = 64
