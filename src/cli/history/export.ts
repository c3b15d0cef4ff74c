import type { CommandLine } from '../../command/arguments.ts'
import { CommandFailure, type CommandIo, type ExitCode, UsageError } from '../../command/command.ts'
import { printable } from '../../command/printable.ts'
import { countText } from '../../command/quantity.ts'
import { exportHistory, type Take } from '../../history/export.ts'
import { formatLine, isSound } from '../../history/line.ts'
import { type Losses, salvageHistory } from '../../history/salvage.ts'
import { TextFile } from './text-file.ts'
import { type HistoryTask, logOf, runOnHistory, type ServerTask, settingsUsage } from './tool.ts'

/** The command line of the command. */
export const line: CommandLine = {
  name: 'history export',
  usage: `[--after ID] [--output FILE] [--salvage] ${settingsUsage}`,
  summary: `Writes entries as lines of JSON, oldest first: id, topics, private, at (milliseconds since 1970) and event,
the text of its event stream frame. A hub may be running; what it drops meanwhile may be missing.`,
  options: [
    { name: 'after', takes: 'ID', help: 'only what came after the entry with this id' },
    {
      name: 'output',
      takes: 'FILE',
      help: 'writes a new file for this user alone; default: standard output',
    },
    { name: 'salvage', takes: null, help: 'reads around damage, and ends with 1 when anything is lost' },
  ],
  hasSettings: true,
  positionals: { min: 0, max: 0 },
}

/** `cinnabar history export`. */
export function runHistoryExport(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  return runOnHistory(
    line,
    argv,
    io,
    (task) => {
      if (task.args.has('salvage') && task.args.has('after'))
        throw new UsageError('--salvage goes without --after')
      return writeAll(task, io, (take) =>
        task.args.has('salvage') ? salvage(task, take, io) : exportAll(task, take),
      )
    },
    (task) => {
      if (task.args.has('salvage')) throw new UsageError('--salvage is for a history file')
      return writeAll(task, io, (take) => exportFromServer(task, take))
    },
  )
}

/** Writes what `run` takes out, then says how much it was. */
async function writeAll(
  { args, pause }: Omit<HistoryTask, 'path'>,
  io: CommandIo,
  run: (take: Take) => Promise<ExitCode>,
): Promise<ExitCode> {
  const file = new TextFile(args.value('output'))
  let written = 0
  const take: Take = async (page) => {
    await file.write(printable(page.map(formatLine).join('')), pause)
    written += page.length
  }
  try {
    const code = await run(take)
    // An empty history makes an empty file.
    await take([])
    io.stderr(`exported ${countText(written, 'entry', 'entries')}\n`)
    return code
  } finally {
    file.close()
  }
}

async function exportFromServer(task: ServerTask, take: Take): Promise<ExitCode> {
  const tool = logOf(task)
  const id = task.args.value('after')
  const after = id === null ? 0 : await tool.find(id)
  if (after === null) throw new CommandFailure('the history does not hold the id of --after')
  for await (const page of tool.entries(after)) await take(page)
  return 0
}

async function exportAll({ path, args }: HistoryTask, take: Take): Promise<ExitCode> {
  await exportHistory(path, args.value('after'), take)
  return 0
}

async function salvage({ path }: HistoryTask, take: Take, io: CommandIo): Promise<ExitCode> {
  const { ranges, entries }: Losses = await salvageHistory(path, isSound, take)
  if (ranges.length === 0 && entries === 0) return 0
  for (const [first, last] of ranges.slice(0, RANGES_SHOWN)) io.stderr(`lost: ${placeText(first, last)}\n`)
  if (ranges.length > RANGES_SHOWN) io.stderr(`and ${ranges.length - RANGES_SHOWN} other stretches\n`)
  const sum = ranges.reduce((lost, [first, last]) => lost + last - first + 1, 0)
  // Places that were empty before, because something was pruned there, look the same when they are damaged.
  io.stderr(`lost ${countText(entries ?? sum, 'entry', 'entries')} in ${countText(sum, 'place', 'places')}\n`)
  return 1
}

function placeText(first: number, last: number): string {
  return first === last ? `entry ${first}` : `entries ${first} to ${last}`
}

// A program that ends with 1 must not write more than a pipe takes at once.
const RANGES_SHOWN = 100
