import type { Arguments, CommandLine } from '../../command/arguments.ts'
import {
  CommandFailure,
  type CommandIo,
  type ExitCode,
  readInput,
  UsageError,
} from '../../command/command.ts'
import { quoted, quotedName } from '../../command/printable.ts'
import { countText } from '../../command/quantity.ts'
import { hubUrl } from '../../config/location.ts'
import { suggestion } from '../../config/names.ts'
import { type BoltImported, importBolt, NoBucket } from '../../history/bolt/import.ts'
import { type Found, importHistory } from '../../history/import.ts'
import { parseLine, WrongLine } from '../../history/line.ts'
import { importToServer } from '../../history/server.ts'
import { hubLocation } from '../../protocol/topic.ts'
import { makeLog } from '../../serve/store/redis-log.ts'
import { linesOf } from './text-file.ts'
import { type HistoryTask, runOnHistory, settingsUsage } from './tool.ts'

/** The command line of the command. */
export const line: CommandLine = {
  name: 'history import',
  usage: `FILE [--from lines|bolt] [--bucket NAME] ${settingsUsage}`,
  summary: `Stores lines of cinnabar history export at the end of the history, which is made when there is none. FILE
- reads standard input. No hub may be running. Lines are stored in batches, all of a batch or nothing. The
next hub that starts drops what is over its limits.

With --from bolt, FILE is the Bolt file of the reference hub, any release from 0.10 on. Stop that hub first,
or copy the file. Order and ids are kept, so its clients go on where they were. The command says how many
updates it left out and why, and stores nothing of a file that is damaged.`,
  options: [
    { name: 'from', takes: 'FORMAT', help: 'the format of FILE: lines (default) or bolt' },
    { name: 'bucket', takes: 'NAME', help: 'the bucket of a Bolt file; default: updates' },
  ],
  hasSettings: true,
  positionals: { min: 1, max: 1 },
}

/** `cinnabar history import`. */
export function runHistoryImport(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  return runOnHistory(
    line,
    argv,
    io,
    async (task) => {
      const [source = ''] = task.args.positionals
      const text =
        formatOf(task.args, source) === 'bolt'
          ? boltText(await importFromBolt(task, source))
          : storedText(await importHistory(task.path, entriesOf(await linesIn(source, io))))
      io.stdout(text)
      return 0
    },
    async ({ args, settings, tool }) => {
      const [source = ''] = args.positionals
      if (formatOf(args, source) === 'bolt')
        throw new UsageError(
          '--from bolt is for a history file: import it there, then export and import its lines',
        )
      const entries = entriesOf(await linesIn(source, io))
      const stored = await importToServer(tool, (clock) => makeLog(settings, clock), entries)
      io.stdout(storedText({ stored }))
      return 0
    },
  )
}

type Format = 'lines' | 'bolt'

function formatOf(args: Arguments, source: string): Format {
  const from = args.value('from') ?? 'lines'
  switch (from) {
    case 'lines':
      if (args.has('bucket')) throw new UsageError('--bucket is for --from bolt')
      return from
    case 'bolt':
      if (source === '-') throw new UsageError('--from bolt reads a file, not the standard input')
      if (args.value('bucket') === '') throw new UsageError('--bucket needs a name')
      return from
    default:
      throw new UsageError(
        `--from ${quotedName(from, 'that')} is not a format${suggestion(from, ['lines', 'bolt'])}`,
      )
  }
}

async function linesIn(source: string, io: CommandIo): Promise<AsyncIterable<string> | Iterable<string>> {
  return source === '-' ? (await readInput(io)).split('\n') : linesOf(source)
}

async function importFromBolt({ args, path, settings }: HistoryTask, source: string): Promise<BoltImported> {
  const bucket = args.value('bucket') ?? 'updates'
  try {
    return await importBolt(path, { path: source, bucket, hub: hubLocation(hubUrl(settings)) })
  } catch (error) {
    if (!(error instanceof NoBucket)) throw error
    const names = error.names.slice(0, BUCKETS_SHOWN).map(quoted)
    const others = error.names.length > BUCKETS_SHOWN ? ', …' : ''
    throw new CommandFailure(
      `${source} has no bucket ${quoted(bucket)}: give --bucket, it has ${names.join(', ')}${others}`,
    )
  }
}

const BUCKETS_SHOWN = 10

function storedText({ stored }: { readonly stored: number }): string {
  return `imported ${countText(stored, 'entry', 'entries')}\n`
}

/** How many were imported and left out, then every reason with the number of updates that it is about. */
function boltText(imported: BoltImported): string {
  const { leftOut, omissions } = imported
  const left = leftOut === 0 ? '' : `left out ${countText(leftOut, 'update', 'updates')}\n`
  if (omissions.size === 0) return `${storedText(imported)}${left}`
  const rows = [...omissions].map(([reason, count]) => `${String(count).padStart(8)}  ${reason}\n`)
  return `${storedText(imported)}${left}not taken over, with the number of updates:\n${rows.join('')}`
}

/** The entries of lines. A wrong line ends the import: nobody knows what else is missing. */
async function* entriesOf(lines: AsyncIterable<string> | Iterable<string>): AsyncGenerator<Found> {
  let number = 0
  for await (const text of lines) {
    const place = `line ${++number}`
    if (text.trim() !== '') yield { place, ...readLine(text) }
  }
}

function readLine(text: string) {
  try {
    return { kind: 'entry', entry: parseLine(text) } as const
  } catch (error) {
    if (!(error instanceof WrongLine)) throw error
    return { kind: 'wrong', reason: error.message } as const
  }
}
