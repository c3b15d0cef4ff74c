import type { LegacyTokens } from '../auth/authenticate.ts'
import { type Configuration, describeProblem, exitCode, load, type Settings } from '../config/load.ts'
import { type Arguments, type CommandLine, helpOf, parseArguments } from './arguments.ts'

/** What a command may touch of the world. The process gives it the real things, a test its own. */
export interface CommandIo {
  readonly env: Readonly<Record<string, string | undefined>>
  /** All of the standard input. */
  readonly stdin: () => Promise<string>
  readonly stdout: (text: string) => void
  readonly stderr: (text: string) => void
  readonly fetch: (url: string, init?: BunFetchRequestInit) => Promise<Response>
  /** Milliseconds since the epoch. */
  readonly clock: () => number
  /** Resolves after that many milliseconds, or at once when the signal is aborted. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>
  /** Aborted when the user interrupts the command. */
  readonly interrupted: AbortSignal
  /** Throws when the file cannot be read. */
  readonly readFile: (path: string) => string
  readonly random: (bytes: number) => Uint8Array
  /** How 0.x tokens are read with these settings; null: they are not accepted. */
  readonly legacyTokens: (settings: Settings) => LegacyTokens | null
  /** Whether the standard output is a terminal. */
  readonly isTerminal: boolean
}

/** What every command answers with: 0 ok, 1 failure, 2 usage, 78 configuration. */
export type ExitCode = 0 | 1 | 2 | 78

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

/** The configuration that the hub would have with these flags; what is wrong with it goes to stderr. */
export function configure(argv: readonly string[], io: CommandIo): Configuration | ExitCode {
  const { env, readFile, isTerminal } = io
  const devKeys = { publisher: randomText(32, io), subscriber: randomText(32, io) }
  const loaded = load({ argv, env, readFile, isTerminal, devKeys })
  if (loaded.ok) return loaded
  for (const problem of loaded.problems) io.stderr(`${describeProblem(problem)}\n`)
  return exitCode(loaded.problems)
}

/** Random bytes as text that is safe everywhere. */
export function randomText(bytes: number, io: CommandIo): string {
  return io.random(bytes).toBase64({ alphabet: 'base64url', omitPadding: true })
}

/** The message of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function misused(line: CommandLine, problems: readonly string[], io: CommandIo): ExitCode {
  for (const problem of problems) io.stderr(`cinnabar ${line.name}: ${problem}\n`)
  io.stderr(`Try: cinnabar ${line.name} --help\n`)
  return 2
}

/** Writes a file that was asked for. Rejects with a `CommandFailure`. */
export async function writeResult(file: string, content: string): Promise<void> {
  await Bun.write(file, content).catch((error) => {
    throw new CommandFailure(`${file} cannot be written: ${messageOf(error)}`)
  })
}
