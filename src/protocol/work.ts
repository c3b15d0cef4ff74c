/**
 * Work that can stop between two of its steps, and go on in a later turn of the event loop: its driver looks at the
 * clock after each step. A step takes a few milliseconds at most. The work answers with its result, or throws.
 */
export type Work<T> = Generator<undefined, T, undefined>

/** Drives work. Answers at once when the work is short, else with a promise, which rejects with the work's error. */
export type Drive = <T>(work: Work<T>) => T | Promise<T>

/** Drives work to its end without a break. */
export function finish<T>(work: Work<T>): T {
  for (;;) {
    const step = work.next()
    if (step.done === true) return step.value
  }
}
