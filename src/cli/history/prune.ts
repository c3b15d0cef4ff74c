import type { Arguments, CommandLine } from '../../command/arguments.ts'
import { type CommandIo, type ExitCode, UsageError } from '../../command/command.ts'
import { amountText } from '../../command/quantity.ts'
import type { Settings } from '../../config/load.ts'
import { hubUrl } from '../../config/location.ts'
import { count, parseDuration, parseSize } from '../../config/values.ts'
import { type PruneOptions, pruneHistory } from '../../history/prune.ts'
import { pruneServer } from '../../history/server.ts'
import type { Matcher } from '../../protocol/matcher.ts'
import { hubLocation } from '../../protocol/topic.ts'
import type { Amount } from '../../transport/retention.ts'
import { matchersIn } from '../matchers.ts'
import { type HistoryTask, logOf, readOption, runOnHistory, settingsUsage } from './tool.ts'

/** The command line of the command. */
export const line: CommandLine = {
  name: 'history prune',
  usage: `[--older-than TIME] [--keep-count N] [--keep-bytes SIZE] [--topic T]… [--urlpattern P]… [--dry-run] ${settingsUsage}`,
  summary: `Drops entries, also while a hub is running. With --topic or --urlpattern only the entries with such a
topic, canonical or alternate, are counted and dropped: all of them, or those over the other limits.
cinnabar history compact gives the room back when no hub is running; a running hub does it by itself.`,
  options: [
    { name: 'older-than', takes: 'TIME', help: 'drops what was accepted longer ago, such as 2h' },
    { name: 'keep-count', takes: 'N', help: 'keeps only the newest N entries' },
    {
      name: 'keep-bytes',
      takes: 'SIZE',
      help: 'keeps only the newest entries of this size in sum, such as 64MiB',
    },
    { name: 'topic', takes: 'T', help: 'only entries with this topic; repeatable' },
    {
      name: 'urlpattern',
      takes: 'P',
      help: 'only entries with a topic that this URL Pattern matches; repeatable',
    },
    { name: 'dry-run', takes: null, help: 'says what would be dropped and drops nothing' },
  ],
  hasSettings: true,
  positionals: { min: 0, max: 0 },
}

/** `cinnabar history prune`. */
export function runHistoryPrune(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  return runOnHistory(
    line,
    argv,
    io,
    (task) => prune(task, io, (options) => pruneHistory(task.path, options)),
    (task) => prune(task, io, (options) => pruneServer(logOf(task), options)),
  )
}

async function prune(
  { args, settings, pause }: Omit<HistoryTask, 'path'>,
  io: CommandIo,
  run: (options: PruneOptions) => Promise<Amount>,
): Promise<ExitCode> {
  const isDryRun = args.has('dry-run')
  const dropped = await run({ ...choice(args, settings), now: io.clock(), isDryRun, pause })
  io.stdout(`${isDryRun ? 'would drop' : 'dropped'} ${amountText(dropped)}\n`)
  return 0
}

function choice(args: Arguments, settings: Settings): Pick<PruneOptions, 'keep' | 'matches'> {
  const matchers = matchersOf(args, settings)
  const keep = {
    maxAgeMs: readOption(args, 'older-than', parseDuration),
    maxCount: readOption(args, 'keep-count', count({ zero: true, example: '1000' }).read),
    maxBytes: readOption(args, 'keep-bytes', parseSize),
  }
  const isLimited = Object.values(keep).some((limit) => limit !== null)
  // Dropping everything is asked for with --keep-count 0, never by leaving something out.
  if (!isLimited && matchers.length === 0) {
    throw new UsageError('give --older-than, --keep-count, --keep-bytes, --topic or --urlpattern')
  }
  return {
    keep: isLimited ? keep : { ...keep, maxCount: 0 },
    matches: matchers.length === 0 ? null : (topics) => topics.some((topic) => isMeant(topic, matchers)),
  }
}

function isMeant(topic: string, matchers: readonly Matcher[]): boolean {
  return matchers.some((matcher) => matcher.test(topic))
}

/** Relative patterns are relative to the hub, as those of subscribers are. */
function matchersOf(args: Arguments, settings: Settings): readonly Matcher[] {
  const hub = hubLocation(hubUrl(settings))
  return [...matchersIn(args, 'topic', 'exact', hub), ...matchersIn(args, 'urlpattern', 'urlpattern', hub)]
}
