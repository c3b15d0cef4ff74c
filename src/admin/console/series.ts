import type { HubGauges } from '../../hub/event.ts'
import type { TransportStats } from '../../hub/transport.ts'
import { type Counters, durationBounds } from '../../telemetry/counters.ts'
import { type Sample, type SeriesView, sampleNames } from './answers.ts'

/** The levels of one moment: few of those that metrics have, since somebody who looks asks every second. */
export interface Levels {
  readonly hub: HubGauges
  /** Null when the log cannot say. */
  readonly history: TransportStats | null
  readonly waitingBytes: number
  readonly residentBytes: number
  readonly loopLagSeconds: number
}

/** Takes samples: levels as they are, and rates and quantiles of the time since the sample before. */
export class Meter {
  readonly #counters: Counters
  #before: Totals
  #at: number

  /** `now`: milliseconds that never go back. */
  constructor(counters: Counters, now: number) {
    this.#counters = counters
    this.#before = totalsOf(counters)
    this.#at = now
  }

  /** Readers that were cut for being slow since the last sample, before it is taken. */
  get slowSince(): number {
    return this.#counters.slowReaders - this.#before.slow
  }

  take(levels: Levels, now: number): Sample {
    const before = this.#before
    const totals = totalsOf(this.#counters)
    const seconds = Math.max(0.001, (now - this.#at) / 1000)
    this.#before = totals
    this.#at = now
    const rate = (name: RateName) => (totals[name] - before[name]) / seconds
    const { hub, history } = levels
    return {
      subscribers: hub.subscribers,
      replaying: hub.replaying,
      published: rate('published'),
      failed: rate('failed'),
      delivered: rate('delivered'),
      replayed: rate('replayed'),
      publishP50: quantile(before.publishTimes, totals.publishTimes, 0.5),
      publishP99: quantile(before.publishTimes, totals.publishTimes, 0.99),
      deliveryP50: quantile(before.deliveryTimes, totals.deliveryTimes, 0.5),
      deliveryP99: quantile(before.deliveryTimes, totals.deliveryTimes, 0.99),
      resident: levels.residentBytes,
      waiting: levels.waitingBytes,
      pending: hub.pendingBytes,
      rows: history?.rows ?? 0,
      bytes: history?.bytes ?? 0,
      oldestAge: history === null || history.oldestAt === null ? 0 : (history.now - history.oldestAt) / 1000,
      fileBytes: history?.fileBytes ?? 0,
      lag: levels.loopLagSeconds * 1000,
      shedding: hub.shedding,
      slow: rate('slow'),
      refused: rate('refused'),
    }
  }
}

interface Totals {
  readonly published: number
  readonly failed: number
  readonly delivered: number
  readonly replayed: number
  readonly slow: number
  readonly refused: number
  readonly publishTimes: readonly number[]
  readonly deliveryTimes: readonly number[]
}

type RateName = 'published' | 'failed' | 'delivered' | 'replayed' | 'slow' | 'refused'

function totalsOf(counters: Counters): Totals {
  let refused = 0
  for (const byStatus of counters.answers.values()) {
    for (const [status, count] of byStatus) if (status >= 400) refused += count
  }
  return {
    published: counters.updates,
    failed: counters.updatesFailed,
    delivered: counters.deliveries,
    replayed: counters.replayed,
    slow: counters.slowReaders,
    refused,
    publishTimes: counters.publishTimes.cumulative,
    deliveryTimes: counters.deliveryTimes.cumulative,
  }
}

/**
 * The time below which this share of the durations between two readings of a histogram lies, in milliseconds: within a
 * bucket they count as spread evenly. Zero without any.
 */
export function quantile(before: readonly number[], after: readonly number[], share: number): number {
  const counts = after.map((count, at) => count - (before[at] ?? 0))
  const wanted = (counts.at(-1) ?? 0) * share
  if (wanted === 0) return 0
  const bucket = counts.findIndex((count) => count >= wanted)
  const [below, upTo] = [counts[bucket - 1] ?? 0, counts[bucket] ?? 0]
  const low = durationBounds[bucket - 1] ?? 0
  const high = durationBounds[bucket] ?? low
  return 1000 * (low + ((high - low) * (wanted - below)) / (upTo - below))
}

/** The samples of the last hour, in one piece of memory: 30 KiB. */
export class Series {
  readonly #values = new Float32Array(SAMPLES_MAX * sampleNames.length)
  #count = 0
  /** When the last sample was taken, in milliseconds since the epoch. */
  #until = 0

  add(sample: Sample, at: number): void {
    const start = (this.#count % SAMPLES_MAX) * sampleNames.length
    for (const [index, name] of sampleNames.entries()) this.#values[start + index] = sample[name]
    this.#count++
    this.#until = at
  }

  /** Each figure over time, oldest first. */
  view(): SeriesView {
    const held = Math.min(this.#count, SAMPLES_MAX)
    const valueAt = (age: number, index: number) =>
      this.#values[((this.#count - held + age) % SAMPLES_MAX) * sampleNames.length + index] ?? 0
    const series = sampleNames.map((name, index) => [
      name,
      Array.from({ length: held }, (_, age) => valueAt(age, index)),
    ])
    return { every: SAMPLE_SECONDS, until: this.#until, series: Object.fromEntries(series) }
  }
}

/** Seconds between two samples of the series. */
export const SAMPLE_SECONDS = 10

const SAMPLES_MAX = 360
