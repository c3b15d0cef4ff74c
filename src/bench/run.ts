import type { LocalProcess } from './client/process.ts'
import type { Target } from './client/target.ts'
import type { Report } from './report.ts'

/** The settings of a run. Times are in milliseconds. */
export interface BenchOptions {
  readonly subscribers: number
  readonly publishers: number
  /** Topics that subscribers and publications are spread over. */
  readonly topics: number
  readonly durationMs: number
  readonly warmupMs: number
  /** Publications per second; 0: as fast as they are answered. */
  readonly rate: number
  readonly dataBytes: number
  /** Updates published by a replay or memory run. */
  readonly updates: number
  /** The number of the newest of these updates that a replay run asks for again. */
  readonly last: number
  readonly rounds: number
  /** The cursor of a replay of what is there already, or null. */
  readonly lastEventId: string | null
  readonly topic: string | null
}

/** A run and what it may touch. */
export interface Bench {
  readonly target: Target
  readonly options: BenchOptions
  /** The process of the hub, when it runs here. */
  readonly local: LocalProcess | null
  /** Aborted when the run is to end now, with the figures that are known by then. */
  readonly signal: AbortSignal
  /** The beginning of all topics of this run: no other run has it. */
  readonly prefix: string
  readonly progress: Progress
}

/** One way to measure. */
export type Measure = (bench: Bench) => Promise<Report>

/** The properties of a terminal on which a line of progress depends. */
export interface Screen {
  /** Characters in a line, at this moment. */
  columns(): number
  /** Whether the terminal knows letters and line breaks alone. */
  readonly isDumb: boolean
}

/** Shows how far a run is to someone who watches: one line that is written again and again. */
export class Progress {
  readonly #write: ((text: string) => void) | null
  readonly #screen: Screen
  #shownAt = 0
  #length = 0

  /** Null shows nothing. */
  constructor(write: ((text: string) => void) | null, screen: Screen = { columns: () => 80, isDumb: false }) {
    this.#write = write
    this.#screen = screen
  }

  /** `share` is from 0 to 1. */
  show(what: string, share: number): void {
    const now = performance.now()
    if (this.#write === null || (now - this.#shownAt < 100 && share < 1)) return
    this.#shownAt = now
    // A character in the last column would begin another line on some terminals.
    const room = Math.max(0, this.#screen.columns() - 1)
    const label = what.padEnd(LABEL).slice(0, room)
    const bar = Math.max(0, Math.min(BAR, room - label.length - 1))
    const done = Math.round(bar * Math.min(1, share))
    const [full, empty] = this.#screen.isDumb ? ['#', '.'] : ['█', '·']
    this.#rewrite(`${label}${bar > 0 ? ' ' : ''}${full.repeat(done)}${empty.repeat(bar - done)}`)
  }

  clear(): void {
    this.#rewrite('')
  }

  #rewrite(line: string): void {
    if (!this.#screen.isDumb) this.#write?.(`\r\x1b[K${line}`)
    // Blanks cover the rest of a longer line before it.
    else this.#write?.(`\r${line.padEnd(this.#length)}${line === '' ? '\r' : ''}`)
    this.#length = line.length
  }
}

const LABEL = 24
const BAR = 40

/** Looks at a figure four times a second during a run, for the line of a plot and for the progress. */
export class Watch {
  readonly points: [seconds: number, value: number][] = []
  readonly #timer: ReturnType<typeof setInterval>

  constructor(figure: (seconds: number) => number) {
    const start = performance.now()
    this.#timer = setInterval(() => {
      const seconds = (performance.now() - start) / 1000
      this.points.push([seconds, figure(seconds)])
    }, LOOK_MS)
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}

const LOOK_MS = 250

/** The figure of a counter as its growth per second since the last look. */
export function perSecond(counter: () => number): (seconds: number) => number {
  let [before, at] = [counter(), 0]
  return (seconds) => {
    const value = counter()
    const rate = (value - before) / Math.max(1e-3, seconds - at)
    before = value
    at = seconds
    return rate
  }
}

/** Processor time of the hub and of this process between two moments. */
export class CpuUse {
  readonly #local: LocalProcess | null
  readonly #startUs: number
  readonly #ownStartUs = ownCpuUs()
  readonly #start = performance.now()

  constructor(local: LocalProcess | null) {
    this.#local = local
    this.#startUs = local?.cpuUs() ?? 0
  }

  /** Microseconds that the hub has used, or NaN when it is not here. */
  get hubUs(): number {
    return this.#local === null ? Number.NaN : this.#local.cpuUs() - this.#startUs
  }

  /** The processor time of this process in percent: near 100 the run measures itself. */
  get clientPercent(): number {
    return (100 * (ownCpuUs() - this.#ownStartUs)) / 1000 / (performance.now() - this.#start)
  }
}

function ownCpuUs(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}
