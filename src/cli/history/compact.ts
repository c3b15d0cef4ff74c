import type { CommandLine } from '../../command/arguments.ts'
import type { CommandIo, ExitCode } from '../../command/command.ts'
import { bytesText } from '../../command/quantity.ts'
import { type Compaction, compactHistory } from '../../history/compact.ts'
import { copyHistory } from '../../history/copy.ts'
import { type HistoryTask, runOnHistory, settingsUsage } from './tool.ts'

/** The command line of the command. */
export const line: CommandLine = {
  name: 'history compact',
  usage: `[--to FILE] ${settingsUsage}`,
  summary: `Gives room that the history does not need back to the file system. Beside a running hub, or where the disk
has no room for more, free pages are taken off the file; without a hub the file is written anew, for which as
much room again is needed.
With --to the history stays as it is and a copy is made, such as on another disk when its own is full. A hub
may be running; what it stores later is not in the copy. Prune and compact the copy, then stop the hub and start
it with sqlite.path set to it.`,
  options: [
    { name: 'to', takes: 'FILE', help: 'writes a compact copy into a new file, for this user alone' },
  ],
  hasSettings: true,
  positionals: { min: 0, max: 0 },
}

/** `cinnabar history compact`. */
export function runHistoryCompact(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  return runOnHistory(
    line,
    argv,
    io,
    (task) => compact(task, io),
    async () => {
      io.stdout('nothing to do: the server gives room back by itself\n')
      return 0
    },
  )
}

async function compact({ args, path, pause }: HistoryTask, io: CommandIo): Promise<ExitCode> {
  const target = args.value('to')
  if (target !== null) return await copyTo(path, target, io)
  const { way, before, after } = await compactHistory(path, pause)
  const how = ways[way]
  const gained = bytesText(Math.max(0, before - after))
  io.stdout(`gave ${gained} back: ${how}, ${bytesText(before)} before and ${bytesText(after)} now\n`)
  return 0
}

const ways: Readonly<Record<Compaction['way'], string>> = {
  whole: 'written anew',
  beside: 'compacted beside a running hub',
  pages: 'compacted within the room that there was',
}

async function copyTo(path: string, target: string, io: CommandIo): Promise<ExitCode> {
  const { before, after } = await copyHistory(path, target)
  io.stdout(`copied to ${target}: ${bytesText(before)} before and ${bytesText(after)} there\n`)
  return 0
}
