import type { Arguments, CommandLine } from '../../command/arguments.ts'
import {
  CommandFailure,
  type CommandIo,
  configure,
  type ExitCode,
  runCommand,
  UsageError,
} from '../../command/command.ts'
import { messageOf } from '../../command/failure.ts'
import { readValue } from '../../command/numbers.ts'
import type { Settings } from '../../config/load.ts'
import { HistoryProblem, type Pause } from '../../history/file.ts'
import { serverOptions } from '../../serve/store/redis-server.ts'
import { LogTool } from '../../transport/redis/tool.ts'

/** The history and the arguments that a subcommand of `history` works with. */
export interface HistoryTask {
  readonly args: Arguments
  /** The history file of this configuration. */
  readonly path: string
  readonly settings: Settings
  readonly pause: Pause
}

/** The log on a server and the arguments that a subcommand of `history` works with. */
export interface ServerTask extends Omit<HistoryTask, 'path'> {
  /** Null where no hub has made a log yet. */
  readonly tool: LogTool | null
}

/**
 * Runs a subcommand on the file that the configuration names, or `onServer` on the log where that is on a server; a
 * HistoryProblem ends the command with 1.
 */
export function runOnHistory(
  line: CommandLine,
  argv: readonly string[],
  io: CommandIo,
  action: (task: HistoryTask) => Promise<ExitCode>,
  onServer: (task: ServerTask) => Promise<ExitCode>,
): Promise<ExitCode> {
  return runCommand(line, argv, io, async (args) => {
    const loaded = configure(args.settings, io)
    if (typeof loaded === 'number') return loaded
    const { settings } = loaded
    const pause = () => io.sleep(PAUSE_MS, io.interrupted)
    if (settings.transport === 'redis') return await runOnServer({ args, settings, pause }, onServer)
    if (settings.transport !== 'sqlite') {
      throw new CommandFailure(`there is no history file with the transport ${settings.transport}`)
    }
    return await action({ args, path: settings.sqlite.path, settings, pause }).catch((error) => {
      throw error instanceof HistoryProblem ? new CommandFailure(error.message) : error
    })
  })
}

async function runOnServer(
  task: Omit<ServerTask, 'tool'>,
  onServer: (task: ServerTask) => Promise<ExitCode>,
): Promise<ExitCode> {
  let tool: LogTool | null = null
  try {
    tool = await LogTool.open(serverOptions(task.settings), task.settings.redis.prefix)
    return await onServer({ ...task, tool })
  } catch (error) {
    if (error instanceof UsageError || error instanceof CommandFailure) throw error
    throw new CommandFailure(messageOf(error))
  } finally {
    tool?.close()
  }
}

/** The log of the task. Throws a CommandFailure where there is none yet. */
export function logOf({ tool, settings }: ServerTask): LogTool {
  if (tool === null) throw new CommandFailure(`there is no log ${settings.redis.prefix} on the server yet`)
  return tool
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
