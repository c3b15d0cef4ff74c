import type { TokenProfile } from '../auth/token-profile.ts'
import type { DevKeys } from '../config/dev.ts'
import { type Configuration, describeProblem, exitCode, load, type Settings } from '../config/load.ts'
import { type Arguments, type CommandLine, helpOf, parseArguments } from './arguments.ts'
import { reasonOf } from './failure.ts'

/** The world as far as a command may touch it. The process gives it the real things, a test its own. */
export interface CommandIo {
  readonly env: Readonly<Record<string, string | undefined>>
  /** All of the standard input. Rejects when it cannot be read, or is no UTF-8 text. */
  readonly stdin: () => Promise<string>
  /** Whether the standard input is a terminal. */
  readonly isInputTerminal: () => boolean
  /** Asks the user at the terminal. Answers with what was typed; null: the input has ended. */
  readonly ask: (question: string) => string | null
  readonly stdout: (text: string) => void
  readonly stderr: (text: string) => void
  readonly fetch: (url: string, init?: BunFetchRequestInit) => Promise<Response>
  /** Milliseconds since the epoch. */
  readonly clock: () => number
  /** Resolves after `ms` milliseconds, or at once when the signal is aborted. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>
  /** Aborted when the user interrupts the command. */
  readonly interrupted: AbortSignal
  /** Throws when the file cannot be read. */
  readonly readFile: (path: string) => string
  /** Whether there is something at the path. */
  readonly exists: (path: string) => boolean
  /** The keys of the `--dev` hub of this folder, and where it is. Throws a plain Error that says why there are none. */
  readonly devKeys: () => DevKeys
  readonly random: (bytes: number) => Uint8Array
  /** The rules for 0.x tokens with these settings; without a rule the hub accepts no such token. */
  readonly legacyTokens: (settings: Settings) => Promise<readonly TokenProfile[]>
  /** Memory that the container of the process may take, in bytes; null: no limit. */
  readonly containerBytes: number | null
  /** Whether the standard output is a terminal. */
  readonly isTerminal: boolean
  /** Whether the standard error is a terminal: there messages and the log go. */
  readonly isErrorTerminal: boolean
}

/** The exit code of every command: 0 ok, 1 failure, 2 usage, 78 configuration. */
export type ExitCode = 0 | 1 | 2 | 78

/** Runs a command: answers on the command line, and resolves with the exit code of the process. */
export type Run = (argv: readonly string[], io: CommandIo) => Promise<ExitCode>

/** Wrong input that the command line syntax cannot see. Ends the command with 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** Something outside failed. Ends the command with 1. */
export class CommandFailure extends Error {
  override readonly name = 'CommandFailure'
}

/** Answers `--help`, refuses wrong arguments, and turns what the action throws into an exit code. */
export async function runCommand(
  line: CommandLine,
  argv: readonly string[],
  io: CommandIo,
  action: (args: Arguments) => Promise<ExitCode>,
): Promise<ExitCode> {
  const args = parseArguments(argv, line)
  if (args.isHelp) {
    io.stdout(helpOf(line))
    return 0
  }
  if (args.problems.length > 0) return misused(line, args.problems, io)
  try {
    return await action(args)
  } catch (error) {
    if (error instanceof UsageError) return misused(line, [error.message], io)
    if (!(error instanceof CommandFailure)) throw error
    io.stderr(`cinnabar ${line.name}: ${error.message}\n`)
    return 1
  }
}

/**
 * The configuration that the hub would have with these flags; problems go to stderr. A command to which the keys of
 * `--dev` matter says where they come from.
 */
export function configure(
  argv: readonly string[],
  io: CommandIo,
  devKeys: () => DevKeys = () => ({ publisher: randomText(32, io), subscriber: randomText(32, io) }),
): Configuration | ExitCode {
  const { env, readFile, exists, isErrorTerminal: isTerminal, containerBytes } = io
  const loaded = load({ argv, env, readFile, exists, isTerminal, devKeys, containerBytes })
  if (loaded.ok) return loaded
  for (const problem of loaded.problems) io.stderr(`${describeProblem(problem)}\n`)
  return exitCode(loaded.problems)
}

/** Random bytes as text that is safe everywhere. */
export function randomText(bytes: number, io: CommandIo): string {
  return io.random(bytes).toBase64({ alphabet: 'base64url', omitPadding: true })
}

/** All of the standard input. Rejects with a `CommandFailure`. */
export async function readInput({ stdin }: CommandIo): Promise<string> {
  return await stdin().catch((error) => {
    throw new CommandFailure(`the standard input cannot be read: ${reasonOf(error)}`)
  })
}

/** Tells the user what is wrong with the command line and where to look. */
export function misused(line: CommandLine, problems: readonly string[], io: CommandIo): ExitCode {
  for (const problem of problems) io.stderr(`cinnabar ${line.name}: ${problem}\n`)
  io.stderr(`Try: cinnabar ${line.name} --help\n`)
  return 2
}

/** Writes a file that the user asked for. Rejects with a `CommandFailure`. */
export async function writeResult(file: string, content: string): Promise<void> {
  await Bun.write(file, content).catch((error) => {
    throw new CommandFailure(`${file} cannot be written: ${reasonOf(error)}`)
  })
}
