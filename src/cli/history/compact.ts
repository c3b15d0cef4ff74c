import type { CommandLine } from '../../command/arguments.ts'
import type { CommandIo, ExitCode } from '../../command/command.ts'
import { bytesText } from '../../command/quantity.ts'
import { compactHistory } from '../../history/compact.ts'
import { runOnHistory, settingsUsage } from './tool.ts'

/** The command line of the command. */
export const line: CommandLine = {
  name: 'history compact',
  usage: settingsUsage,
  summary: `Gives room that the history does not need back to the file system. Beside a running hub free pages are
taken off the file; without one the file is written anew, for which as much room again is needed.`,
  options: [],
  hasSettings: true,
  positionals: { min: 0, max: 0 },
}

/** `cinnabar history compact`. */
export function runHistoryCompact(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  return runOnHistory(line, argv, io, async ({ path, pause }) => {
    const { way, before, after } = await compactHistory(path, pause)
    const how = way === 'whole' ? 'written anew' : 'compacted beside a running hub'
    const gained = bytesText(Math.max(0, before - after))
    io.stdout(`gave ${gained} back: ${how}, ${bytesText(before)} before and ${bytesText(after)} now\n`)
    return 0
  })
}
