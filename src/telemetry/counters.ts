import type { HubEvent } from '../hub/event.ts'

/** Totals since the start, fed by what the hub reports. */
export class Counters {
  subscribers = 0
  updates = 0
  updatesFailed = 0
  deliveries = 0
  replayed = 0
  slowReaders = 0
  announcementsFailed = 0
  shedEpisodes = 0
  shedReaders = 0
  readonly publishTimes = new Durations()
  readonly deliveryTimes = new Durations()
  /** The times that batches took to be stored on a server. */
  readonly batchTimes = new Durations()
  readonly tokenFailures = new Map<string, number>()
  /** The number of refusals by their code. */
  readonly refusals = new Map<string, number>()
  /** The number of answers by route, then by status. */
  readonly answers = new Map<string, Map<number, number>>()

  observe(event: HubEvent): void {
    switch (event.kind) {
      case 'published':
        this.updates++
        this.publishTimes.observe(event.ms / 1000)
        break
      case 'publish-failed':
        this.updatesFailed++
        break
      case 'pressed':
        this.shedEpisodes++
        break
      case 'relieved':
        break
      case 'announcement-failed':
        this.announcementsFailed++
        break
      case 'subscribed':
        this.subscribers++
        break
      case 'delivered':
        this.deliveries += event.deliveries
        this.deliveryTimes.observe(event.ms / 1000)
        break
      case 'replayed':
        this.replayed += event.entries
        break
      case 'unsubscribed':
        if (event.reason.kind === 'slow') this.slowReaders++
        if (event.reason.kind === 'shed') this.shedReaders++
        break
      default:
        event satisfies never
    }
  }

  /** The reasons are a closed set, so the map stays small. */
  tokenRefused(reason: string): void {
    this.tokenFailures.set(reason, (this.tokenFailures.get(reason) ?? 0) + 1)
  }

  /** The codes are a closed set. */
  refused(code: string): void {
    this.refusals.set(code, (this.refusals.get(code) ?? 0) + 1)
  }

  /** Routes and statuses are closed sets too. A second answer of a kind allocates nothing. */
  answered(route: string, status: number): void {
    let byStatus = this.answers.get(route)
    if (byStatus === undefined) {
      byStatus = new Map()
      this.answers.set(route, byStatus)
    }
    byStatus.set(status, (byStatus.get(status) ?? 0) + 1)
  }
}

/** Counts durations in buckets. Plain numbers, because each publication adds one. */
export class Durations {
  /** The number of durations for each of the bounds, and last for those above them all. */
  readonly #counts: number[] = [...durationBounds, Number.POSITIVE_INFINITY].map(() => 0)
  #sum = 0

  /** The sum of all durations, in seconds. */
  get sum(): number {
    return this.#sum
  }

  /** The number of durations up to each of the bounds, and last the number of all. */
  get cumulative(): readonly number[] {
    let sum = 0
    return this.#counts.map((count) => {
      sum += count
      return sum
    })
  }

  observe(seconds: number): void {
    let bound = 0
    while (seconds > (durationBounds[bound] ?? Number.POSITIVE_INFINITY)) bound++
    this.#counts[bound] = (this.#counts[bound] ?? 0) + 1
    this.#sum += seconds
  }
}

/** The upper bounds of the buckets, from 0.1 ms to 10 s. */
export const durationBounds: readonly number[] = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10,
]
