/**
 * Collects what streams leave behind. The runtime collects when it allocates, so that a hub which nobody uses any more
 * would hold what a crowd of readers has left, for as long as nothing happens.
 */
export class Sweep {
  readonly #collect: () => void
  #seen = 0
  #collected = 0

  constructor(collect: () => void) {
    this.#collect = collect
  }

  /**
   * To be called now and then with how many streams have ended so far and how many are open. Waits until none has
   * ended since the last look, and more have gone than are left: a collection walks over all that lives.
   */
  look(ended: number, open: number): void {
    const isQuiet = ended === this.#seen
    this.#seen = ended
    if (!isQuiet || ended - this.#collected < Math.max(STREAMS, open)) return
    this.#collected = ended
    this.#collect()
  }
}

/** About 10 MB of garbage. */
const STREAMS = 1000
