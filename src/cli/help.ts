import type { CommandIo, ExitCode } from '../command/command.ts'
import { settingsHelp } from '../config/describe.ts'
import { nearest } from '../config/names.ts'
import { commands } from './commands.ts'

/** The help of the program. */
export function programHelp(): string {
  const rows = Object.entries(commands).map(([name, { help }]) => `  ${name.padEnd(11)}${help}`)
  return `Usage: cinnabar COMMAND [options]

A Mercure hub: publish-subscribe over HTTP and Server-Sent Events.

Commands:
${rows.join('\n')}

Every command has --help. Exit codes: 0 ok, 1 failure, 2 usage, 78 configuration.
`
}

/** The help of `cinnabar serve`: every setting, straight from the schema. */
export function serveHelp(): string {
  return `Usage: cinnabar serve [--config FILE] [--dev] [--SETTING VALUE]…

Runs the hub until SIGTERM or SIGINT. SIGHUP reads configuration, keys and certificates again.

  --config FILE  settings in TOML; also CINNABAR_CONFIG
  --dev          for one developer: loopback only, keys made for this run, anonymous subscribers, the console
  --help         shows this text

A setting is a flag, an environment name (--history-max-age is CINNABAR_HISTORY_MAX_AGE) and a key of the file
(history.max_age); they win in this order. N is the number of a table, from 0. Defaults are in brackets.

${settingsHelp()}
`
}

/** `cinnabar help`, and the answer to a command that does not exist. */
export async function runHelp(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const [wanted] = argv
  if (wanted === 'serve') io.stdout(serveHelp())
  else io.stdout(programHelp())
  return 0
}

/** Refuses a command that does not exist, with the nearest one. */
export function refuseCommand(name: string, io: CommandIo): ExitCode {
  const near = nearest(name, Object.keys(commands))
  io.stderr(`cinnabar: ${name} is not a command${near === null ? '' : `; did you mean ${near}?`}\n`)
  io.stderr('Try: cinnabar help\n')
  return 2
}
