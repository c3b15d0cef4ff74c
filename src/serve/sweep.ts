/**
 * Collects the garbage of ended streams. The runtime collects when it allocates, so that a hub which nobody uses any
 * more would hold the garbage of a crowd of readers for as long as nothing happens.
 */
export class Sweep {
  readonly #collect: () => void
  #seen = 0
  #collected = 0

  constructor(collect: () => void) {
    this.#collect = collect
  }

  /**
   * The owner calls it now and then with the number of streams that have ended so far and that are open. Waits until
   * none has ended since the last look, and more have gone than are left: a collection walks over all that lives.
   */
  look(ended: number, open: number): void {
    const isQuiet = ended === this.#seen
    this.#seen = ended
    if (!isQuiet || ended - this.#collected < Math.max(STREAMS, open)) return
    this.#collected = ended
    this.#collect()
  }
}

/** The fewest ended streams that are worth a collection: about 10 MB of garbage. */
const STREAMS = 1000
