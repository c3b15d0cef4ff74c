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

  /** To be called now and then with how many streams have ended so far. Waits until no more of them do. */
  look(ended: number): void {
    const isQuiet = ended === this.#seen
    this.#seen = ended
    if (!isQuiet || ended - this.#collected < STREAMS) return
    this.#collected = ended
    this.#collect()
  }
}

/** About 10 MB of garbage. */
const STREAMS = 1000
