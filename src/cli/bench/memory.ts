import { STAMP_LENGTH } from '../../bench/client/stamp.ts'
import { configurationsOf } from '../../bench/memory/configurations.ts'
import { LiveChart } from '../../bench/memory/live.ts'
import type { MemoryLoad } from '../../bench/memory/load.ts'
import { type MemoryReport, memoryJson, memoryPlot, memoryTable } from '../../bench/memory/report.ts'
import { MemoryRun, type MemoryRunOptions, WrongConfigurations } from '../../bench/memory/run.ts'
import type { Arguments, CommandLine } from '../../command/arguments.ts'
import { type CommandIo, type ExitCode, runCommand, UsageError, writeResult } from '../../command/command.ts'
import { countOf, durationOf, sizeRangeOf } from '../../command/numbers.ts'
import { startProblems } from '../../serve/problems.ts'
import { version } from '../version.ts'
import { progressOf } from './progress.ts'

/** The command line of the command. */
export const line: CommandLine = {
  name: 'bench memory',
  usage: '[--only NAME,…] [options] [--config FILE] [--SETTING VALUE]…',
  summary: `Starts hubs with different configurations, gives all of them the same load at the same time, and shows
resident memory, heap and disk of each over time. Configurations:
  sqlite-count, sqlite-age, sqlite-bytes   the history on disk with one small limit
  memory, local, unbounded                 in memory with a limit; none; on disk without any limit
  yours                                    the settings given as flags, in the file or in the environment
With --hub or --pid it watches one hub that runs already: see cinnabar bench --help.
A verdict compares the median of the first third of a run with that of its last; it takes 20 s at least.`,
  options: [
    {
      name: 'configuration',
      takes: "'NAME: --SETTING VALUE …'",
      help: 'one more configuration; repeatable',
    },
    { name: 'only', takes: 'NAME,…', help: 'these configurations; default: all' },
    { name: 'updates', takes: 'N', help: 'ends after so many for each hub' },
    { name: 'duration', takes: 'TIME', help: 'ends after this time; default: 1m without --updates' },
    { name: 'rate', takes: 'N', help: 'per second for each hub; 0: as fast as answered; default: 500' },
    { name: 'size', takes: 'BYTES', help: 'the data of an update, or a range as 100..10KiB; default: 1024' },
    { name: 'topics', takes: 'N', help: 'spreads updates and subscribers over N topics; default: 10' },
    { name: 'subscribers', takes: 'N', help: 'for each hub; default: 10' },
    { name: 'publishers', takes: 'N', help: 'connections that publish, for each hub; default: 10' },
    { name: 'every', takes: 'TIME', help: 'between two samples; default: 500ms' },
    { name: 'folder', takes: 'DIR', help: 'where histories are made and removed; default: TMPDIR or /tmp' },
    { name: 'json', takes: null, help: 'prints one JSON object with all samples' },
    { name: 'plot', takes: 'FILE', help: 'writes memory and disk over time as SVG' },
  ],
  hasSettings: true,
  positionals: { min: 0, max: 0 },
}

/** Whether these arguments of `bench` are for hubs that the run starts itself. */
export function startsItsHubs([kind, ...rest]: readonly string[]): boolean {
  return kind === 'memory' && !rest.some((word) => /^--(hub|pid)(=|$)/.test(word))
}

/**
 * `cinnabar bench memory` without a hub: 0 when all hubs lasted, else 1, and 78 when a configuration is wrong.
 * `program` is the command line that knows `serve`.
 */
export function runBenchMemory(
  argv: readonly string[],
  io: CommandIo,
  program: readonly string[] = ownProgram(),
): Promise<ExitCode> {
  return runCommand(line, argv, io, async (args) => {
    try {
      return await measure(args, io, program)
    } catch (error) {
      if (!(error instanceof WrongConfigurations)) throw error
      for (const problem of error.problems) io.stderr(`${problem}\n`)
      return 78
    }
  })
}

async function measure(args: Arguments, io: CommandIo, program: readonly string[]): Promise<ExitCode> {
  const display = displayOf(args, io)
  const options = optionsOf(args, io)
  const ending = new Ending(io.interrupted)
  let report: MemoryReport
  try {
    const run = new MemoryRun({ ...options, program, signal: ending.signal, onSampled: display.show })
    ending.last(() => run.abandon())
    report = await run.run()
  } finally {
    ending.close()
    display.clear()
  }
  io.stdout(args.has('json') ? memoryJson(report) : memoryTable(report))
  const file = args.value('plot')
  if (file !== null) await writeResult(file, memoryPlot(report))
  return report.outcomes.some(({ problem }) => problem !== null) ? 1 : 0
}

type Options = Omit<MemoryRunOptions, 'program' | 'signal' | 'onSampled'>

function optionsOf(args: Arguments, io: CommandIo): Options {
  const everyMs = durationOf(args, 'every', 500)
  if (everyMs < 20) throw new UsageError('--every is not 20ms or longer')
  const parent = args.value('folder') ?? (io.env['TMPDIR'] || '/tmp')
  const configurations = configurationsOf(args, io)
  return { configurations, load: loadOf(args), everyMs, parent, io, startProblems }
}

function loadOf(args: Arguments): MemoryLoad {
  const hasUpdates = args.has('updates')
  const load = {
    updates: hasUpdates ? countOf(args, 'updates', 1) : null,
    durationMs: hasUpdates && !args.has('duration') ? null : durationOf(args, 'duration', 60_000),
    rate: countOf(args, 'rate', 500, 0),
    sizes: sizeRangeOf(args, 'size', 1024),
    topics: countOf(args, 'topics', 10),
    subscribers: countOf(args, 'subscribers', 10, 0),
    publishers: countOf(args, 'publishers', 10),
  }
  if (load.sizes.least < STAMP_LENGTH) throw new UsageError(`--size is at least ${STAMP_LENGTH}`)
  return load
}

/** The program that runs the hubs: the compiled executable alone, or the runtime with the source that it is to run. */
function ownProgram(): readonly string[] {
  return version.target === 'source' ? [process.execPath, Bun.main] : [process.execPath]
}

/** The view of someone who watches the run. */
interface Display {
  readonly show: MemoryRunOptions['onSampled']
  clear(): void
}

function displayOf(args: Arguments, io: CommandIo): Display {
  const { TERM, NO_COLOR } = io.env
  if (!io.isTerminal || args.has('json') || TERM === 'dumb') {
    const progress = progressOf(io)
    return { show: (_, share) => progress.show('measuring', share), clear: () => progress.clear() }
  }
  const chart = new LiveChart(io.stdout, () => ({
    columns: process.stdout.columns ?? 80,
    rows: process.stdout.rows ?? 24,
    hasColor: (NO_COLOR ?? '') === '',
  }))
  // The last picture stays: the table comes below it.
  return { show: (outcomes, share) => chart.draw(outcomes, share), clear: () => {} }
}

/**
 * Ends a run with processes and files of its own early. The first signal ends it with a report; after a
 * second one, or when the process ends for any other reason, there is only time to clean up.
 */
class Ending {
  readonly #ended = new AbortController()
  #signals = 0
  #last: () => void = () => {}

  constructor(interrupted: AbortSignal) {
    if (interrupted.aborted) this.#ended.abort()
    interrupted.addEventListener('abort', () => this.#ended.abort(), { once: true })
    for (const name of SIGNALS) process.on(name, this.#onSignal)
    process.on('exit', this.#onExit)
  }

  get signal(): AbortSignal {
    return this.#ended.signal
  }

  /** Sets the action that is left to do when there is no time for more. */
  last(action: () => void): void {
    this.#last = action
  }

  close(): void {
    for (const name of SIGNALS) process.off(name, this.#onSignal)
    process.off('exit', this.#onExit)
  }

  readonly #onSignal = () => {
    if (++this.#signals > 1) process.exit(1)
    this.#ended.abort()
  }

  readonly #onExit = () => this.#last()
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
