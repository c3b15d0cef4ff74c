import { LocalProcess } from '../../bench/client/process.ts'
import { STAMP_LENGTH } from '../../bench/client/stamp.ts'
import { mercureTarget } from '../../bench/client/target.ts'
import { benchConnections } from '../../bench/connections.ts'
import { benchFanout } from '../../bench/fanout.ts'
import { benchPublish } from '../../bench/publish.ts'
import { benchReplay } from '../../bench/replay.ts'
import { asJson, asPlot, asTable } from '../../bench/report.ts'
import { benchMemory } from '../../bench/resident.ts'
import type { Bench, BenchOptions, Measure } from '../../bench/run.ts'
import type { Arguments, CommandLine } from '../../command/arguments.ts'
import {
  type CommandIo,
  type ExitCode,
  randomText,
  runCommand,
  UsageError,
  writeResult,
} from '../../command/command.ts'
import { authorization, hubOptions, targetUrl, trustOf } from '../../command/hub-request.ts'
import { countOf, durationOf } from '../../command/numbers.ts'
import { quotedName } from '../../command/printable.ts'
import { suggestion } from '../../config/names.ts'
import { runBenchMemory, startsItsHubs } from './memory.ts'
import { progressOf } from './progress.ts'

/** A kind of run with the defaults that make sense for it. */
interface Kind {
  readonly measure: Measure
  readonly defaults: Partial<BenchOptions>
}

const kinds: Readonly<Record<string, Kind>> = {
  fanout: { measure: benchFanout, defaults: { publishers: 1 } },
  publish: { measure: benchPublish, defaults: {} },
  connections: { measure: benchConnections, defaults: { subscribers: 10_000, durationMs: 1000 } },
  replay: { measure: benchReplay, defaults: {} },
  memory: { measure: benchMemory, defaults: { updates: 1_000_000, dataBytes: 1024 } },
}

const usual: BenchOptions = {
  subscribers: 1000,
  publishers: 50,
  topics: 1,
  durationMs: 10_000,
  warmupMs: 1000,
  rate: 0,
  dataBytes: 200,
  updates: 100_000,
  last: 10_000,
  rounds: 5,
  lastEventId: null,
  topic: null,
}

/** The command line of the command. */
export const line: CommandLine = {
  name: 'bench',
  usage: `${Object.keys(kinds).join('|')} [--hub URL] [--token TOKEN] [options]`,
  summary: `Measures any Mercure hub by its URL. Every run ends by itself, and early with what it knows when interrupted.
  fanout       subscribers that get what is published; one publisher sends one event at a time
  publish      publications with nobody who listens
  connections  idle subscribers: memory, and how fast they come and leave
  replay       publishes updates and asks for the last of them again
  memory       configurations side by side, with hubs of its own: cinnabar bench memory --help;
               with --pid resident memory of that hub while updates pass through`,
  options: [
    { name: 'subscribers', takes: 'N', help: 'default: 1000, connections: 10000' },
    { name: 'publishers', takes: 'N', help: 'connections that publish; default: 50, fanout: 1' },
    { name: 'duration', takes: 'TIME', help: 'how long to publish or to stay idle; default: 10s' },
    { name: 'warmup', takes: 'TIME', help: 'publishes for so long before it measures; default: 1s' },
    { name: 'rate', takes: 'N', help: 'publications per second in sum; default: as fast as answered' },
    { name: 'size', takes: 'BYTES', help: 'the data of an update; default: 200, memory: 1024' },
    { name: 'topics', takes: 'N', help: 'spreads subscribers and updates over N topics; default: 1' },
    { name: 'updates', takes: 'N', help: 'what replay and memory publish; default: 100000 and 1000000' },
    { name: 'last', takes: 'N', help: 'what replay asks for again; default: 10000' },
    { name: 'rounds', takes: 'N', help: 'how often replay asks; default: 5' },
    { name: 'last-event-id', takes: 'ID', help: 'replays what is there after this event, publishes nothing' },
    { name: 'topic', takes: 'TOPIC', help: 'what it replays then; default: * for all' },
    {
      name: 'subscribe-token',
      takes: 'TOKEN',
      help: 'for subscribers; default: that of --token; empty: none',
    },
    { name: 'legacy', takes: null, help: 'the hub speaks the 0.x generation' },
    {
      name: 'pid',
      takes: 'PID',
      help: 'a process of the hub on this machine: its CPU and memory; repeatable',
    },
    { name: 'json', takes: null, help: 'prints one JSON object' },
    { name: 'plot', takes: 'FILE', help: 'writes the course of the run as SVG' },
    ...hubOptions,
  ],
  hasSettings: false,
  positionals: { min: 1, max: 1, words: Object.keys(kinds) },
}

/** `cinnabar bench KIND`. */
export function runBench(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  if (startsItsHubs(argv)) return runBenchMemory(argv.slice(1), io)
  return runCommand(line, argv, io, async (args) => {
    const [name = ''] = args.positionals
    const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined
    if (kind === undefined) {
      const known = Object.keys(kinds)
      throw new UsageError(
        `it measures ${known.join(', ')}, not ${quotedName(name, 'that')}${suggestion(name, known)}`,
      )
    }
    const bench = benchOf(args, kind, io)
    const report = await kind.measure(bench)
    bench.progress.clear()
    io.stdout(args.has('json') ? asJson(name, bench.target.url.href, report) : asTable(report))
    const file = args.value('plot')
    if (file !== null) await writeResult(file, asPlot(report))
    return 0
  })
}

function benchOf(args: Arguments, { defaults }: Kind, io: CommandIo): Bench {
  const publishFields = authorization(args, io)
  const pids = args.values('pid')
  return {
    target: mercureTarget({
      url: targetUrl(args),
      publishFields,
      subscribeFields: subscribeFields(args) ?? publishFields,
      isLegacy: args.has('legacy'),
      trust: trustOf(args, io),
    }),
    options: optionsOf(args, { ...usual, ...defaults }),
    local: pids.length === 0 ? null : new LocalProcess(pids, io.readFile),
    signal: io.interrupted,
    prefix: `https://bench.example/${randomText(9, io)}/`,
    progress: progressOf(io),
  }
}

function subscribeFields(args: Arguments): Record<string, string> | null {
  const token = args.value('subscribe-token')
  if (token === null) return null
  if (!/^[\x21-\x7e]*$/.test(token))
    throw new UsageError('--subscribe-token holds characters that no token has')
  return token === '' ? {} : { Authorization: `Bearer ${token}` }
}

function optionsOf(args: Arguments, defaults: BenchOptions): BenchOptions {
  const options = {
    subscribers: countOf(args, 'subscribers', defaults.subscribers),
    publishers: countOf(args, 'publishers', defaults.publishers),
    topics: countOf(args, 'topics', defaults.topics),
    durationMs: durationOf(args, 'duration', defaults.durationMs),
    warmupMs: durationOf(args, 'warmup', defaults.warmupMs),
    rate: countOf(args, 'rate', defaults.rate),
    dataBytes: countOf(args, 'size', defaults.dataBytes),
    updates: countOf(args, 'updates', defaults.updates),
    last: countOf(args, 'last', defaults.last),
    rounds: countOf(args, 'rounds', defaults.rounds),
    lastEventId: args.value('last-event-id'),
    topic: args.value('topic'),
  }
  if (options.dataBytes < STAMP_LENGTH) throw new UsageError(`--size is at least ${STAMP_LENGTH}`)
  if (options.subscribers % options.topics !== 0) {
    throw new UsageError('--topics does not divide --subscribers')
  }
  return options
}
