import type { CommandLine } from '../command/arguments.ts'
import { type CommandIo, configure, type ExitCode, runCommand } from '../command/command.ts'
import { settingsAsJson, settingsInEffect } from '../config/effective.ts'

/** The command line of the command. */
export const line: CommandLine = {
  name: 'config',
  usage: '[--json] [--config FILE] [--SETTING VALUE]…',
  summary: `Prints the effective configuration and where each value comes from, as a file that says the same. A secret
that is in no file of its own is masked, in a comment.`,
  options: [
    { name: 'json', takes: null, help: 'prints one JSON object: each setting with its value and its origin' },
  ],
  hasSettings: true,
  positionals: { min: 0, max: 0 },
}

/** `cinnabar config`: a line `name = value  # origin` for each setting. */
export function runConfig(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  return runCommand(line, argv, io, async (args) => {
    const loaded = configure(args.settings, io)
    if (typeof loaded === 'number') return loaded
    if (args.has('json')) {
      io.stdout(`${JSON.stringify(settingsAsJson(loaded.settings, loaded.origins))}\n`)
      return 0
    }
    for (const text of settingsInEffect(loaded.settings, loaded.origins)) io.stdout(`${text}\n`)
    return 0
  })
}
