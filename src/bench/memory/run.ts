import { CommandFailure, type CommandIo, randomText } from '../../command/command.ts'
import { messageOf } from '../../command/failure.ts'
import { type Addresses, HubProcess } from '../client/hub-process.ts'
import { type RunIssuer, runToken } from '../client/issuer.ts'
import { metricOf } from '../client/metrics.ts'
import { processMemory } from '../client/process.ts'
import { mercureTarget } from '../client/target.ts'
import { environmentOf, type HubConfiguration, problemsOf, type StartProblems } from './configurations.ts'
import { Course, type MemorySample } from './course.ts'
import { HistoryFolder } from './folder.ts'
import { HUB_PATH, KEY_FILE, serveFlags } from './hub.ts'
import { aborted, type MemoryLoad, runLoad, shareOf } from './load.ts'
import type { MemoryOutcome, MemoryReport } from './report.ts'

export interface MemoryRunOptions {
  readonly configurations: readonly HubConfiguration[]
  readonly load: MemoryLoad
  /** Milliseconds between two samples. */
  readonly everyMs: number
  /** Where the folder of the histories is made. */
  readonly parent: string
  /** The program that knows `serve`, with the arguments before that word. */
  readonly program: readonly string[]
  readonly io: CommandIo
  readonly startProblems: StartProblems
  /** Ends the run early, with the figures that are known by then. */
  readonly signal: AbortSignal
  /** Told after each round of samples. `share` is from 0 to 1. */
  onSampled(outcomes: readonly MemoryOutcome[], share: number): void
}

/** The run has configurations with which no hub would start. */
export class WrongConfigurations extends Error {
  override readonly name = 'WrongConfigurations'
  /** A line for each problem, beginning with the name of the configuration. */
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super('there are wrong configurations')
    this.problems = problems
  }
}

/**
 * Measures hubs side by side: all are started, then the clock and the load of each begin, and when
 * every load is over or the run is interrupted all are killed and their folder is removed.
 */
export class MemoryRun {
  readonly #options: MemoryRunOptions
  readonly #folder: HistoryFolder
  #measured: readonly Measured[] = []
  #startedAt = 0

  /** Throws a `CommandFailure` when there is no place for the histories. */
  constructor(options: MemoryRunOptions) {
    this.#options = options
    this.#folder = new HistoryFolder(options.parent)
  }

  /** Rejects with `WrongConfigurations` before anything is started. Leaves no process and no file. */
  async run(): Promise<MemoryReport> {
    let seconds = 0
    try {
      await this.#start()
      const sampling = this.#sampling()
      await Promise.all(this.#measured.map((one) => this.#publish(one)))
      await sampling.stop()
      seconds = this.#seconds()
    } finally {
      await Promise.all(this.#measured.map(({ hub }) => hub.stop()))
      this.#folder.remove()
    }
    return {
      load: this.#options.load,
      seconds,
      isInterrupted: this.#options.signal.aborted,
      outcomes: this.#measured.map(({ outcome }) => outcome),
    }
  }

  /** Kills the hubs and removes their folder at once, for a process that cannot wait. */
  abandon(): void {
    for (const { hub } of this.#measured) hub.kill()
    this.#folder.remove()
  }

  async #start(): Promise<void> {
    const { configurations, io, program, startProblems } = this.#options
    const issuer = this.#issuer()
    const planned = configurations.map((configuration) => ({
      configuration,
      flags: serveFlags(configuration, this.#folder, issuer),
    }))
    const problems = planned.flatMap(({ configuration, flags }) =>
      problemsOf(configuration, flags, io, startProblems),
    )
    if (problems.length > 0) throw new WrongConfigurations(problems)
    const authorization = `Bearer ${await runToken(issuer, randomText(16, io), io.clock())}`
    this.#measured = planned.map(({ configuration, flags }) => {
      const command = [...program, 'serve', ...flags]
      // An interruption at the terminal would reach the hub as well, and how the hub ends then is no part of the run.
      const hub = new HubProcess({ command, env: environmentOf(configuration, io), isDetached: true })
      return new Measured(configuration, hub, authorization)
    })
    const { signal } = this.#options
    await Promise.race([Promise.all(this.#measured.map((one) => one.start(signal))), aborted(signal)])
    this.#startedAt = performance.now()
  }

  #issuer(): RunIssuer {
    const { io } = this.#options
    const key = randomText(32, io)
    this.#folder.add(KEY_FILE, key)
    return { id: 'https://bench.example', audience: `https://bench.example${HUB_PATH}`, key }
  }

  async #publish(one: Measured): Promise<void> {
    const { load, signal, io } = this.#options
    if (one.problem !== null || one.addresses === null) return
    const target = one.target(one.addresses)
    const prefix = `https://bench.example/${randomText(9, io)}/`
    await this.#look(one)
    try {
      await runLoad({ target, load, prefix, signal, onAccepted: () => one.sent++ })
      await this.#look(one)
    } catch (error) {
      if (!(error instanceof CommandFailure)) throw error
      const problem = await one.explain(error)
      if (!signal.aborted) one.problem = problem
    } finally {
      one.isOver = true
    }
  }

  /** Each hub is looked at by itself: one that hangs leaves no gap in the course of the others. */
  #sampling(): { stop(): Promise<void> } {
    const { everyMs, load, onSampled } = this.#options
    const looking = new Map<Measured, Promise<void>>()
    const timer = setInterval(() => {
      for (const one of this.#measured) {
        if (one.isOver || looking.has(one)) continue
        looking.set(
          one,
          this.#look(one).finally(() => looking.delete(one)),
        )
      }
      const shares = this.#measured.map(({ sent, isOver }) =>
        isOver ? 1 : shareOf(load, sent, this.#seconds()),
      )
      const outcomes = this.#measured.map(({ outcome }) => outcome)
      onSampled(outcomes, Math.min(1, ...shares))
    }, everyMs)
    return {
      stop: async () => {
        clearInterval(timer)
        await Promise.all(looking.values())
      },
    }
  }

  async #look(one: Measured): Promise<void> {
    const text = await this.#metrics(one)
    // Its load may have ended while the answer was on its way.
    if (one.isOver || text === null) return
    const memory = processMemory(String(one.hub.pid), this.#options.io.readFile)
    const sample: MemorySample = {
      seconds: this.#seconds(),
      sent: one.sent,
      residentBytes: memory?.residentBytes ?? metricOf(text, 'cinnabar_resident_bytes'),
      heapBytes: memory?.anonymousBytes ?? Number.NaN,
      rows: metricOf(text, 'cinnabar_history_rows'),
      historyBytes: metricOf(text, 'cinnabar_history_bytes'),
      diskBytes: metricOf(text, 'cinnabar_history_file_bytes'),
    }
    one.course.add(sample)
  }

  /** The metrics of a hub. Null when it does not answer: its load finds out why. */
  async #metrics({ addresses }: Measured): Promise<string | null> {
    if (addresses === null) return null
    const { io } = this.#options
    try {
      const answer = await io.fetch(`${addresses.admin}/metrics`, { signal: AbortSignal.timeout(METRICS_MS) })
      return await answer.text()
    } catch {
      return null
    }
  }

  #seconds(): number {
    return this.#startedAt === 0 ? 0 : (performance.now() - this.#startedAt) / 1000
  }
}

/** The longest wait for the metrics of a hub. */
const METRICS_MS = 5000

class Measured {
  readonly configuration: HubConfiguration
  readonly hub: HubProcess
  readonly course = new Course()
  addresses: Addresses | null = null
  sent = 0
  problem: string | null = null
  /** Whether the load of this hub has ended. */
  isOver = false
  readonly #authorization: string

  constructor(configuration: HubConfiguration, hub: HubProcess, authorization: string) {
    this.configuration = configuration
    this.hub = hub
    this.#authorization = authorization
  }

  get outcome(): MemoryOutcome {
    const { configuration, course, sent, problem } = this
    return { configuration, course, sent, problem }
  }

  /** Resolves when the hub listens, or when it is known why it does not. A hub that is ended early has no problem. */
  async start(signal: AbortSignal): Promise<void> {
    try {
      this.addresses = await this.hub.addresses()
    } catch (error) {
      if (!signal.aborted) this.problem = messageOf(error)
      this.isOver = true
    }
  }

  target({ hub }: Addresses) {
    const fields = { Authorization: this.#authorization }
    const url = new URL(HUB_PATH, hub)
    return mercureTarget({ url, publishFields: fields, subscribeFields: fields, isLegacy: false })
  }

  /** A hub that has ended says more than the connection that ended with it. */
  async explain(error: CommandFailure): Promise<string> {
    const ending = this.hub.ending()
    return await Promise.race([ending, Bun.sleep(ENDING_MS).then(() => error.message)])
  }
}

/** The longest time between the end of a process's connections and its own. */
const ENDING_MS = 5000
