import type { Drive, Work } from '../protocol/work.ts'
import { type Loop, SLICE_MS } from './loop.ts'

/**
 * Drives work that may take long, in one slice of each turn of the event loop for all of it together: everybody else
 * waits for a slice and a step at most. Short work is done at once; the rest stands in a queue, and goes to its end
 * after each turn.
 */
export class Pace {
  readonly #loop: Loop
  readonly #queue: Task[] = []
  /** When the slice of this turn is over; null when it has not begun. */
  #until: number | null = null

  constructor(loop: Loop) {
    this.#loop = loop
  }

  /** The number of works under way, for the gauge. */
  get size(): number {
    return this.#queue.length
  }

  readonly drive: Drive = <T>(work: Work<T>): T | Promise<T> => {
    if (this.#until === null) this.#begin()
    if (!this.#isOver) {
      const result = this.#go(work)
      if (result !== null) return result.value
    }
    return new Promise((resolve, reject) => {
      const go = () => {
        const result = this.#go(work)
        if (result !== null) resolve(result.value)
        return result !== null
      }
      this.#queue.push({ go, reject })
    })
  }

  get #isOver(): boolean {
    return this.#until !== null && this.#loop.now() >= this.#until
  }

  #begin(): void {
    this.#until = this.#loop.now() + SLICE_MS
    this.#loop.later(() => this.#next())
  }

  #next(): void {
    this.#until = null
    if (this.#queue.length === 0) return
    this.#begin()
    // One step at least, also when the slice is over.
    do this.#goOn(this.#queue.shift())
    while (this.#queue.length > 0 && !this.#isOver)
  }

  #goOn(task: Task | undefined): void {
    if (task === undefined) return
    try {
      if (!task.go()) this.#queue.push(task)
    } catch (error) {
      task.reject(error)
    }
  }

  /** Goes on with the work until the slice is over. Null: there is more to do. */
  #go<T>(work: Work<T>): { readonly value: T } | null {
    for (;;) {
      const step = work.next()
      if (step.done === true) return step
      if (this.#isOver) return null
    }
  }
}

interface Task {
  /** Goes on, and answers whether the work is done. Throws what the work throws. */
  readonly go: () => boolean
  readonly reject: (error: unknown) => void
}
