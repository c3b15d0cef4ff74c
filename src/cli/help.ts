import type { CommandLine } from '../command/arguments.ts'
import type { CommandIo, ExitCode, Run } from '../command/command.ts'
import { quotedName } from '../command/printable.ts'
import { settingsHelp } from '../config/describe.ts'
import { findFlag, suggestion } from '../config/names.ts'

/** The commands by their names, with the part that the help shows. */
type Table = Readonly<Record<string, { readonly help: string }>>

/** The help of the program. */
export function programHelp(commands: Table): string {
  const rows = Object.entries(commands).map(([name, { help }]) => `  ${name.padEnd(12)}${help}`)
  return `Usage: cinnabar COMMAND [options]

A Mercure hub: publish-subscribe over HTTP and Server-Sent Events.

Commands:
${rows.join('\n')}

Every command has --help, and cinnabar help COMMAND shows it. Exit codes: 0 ok, 1 failure, 2 usage, 78 configuration.
`
}

/** The command line of `cinnabar serve`, whose help is longer than that of the others. */
export const serveLine: CommandLine = {
  name: 'serve',
  usage: '[--config FILE] [--dev] [--SETTING VALUE]…',
  summary: 'Runs the hub until SIGTERM or SIGINT. SIGHUP reads configuration, keys and certificates again.',
  options: [],
  hasSettings: true,
  positionals: { min: 0, max: 0 },
}

/** The command line of `cinnabar help`. */
export function helpLine(commands: readonly string[]): CommandLine {
  return {
    name: 'help',
    usage: '[COMMAND]',
    summary: 'Shows what the commands are for, or the help of one; that of serve has every setting.',
    options: [],
    hasSettings: false,
    positionals: { min: 0, max: 1, words: commands },
  }
}

/** The help of `cinnabar serve`: every setting, straight from the schema. */
export function serveHelp(): string {
  return `Usage: cinnabar serve ${serveLine.usage}

${serveLine.summary}

  --config FILE  settings in TOML; also CINNABAR_CONFIG; default: cinnabar.toml in this folder, else
                 /etc/cinnabar/cinnabar.toml, when it is there; empty: no file
  --dev          for one developer: loopback only, anonymous subscribers, the console, and a key of its own, which
                 stays in .cinnabar-dev.json of this folder
  --help         shows this text

A setting is a flag, an environment name (--history-max-age is CINNABAR_HISTORY_MAX_AGE) and a key of the file
(history.max_age); they win in this order. N is the number of a table, from 0. Defaults are in brackets.

${settingsHelp()}
`
}

/** `cinnabar help`: the help of the program, or of the named command, which `find` loads. */
export function helpOn(commands: Table, find: (name: string) => Promise<Run> | null): Run {
  return async ([wanted, ...inner], io) => {
    if (wanted === undefined || wanted.startsWith('-')) {
      io.stdout(programHelp(commands))
      return 0
    }
    const run = await find(wanted)
    return run === null ? refuseCommand(wanted, commands, io) : await run([...inner, '--help'], io)
  }
}

/** Refuses a command that does not exist, and names the nearest one. */
export function refuseCommand(name: string, commands: Table, io: CommandIo): ExitCode {
  io.stderr(`cinnabar: ${quotedName(name, 'the first word')} is not a command${hintFor(name, commands)}\n`)
  io.stderr('Try: cinnabar help\n')
  return 2
}

/** A hint at the command, its subcommand, or the flag of a hub to be run that the user may have meant. */
function hintFor(name: string, commands: Table): string {
  const flag = name.replace(/^--/, '').replace(/=.*/s, '')
  if (name.startsWith('--') && (['config', 'dev'].includes(flag) || findFlag(flag) !== null)) {
    return `; did you mean cinnabar serve --${flag}?`
  }
  return suggestion(name, [...Object.keys(commands), '--help', '--version'])
}
