import type { CommandLine } from '../command/arguments.ts'
import { type CommandIo, configure, type ExitCode, runCommand } from '../command/command.ts'
import { settingsInEffect } from '../config/describe.ts'

/** The command line of the command. */
export const line: CommandLine = {
  name: 'config',
  usage: '[--config FILE] [--SETTING VALUE]…',
  summary: 'Prints the effective configuration and where each value comes from. Secrets are masked.',
  options: [],
  hasSettings: true,
  positionals: { min: 0, max: 0 },
}

/** `cinnabar config`: a line `name = value  # origin` for each setting. */
export function runConfig(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  return runCommand(line, argv, io, async ({ settings }) => {
    const loaded = configure(settings, io)
    if (typeof loaded === 'number') return loaded
    for (const text of settingsInEffect(loaded.settings, loaded.origins)) io.stdout(`${text}\n`)
    return 0
  })
}
