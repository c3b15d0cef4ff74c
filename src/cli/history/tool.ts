import type { Arguments, CommandLine } from '../../command/arguments.ts'
import {
  CommandFailure,
  type CommandIo,
  configure,
  type ExitCode,
  runCommand,
} from '../../command/command.ts'
import { readValue } from '../../command/numbers.ts'
import type { Settings } from '../../config/load.ts'
import { HistoryProblem, type Pause } from '../../history/file.ts'

/** The history and the arguments that a subcommand of `history` works with. */
export interface HistoryTask {
  readonly args: Arguments
  /** The history file of this configuration. */
  readonly path: string
  readonly settings: Settings
  readonly pause: Pause
}

/** Runs a subcommand on the file that the configuration names; a HistoryProblem ends the command with 1. */
export function runOnHistory(
  line: CommandLine,
  argv: readonly string[],
  io: CommandIo,
  action: (task: HistoryTask) => Promise<ExitCode>,
): Promise<ExitCode> {
  return runCommand(line, argv, io, async (args) => {
    const loaded = configure(args.settings, io)
    if (typeof loaded === 'number') return loaded
    const { settings } = loaded
    if (settings.transport !== 'sqlite') {
      throw new CommandFailure(`there is no history file with the transport ${settings.transport}`)
    }
    const pause = () => io.sleep(PAUSE_MS, io.interrupted)
    return await action({ args, path: settings.sqlite.path, settings, pause }).catch((error) => {
      throw error instanceof HistoryProblem ? new CommandFailure(error.message) : error
    })
  })
}

/** The usage of the settings that each subcommand takes. */
export const settingsUsage = '[--sqlite-path FILE] [--config FILE]'

// A pause is longer than a transaction of a tool: a running hub has the file for most of the time.
const PAUSE_MS = 5

/** The value of an option as `read` understands it, or null when the option is not there. */
export function readOption<T>(args: Arguments, option: string, read: (raw: string) => T): T | null {
  const written = args.value(option)
  return written === null ? null : readValue(option, written, read)
}
