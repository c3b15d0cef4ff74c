import { checkIssuers } from '../auth/issuers.ts'
import type { CommandLine } from '../command/arguments.ts'
import { type CommandIo, configure, type ExitCode, runCommand } from '../command/command.ts'
import { usualFiles } from '../config/file.ts'
import { describeProblem } from '../config/load.ts'
import { adviceLines } from '../config/memory.ts'
import { startProblems, startWarnings } from '../serve/problems.ts'

/** The command line of the command. */
export const line: CommandLine = {
  name: 'check',
  usage: '[--config FILE] [--SETTING VALUE]…',
  summary: 'Validates the configuration without starting, and prints every problem at once.',
  options: [],
  hasSettings: true,
  positionals: { min: 0, max: 0 },
}

/** `cinnabar check`: 0 when the hub could start, else 78. */
export function runCheck(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  return runCommand(line, argv, io, async ({ settings }) => {
    const loaded = configure(settings, io)
    if (typeof loaded === 'number') return loaded
    const issuers = await checkIssuers(loaded.settings.issuers)
    const problems = [
      ...issuers.map(({ setting, message }) => `${setting}: ${message}`),
      ...startProblems(loaded.settings, loaded.isDev),
    ]
    for (const problem of problems) io.stderr(`${problem}\n`)
    const warnings = [...loaded.warnings.map(describeProblem), ...startWarnings(loaded.settings)]
    for (const warning of warnings) io.stderr(`warning: ${warning}\n`)
    if (problems.length > 0) return 78
    for (const note of loaded.notes) io.stdout(`${describeProblem(note)}\n`)
    io.stdout('The configuration is valid.\n')
    for (const advised of adviceLines(loaded.settings)) io.stdout(`${advised}\n`)
    if (usualFiles.some((path) => path === loaded.file)) io.stdout(`It was read from ${loaded.file}.\n`)
    return 0
  })
}
