import { median } from '../report.ts'

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

/** A figure over time. */
export type Points = readonly (readonly [seconds: number, value: number])[]

/** Whether a figure grew over a run. */
export interface Trend {
  readonly verdict: 'flat' | 'growing' | 'too short'
  /** From the median of the first third to that of the last; NaN when there is nothing to compare. */
  readonly growthPercent: number
}

/**
 * Growing is more than 10 % and more than 1 MiB: a collector that comes a little earlier or later moves the
 * medians by less. In a short run the first third is the warm-up of the process, which says nothing.
 */
export function trendOf(points: Points): Trend {
  const bytes = points.map(([, value]) => value)
  const third = Math.floor(bytes.length / 3)
  const first = median(bytes.slice(0, third))
  const last = median(third === 0 ? [] : bytes.slice(-third))
  const growthPercent = first === 0 && last === 0 ? 0 : finite(100 * (last / first - 1))
  const seconds = (points.at(-1)?.[0] ?? 0) - (points[0]?.[0] ?? 0)
  if (seconds < TREND_SECONDS) return { verdict: 'too short', growthPercent }
  const isGrowing = last > first * 1.1 && last - first > 1024 ** 2
  return { verdict: isGrowing ? 'growing' : 'flat', growthPercent }
}

/** Even. Two hours at two a second are 14,400 samples, kept as 1,800. */
const SAMPLES_MAX = 2000

/** A third of it is long enough for the median to come after the warm-up. */
const TREND_SECONDS = 20

function finite(value: number): number {
  return Number.isFinite(value) ? value : Number.NaN
}

function larger(before: number, value: number): number {
  return Number.isNaN(before) || value > before ? value : before
}
