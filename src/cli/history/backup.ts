import type { CommandLine } from '../../command/arguments.ts'
import { CommandFailure, type CommandIo, type ExitCode } from '../../command/command.ts'
import { bytesText, countText } from '../../command/quantity.ts'
import { backUpHistory } from '../../history/backup.ts'
import { runOnHistory, settingsUsage } from './tool.ts'

/** The command line of the command. */
export const line: CommandLine = {
  name: 'history backup',
  usage: `FILE ${settingsUsage}`,
  summary: `Writes the history as it is at this moment into a new file, also while a hub is running on it. The file is for
this user alone and has its name only when it is whole: every entry in it was read back. A file that is there is never
replaced. To restore it, stop the hub and put the file where sqlite.path says, as its user, without a -wal file beside it.`,
  options: [],
  hasSettings: true,
  positionals: { min: 1, max: 1 },
}

/** `cinnabar history backup FILE`. */
export function runHistoryBackup(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  return runOnHistory(
    line,
    argv,
    io,
    async ({ args, path }) => {
      const [target = ''] = args.positionals
      const { count, after } = await backUpHistory(path, target)
      io.stdout(`backed up to ${target}: ${countText(count, 'entry', 'entries')} in ${bytesText(after)}\n`)
      return 0
    },
    async () => {
      throw new CommandFailure(
        'the server of the history is backed up as a server (BGSAVE, or its append-only file); cinnabar history export writes lines',
      )
    },
  )
}
