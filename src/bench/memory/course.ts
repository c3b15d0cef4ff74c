/** The figures of a hub at a moment. A figure that is not known is NaN. */
export interface MemorySample {
  /** Time since the load began. */
  readonly seconds: number
  readonly sent: number
  readonly residentBytes: number
  /** Memory that the process made for itself, without the program and its libraries. */
  readonly heapBytes: number
  /** Updates kept. */
  readonly rows: number
  /** Stored bytes of the updates kept. */
  readonly historyBytes: number
  /** Bytes of the history file and its journal. */
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

  /** The samples that are left, thinned out evenly; the first one is always among them. */
  get samples(): readonly MemorySample[] {
    return this.#samples
  }

  /** The last sample, also when `samples` leaves it out. */
  get latest(): MemorySample | null {
    return this.#latest
  }

  /** The peak of all samples, also of those that `samples` leaves out. */
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
