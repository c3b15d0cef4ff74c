import type { CommandLine } from '../command/arguments.ts'
import type { Run } from '../command/command.ts'

/** A command of the program. */
export interface Command {
  /** The purpose of the command, for the help. */
  readonly help: string
  /**
   * Loads the command when it is asked for, so that a start evaluates nothing of the others. `serve` is the process
   * itself and comes from there.
   */
  readonly load: (serve: Run) => Promise<Run>
  /** Loads the command lines of the command and its subcommands, for the manual page and the completions. */
  readonly lines: () => Promise<readonly CommandLine[]>
  /** Whether an interrupted command first says what it knows, then ends by itself; any other just ends. */
  readonly isInterruptible?: true
}

/** The commands in the order of the help. */
export const commands: Readonly<Record<string, Command>> = {
  serve: {
    help: 'runs the hub',
    load: async (serve) => serve,
    lines: async () => [(await import('./help.ts')).serveLine],
  },
  init: {
    help: 'writes a configuration and its keys, and says what to do next',
    load: async () => (await import('./init/command.ts')).runInit,
    lines: async () => [(await import('./init/command.ts')).line],
  },
  check: {
    help: 'validates the configuration without starting',
    load: async () => (await import('./check.ts')).runCheck,
    lines: async () => [(await import('./check.ts')).line],
  },
  config: {
    help: 'prints the effective configuration and where each value comes from',
    load: async () => (await import('./config.ts')).runConfig,
    lines: async () => [(await import('./config.ts')).line],
  },
  token: {
    help: 'mints a token; token explain TOKEN says what a token is worth here',
    load: async () => (await import('./token.ts')).runToken,
    lines: async () => [(await import('./token.ts')).line, (await import('./token-explain.ts')).line],
  },
  publish: {
    help: 'publishes one update and prints its id',
    load: async () => (await import('./publish.ts')).runPublish,
    lines: async () => [(await import('./publish.ts')).line],
  },
  subscribe: {
    help: 'prints events as they arrive',
    load: async () => (await import('./subscribe.ts')).runSubscribe,
    lines: async () => [(await import('./subscribe.ts')).line],
    isInterruptible: true,
  },
  history: {
    help: 'looks after the history: stats, prune, compact, backup, export, import',
    load: async () => (await import('./history/command.ts')).runHistory,
    lines: async () => (await import('./history/command.ts')).lines,
  },
  import: {
    help: 'turns the configuration of another hub into one of this: caddyfile',
    load: async () => (await import('./caddyfile/command.ts')).runImport,
    lines: async () => [(await import('./caddyfile/command.ts')).line],
  },
  bench: {
    help: 'measures a hub: fanout, publish, connections, replay; tries configurations: memory',
    load: async () => (await import('./bench/command.ts')).runBench,
    lines: async () => [(await import('./bench/command.ts')).line, (await import('./bench/memory.ts')).line],
    isInterruptible: true,
  },
  doctor: {
    help: 'examines this machine, the configuration, and a hub by its URL',
    load: async () => (await import('./doctor/command.ts')).runDoctor,
    lines: async () => [(await import('./doctor/command.ts')).line],
  },
  health: {
    help: 'asks a running hub whether it is ready',
    load: async () => (await import('./health.ts')).runHealth,
    lines: async () => [(await import('./health.ts')).line],
  },
  version: {
    help: 'prints versions',
    load: async () => (await import('./version.ts')).runVersion,
    lines: async () => [(await import('./version.ts')).line],
  },
  completion: {
    help: 'prints what completes command lines: bash, zsh, fish',
    load: async () => (await import('./completion/command.ts')).completionOf(commands, commandLines),
    lines: async () => [(await import('./completion/command.ts')).line],
  },
  man: {
    help: 'prints the manual page',
    load: async () => (await import('./man.ts')).manualOf(commandLines),
    lines: async () => [(await import('./man.ts')).line],
  },
  help: {
    help: 'shows this text',
    load: async (serve) => {
      const { helpOn } = await import('./help.ts')
      return helpOn(commands, (name) => findCommand(name)?.load(serve) ?? null)
    },
    lines: async () => [(await import('./help.ts')).helpLine(Object.keys(commands))],
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

/** The command lines of all commands and subcommands, in the order of the help. Loads all of them. */
export async function commandLines(): Promise<readonly CommandLine[]> {
  return (await Promise.all(Object.values(commands).map(({ lines }) => lines()))).flat()
}
