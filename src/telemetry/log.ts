import type { HubEvent } from '../hub/event.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
export type LogFields = Readonly<Record<string, string | number | boolean | null>>

/** Log lines for an operator: one JSON object a line, or readable text on a terminal. */
export class Log {
  readonly #write: (line: string) => void
  readonly #format: 'json' | 'pretty'
  #least: number
  readonly #clock: () => Date

  constructor(options: LogOptions) {
    this.#write = options.write
    this.#format = options.format
    this.#least = levels.indexOf(options.level)
    this.#clock = options.clock
  }

  /** Writes lines of this level and above from now on. */
  set level(level: LogLevel) {
    this.#least = levels.indexOf(level)
  }

  debug(message: string, fields: LogFields = {}): void {
    this.#line('debug', message, fields)
  }

  info(message: string, fields: LogFields = {}): void {
    this.#line('info', message, fields)
  }

  warn(message: string, fields: LogFields = {}): void {
    this.#line('warn', message, fields)
  }

  error(message: string, fields: LogFields = {}): void {
    this.#line('error', message, fields)
  }

  #line(level: LogLevel, message: string, fields: LogFields): void {
    if (levels.indexOf(level) < this.#least) return
    const time = this.#clock().toISOString()
    if (this.#format === 'json') this.#write(`${JSON.stringify({ time, level, message, ...fields })}\n`)
    else this.#write(`${time} ${level.padEnd(5)} ${message}${pretty(fields)}\n`)
  }
}

export interface LogOptions {
  readonly write: (line: string) => void
  readonly format: 'json' | 'pretty'
  readonly level: LogLevel
  readonly clock: () => Date
}

const levels: readonly LogLevel[] = ['debug', 'info', 'warn', 'error']

function pretty(fields: LogFields): string {
  return Object.entries(fields)
    .map(([name, value]) => ` ${name}=${typeof value === 'string' ? JSON.stringify(value) : value}`)
    .join('')
}

/** From 0.1 ms to 10 s. */
export const durationBounds: readonly number[] = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10,
]

/** How often something took how long. Plain numbers: it is told of each publication. */
export class Durations {
  /** One for each of the bounds, and those above them all. */
  readonly #counts: number[] = [...durationBounds, Number.POSITIVE_INFINITY].map(() => 0)
  #sum = 0

  /** All of them in sum, in seconds. */
  get sum(): number {
    return this.#sum
  }

  /** How many took at most as long as each of the bounds, and last how many there were. */
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
  readonly tokenFailures = new Map<string, number>()

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
}

/** Log lines for what an operator should see: once when it begins and once when it is over. */
export class EventLog {
  readonly #log: Log
  #isFailing = false

  constructor(log: Log) {
    this.#log = log
  }

  observe(event: HubEvent): void {
    switch (event.kind) {
      case 'publish-failed':
        if (!this.#isFailing) this.#log.error('publications fail', { problem: event.problem })
        this.#isFailing = true
        break
      case 'published':
        if (this.#isFailing) this.#log.info('publications are accepted again')
        this.#isFailing = false
        break
      case 'pressed':
        this.#log.warn('memory is above its budget: shedding load', { residentBytes: event.residentBytes })
        break
      case 'relieved':
        this.#log.info('memory is below its budget again', { steps: event.step })
        break
      default:
        break
    }
  }
}
