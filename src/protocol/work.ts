/**
 * Work that can be left between two of its steps, and taken up again in a later turn of the event loop: whoever drives
 * it looks at the clock after each. A step takes a few milliseconds at most. It answers with its result, or throws.
 */
export type Work<T> = Generator<undefined, T, undefined>

/** Drives work. The answer is there at once when the work is short, and rejects with what the work throws. */
export type Drive = <T>(work: Work<T>) => T | Promise<T>

/** Drives work to its end without a break. */
export function finish<T>(work: Work<T>): T {
  for (;;) {
    const step = work.next()
    if (step.done === true) return step.value
  }
}
