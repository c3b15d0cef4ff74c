/** How a hub was at a moment. A figure that is not known is NaN. */
export interface MemorySample {
  /** Since the load began. */
  readonly seconds: number
  readonly sent: number
  readonly residentBytes: number
  /** Memory that the process made for itself: without the program and its libraries. */
  readonly heapBytes: number
  /** Updates kept. */
  readonly rows: number
  /** Stored bytes of them. */
  readonly historyBytes: number
  /** The history file and its journal. */
  readonly diskBytes: number
}

/** The samples of one hub: bounded, however long the run is, by leaving out every second one. */
export class Course {
  #samples: MemorySample[] = []
  #seen = 0
  #every = 1
  #latest: MemorySample | null = null
  #residentPeak = Number.NaN
  #diskPeak = Number.NaN

  /** Thinned out evenly, the first one always among them. */
  get samples(): readonly MemorySample[] {
    return this.#samples
  }

  /** The last one, also when it was left out. */
  get latest(): MemorySample | null {
    return this.#latest
  }

  /** Of all samples, also of those that were left out. */
  get residentPeakBytes(): number {
    return this.#residentPeak
  }

  get diskPeakBytes(): number {
    return this.#diskPeak
  }

  add(sample: MemorySample): void {
    this.#latest = sample
    this.#residentPeak = larger(this.#residentPeak, sample.residentBytes)
    this.#diskPeak = larger(this.#diskPeak, sample.diskBytes)
    if (this.#seen++ % this.#every !== 0) return
    this.#samples.push(sample)
    if (this.#samples.length < SAMPLES_MAX) return
    this.#samples = this.#samples.filter((_, index) => index % 2 === 0)
    this.#every *= 2
  }
}

/** Even. Two hours at two a second are 14,400 samples, kept as 1,800. */
const SAMPLES_MAX = 2000

function larger(before: number, value: number): number {
  return Number.isNaN(before) || value > before ? value : before
}
