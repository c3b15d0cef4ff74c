import type { CommandIo, ExitCode } from '../command/command.ts'

/** Runs a command: answers on the command line, and resolves with the exit code of the process. */
export type Run = (argv: readonly string[], io: CommandIo) => Promise<ExitCode>

/** A command of the program. */
export interface Command {
  /** The purpose of the command, for the help. */
  readonly help: string
  /**
   * Loads the command when it is asked for, so that a start evaluates nothing of the others. `serve` is the process
   * itself and comes from there.
   */
  readonly load: (serve: Run) => Promise<Run>
  /** Whether an interrupted command first says what it knows, then ends by itself; any other just ends. */
  readonly isInterruptible?: true
}

/** The commands in the order of the help. */
export const commands: Readonly<Record<string, Command>> = {
  serve: {
    help: 'runs the hub',
    load: async (serve) => serve,
  },
  check: {
    help: 'validates the configuration without starting',
    load: async () => (await import('./check.ts')).runCheck,
  },
  config: {
    help: 'prints the effective configuration and where each value comes from',
    load: async () => (await import('./config.ts')).runConfig,
  },
  token: {
    help: 'mints a token; token explain TOKEN says what a token is worth here',
    load: async () => (await import('./token.ts')).runToken,
  },
  publish: {
    help: 'publishes one update and prints its id',
    load: async () => (await import('./publish.ts')).runPublish,
  },
  subscribe: {
    help: 'prints events as they arrive',
    load: async () => (await import('./subscribe.ts')).runSubscribe,
    isInterruptible: true,
  },
  history: {
    help: 'looks after the history: stats, prune, compact, export, import',
    load: async () => (await import('./history/command.ts')).runHistory,
  },
  bench: {
    help: 'measures a hub: fanout, publish, connections, replay; tries configurations: memory',
    load: async () => (await import('./bench/command.ts')).runBench,
    isInterruptible: true,
  },
  health: {
    help: 'asks a running hub whether it is ready',
    load: async () => (await import('./health.ts')).runHealth,
  },
  version: {
    help: 'prints versions',
    load: async () => (await import('./version.ts')).runVersion,
  },
  help: {
    help: 'shows this text',
    load: async (serve) => {
      const { helpOn } = await import('./help.ts')
      return helpOn(commands, (name) => findCommand(name)?.load(serve) ?? null)
    },
  },
}

const flags: ReadonlyMap<string, string> = new Map([
  ['--help', 'help'],
  ['-h', 'help'],
  ['--version', 'version'],
  ['-v', 'version'],
  ['-V', 'version'],
])

/** The command of this name, also by the flag that other programs have for it, or null. */
export function findCommand(name: string): Command | null {
  const plain = flags.get(name) ?? name
  return Object.hasOwn(commands, plain) ? (commands[plain] ?? null) : null
}
