import type { HubEvent } from '../hub/event.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
export type LogFields = Readonly<Record<string, string | number | boolean | null>>

/** Log lines for an operator: one JSON object a line, or readable text on a terminal. */
export class Log {
  readonly #write: (line: string) => void
  readonly #format: 'json' | 'pretty'
  #least: number
  readonly #clock: () => Date
  #listener: ((level: LogLevel, message: string, fields: LogFields) => void) | null = null

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

  /** Hears of every line but those of level debug, whether it is written or not. */
  set listener(listener: (level: LogLevel, message: string, fields: LogFields) => void) {
    this.#listener = listener
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
    if (level !== 'debug') this.#listener?.(level, message, fields)
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

/** Log lines for the states that an operator should see: one when a state begins and one when it is over. */
export class EventLog {
  readonly #log: Log
  #isFailing = false

  constructor(log: Log) {
    this.#log = log
  }

  /** The hub refuses publications, or would, for this reason. */
  publishingFails(problem: string): void {
    if (!this.#isFailing) this.#log.error('publications fail', { problem })
    this.#isFailing = true
  }

  observe(event: HubEvent): void {
    switch (event.kind) {
      case 'publish-failed':
        this.publishingFails(event.problem)
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
