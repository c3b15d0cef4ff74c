/** The event loop as the hub sees it: time, and turns to come. The process gives the real one, a test its own. */
export interface Loop {
  /** Milliseconds that never go back. */
  now(): number
  /** Runs the function in a later turn, after waiting I/O was served. */
  later(run: () => void): void
  /** Runs the function after `ms` milliseconds, without an upper limit. Returns a function that calls it off. */
  delay(ms: number, run: () => void): () => void
}

/**
 * The time for which one task may hold the loop before it goes on in a later turn, in milliseconds. A turn takes a
 * few such slices.
 */
export const SLICE_MS = 8
