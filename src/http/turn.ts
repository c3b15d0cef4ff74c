import type { Loop } from '../hub/loop.ts'

/**
 * Lets requests of one turn of the event loop go on together, when all of them are read. Taking a request off its
 * connection and publishing it push each other out of the caches of the processor: with 50 connections, a publication
 * cost 60 us when the two steps alternate, and 35 us when all requests are taken before all are published.
 */
export class Turn {
  readonly #loop: Pick<Loop, 'later'>
  #end: Promise<void> | null = null

  constructor(loop: Pick<Loop, 'later'>) {
    this.#loop = loop
  }

  /** Resolves when the I/O that waits now is served, for all callers until then. */
  end(): Promise<void> {
    this.#end ??= new Promise((resolve) => {
      this.#loop.later(() => {
        this.#end = null
        resolve()
      })
    })
    return this.#end
  }
}
