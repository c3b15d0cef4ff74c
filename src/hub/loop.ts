/** The event loop as the hub sees it: time, and turns to come. The process gives the real one, a test its own. */
export interface Loop {
  /** Milliseconds that never go back. */
  now(): number
  /** Runs the function in a later turn, after waiting I/O was served. */
  later(run: () => void): void
  /** Runs the function after that many milliseconds, however many. Returns how to call it off. */
  delay(ms: number, run: () => void): () => void
}

/**
 * For how long one thing may hold the loop before it goes on in a later turn, in milliseconds. What is waited for in
 * a turn is a few of them.
 */
export const SLICE_MS = 8
