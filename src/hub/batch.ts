/** Entries that the dispatch took together, on their way to the readers who get them. */
export interface Batch {
  /** When the oldest of them came, in milliseconds of the loop. */
  readonly since: number
  /** The number of deliveries: one for each entry and reader. Final when `run` has answered true. */
  readonly count: number
  /**
   * Writes to readers, and asks after every few of them whether it is time to stop. Answers whether it has written to
   * everybody; until then the next call goes on where it stopped, in a later turn. A reader who ended gets nothing.
   */
  run(isOver: () => boolean): boolean
}

/** The number of readers that a batch writes to between two looks at the clock. */
export const READERS_BETWEEN_CLOCKS = 64
