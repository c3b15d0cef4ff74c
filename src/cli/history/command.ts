import type { CommandLine } from '../../command/arguments.ts'
import type { CommandIo, ExitCode } from '../../command/command.ts'
import { quotedName } from '../../command/printable.ts'
import { nearest } from '../../config/names.ts'
import { line as backup, runHistoryBackup } from './backup.ts'
import { line as compact, runHistoryCompact } from './compact.ts'
import { line as exporting, runHistoryExport } from './export.ts'
import { line as importing, runHistoryImport } from './import.ts'
import { line as prune, runHistoryPrune } from './prune.ts'
import { runHistoryStats, line as stats } from './stats.ts'

const subcommands: ReadonlyMap<string, (argv: readonly string[], io: CommandIo) => Promise<ExitCode>> =
  new Map([
    ['stats', runHistoryStats],
    ['prune', runHistoryPrune],
    ['compact', runHistoryCompact],
    ['backup', runHistoryBackup],
    ['export', runHistoryExport],
    ['import', runHistoryImport],
  ])

/** The command lines of its subcommands, in the order of the help. */
export const lines: readonly CommandLine[] = [stats, prune, compact, backup, exporting, importing]

const help = `Usage: cinnabar history SUBCOMMAND [options]

Looks after the history, also while a hub is running on it: the file, as the user of the hub, or with
--transport redis the log on the server.

Subcommands:
  stats    says what it holds and what takes most of it
  prune    drops entries by age, number, size or topic
  compact  gives room back to the file system
  backup   copies it into a file, as it is at one moment
  export   writes entries as lines of JSON, also from a damaged file
  import   stores such lines, or another hub's history, while no hub is running

Every subcommand has --help.
`

/** `cinnabar history`: one of its subcommands. */
export async function runHistory(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const [name, ...rest] = argv
  if (name === '--help' || name === '-h') {
    io.stdout(help)
    return 0
  }
  const run = subcommands.get(name ?? '')
  return run === undefined ? refuse(name, io) : await run(rest, io)
}

function refuse(name: string | undefined, io: CommandIo): ExitCode {
  const near = name === undefined ? null : nearest(name, [...subcommands.keys()])
  const problem =
    name === undefined ? 'a subcommand is missing' : `${quotedName(name, 'that')} is not a subcommand`
  io.stderr(`cinnabar history: ${problem}${near === null ? '' : `; did you mean ${near}?`}\n`)
  io.stderr('Try: cinnabar history --help\n')
  return 2
}
