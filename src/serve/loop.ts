import type { Loop } from '../hub/loop.ts'

/**
 * Runs the function after `ms` milliseconds without an upper limit: a timer of the platform holds 31 bits, about
 * 24.8 days, and fires at once beyond that (SUB-88). Returns a function that calls it off.
 */
function after(ms: number, run: () => void): () => void {
  let timer: ReturnType<typeof setTimeout>
  const wait = (left: number) => {
    timer = setTimeout(
      () => (left > LONGEST_MS ? wait(left - LONGEST_MS) : run()),
      Math.min(left, LONGEST_MS),
    )
    timer.unref()
  }
  wait(Math.max(0, ms))
  return () => clearTimeout(timer)
}

const LONGEST_MS = 2 ** 31 - 1

/** The event loop of this process. */
export const processLoop: Loop = { now: () => performance.now(), later: inLaterTurn, delay: after }

/** Runs the function in a later turn of the event loop, after waiting I/O was served. */
function inLaterTurn(run: () => void): void {
  setImmediate(run)
}

/** Milliseconds that follow the wall at the start and never step afterwards. */
export function monotonic(): number {
  return performance.timeOrigin + performance.now()
}
