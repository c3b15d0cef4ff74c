import type { CommandLine } from '../../command/arguments.ts'
import { type CommandIo, type ExitCode, runCommand, UsageError } from '../../command/command.ts'
import { bashCompletion } from './bash.ts'
import { fishCompletion } from './fish.ts'
import { placesOf, type Typed } from './typed.ts'
import { zshCompletion } from './zsh.ts'

const shells: ReadonlyMap<string, (typed: Typed) => string> = new Map([
  ['bash', bashCompletion],
  ['zsh', zshCompletion],
  ['fish', fishCompletion],
])

/** The command line of the command. */
export const line: CommandLine = {
  name: 'completion',
  usage: [...shells.keys()].join('|'),
  summary: `Prints a script that completes the command lines of cinnabar in a shell. For the running one:
  bash   eval "$(cinnabar completion bash)"
  zsh    eval "$(cinnabar completion zsh)"
  fish   cinnabar completion fish | source`,
  options: [],
  hasSettings: false,
  positionals: { min: 1, max: 1, words: [...shells.keys()] },
}

/** The commands by their names, with the part that a shell shows. */
type Table = Readonly<Record<string, { readonly help: string }>>

/** `cinnabar completion SHELL`, for these commands and what all of them understand. */
export function completionOf(commands: Table, lines: () => Promise<readonly CommandLine[]>) {
  return (argv: readonly string[], io: CommandIo): Promise<ExitCode> =>
    runCommand(line, argv, io, async ({ positionals: [shell = ''] }) => {
      const write = shells.get(shell)
      if (write === undefined) throw new UsageError(`it knows ${[...shells.keys()].join(', ')}`)
      const named = Object.entries(commands).map(([name, { help }]) => [name, help] as const)
      io.stdout(write({ commands: named, places: placesOf(await lines()) }))
      return 0
    })
}
