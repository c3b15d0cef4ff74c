import { type CommandLine, type Option, optionsOf } from '../../command/arguments.ts'
import { type Name, names } from '../../config/names.ts'

/** The words that can be typed after the name of the program: the same for every shell. */

/** The kinds of values that a shell can help with. */
export type Value =
  | { readonly kind: 'none' | 'text' | 'file' | 'folder' }
  | { readonly kind: 'words'; readonly words: readonly string[] }

/** An option as it is typed, without the two dashes. */
export interface Flag {
  readonly name: string
  readonly help: string
  readonly value: Value
}

/** A command or subcommand. */
export interface Place {
  /** The words after the name of the program, such as `token explain`. */
  readonly path: string
  /** One sentence. */
  readonly help: string
  readonly flags: readonly Flag[]
  /** Whether the flags of settings may be typed too. */
  readonly hasSettings: boolean
  /** Words that may come next: subcommands, and what the first argument may be. */
  readonly words: readonly string[]
  /** Whether an argument is the name of a file. */
  readonly takesFile: boolean
}

/** Everything that a shell is told: the commands with their help, and what can be typed after each. */
export interface Typed {
  readonly commands: readonly (readonly [name: string, help: string])[]
  readonly places: readonly Place[]
}

/** All commands and subcommands. One that only has subcommands is made up of them. */
export function placesOf(lines: readonly CommandLine[]): readonly Place[] {
  const first = [...new Set(lines.map(({ name }) => name.split(' ')[0] ?? ''))]
  return first.flatMap((command) => {
    const own = lines.find(({ name }) => name === command)
    const inner = lines.filter(({ name }) => name.startsWith(`${command} `))
    const words = inner.map(({ name }) => name.slice(command.length + 1))
    const group = own === undefined ? groupOf(command, words) : placeOf(own, words)
    return [group, ...inner.map((line) => placeOf(line, []))]
  })
}

/** The flags of all settings. In one of a table that may be there many times the number is 0. */
export const settingFlags: readonly Flag[] = names.map((name) => ({
  name: `${isOn(name) ? 'no-' : ''}${name.flag.replace('-N-', '-0-')}`,
  help: plain(name.takes === 'file' ? 'the file that holds it' : name.meaning.help),
  value: valueOfSetting(name),
}))

/** The option with its dashes. */
export function dashed({ name }: Flag): string {
  return `--${name}`
}

/** The text as one word of a shell that quotes as POSIX says. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}

function placeOf(line: CommandLine, subcommands: readonly string[]): Place {
  return {
    path: line.name,
    help: sentence(line.summary),
    flags: optionsOf(line).map(flagOf),
    hasSettings: line.hasSettings,
    words: [...new Set([...(line.positionals.words ?? []), ...subcommands])],
    // The brackets hold options.
    takesFile: /\bFILE\b/.test(line.usage.replaceAll(/\[[^\]]*\]/g, '')),
  }
}

function groupOf(path: string, words: readonly string[]): Place {
  const help: Flag = { name: 'help', help: 'shows its subcommands', value: { kind: 'none' } }
  return { path, help: '', flags: [help], hasSettings: false, words, takesFile: false }
}

function flagOf({ name, takes, help }: Option): Flag {
  return { name, help: plain(help), value: valueOfOption(takes) }
}

function valueOfOption(takes: string | null): Value {
  if (takes === null) return { kind: 'none' }
  if (takes === 'FILE') return { kind: 'file' }
  return { kind: takes === 'DIR' ? 'folder' : 'text' }
}

function valueOfSetting({ key, takes, meaning }: Name): Value {
  if (meaning.form === 'boolean') return { kind: 'none' }
  if (takes === 'file' || /_file$|^sqlite\.path$/.test(key)) return { kind: 'file' }
  const form = meaning.form.replace(/^list of /, '')
  // A closed set is written so; a form such as "duration or `unlimited`" is open.
  const words = /^`[^`]+`(, `[^`]+`)+$/.test(form) ? plain(form).split(', ') : []
  return words.length === 0 ? { kind: 'text' } : { kind: 'words', words }
}

/** Whether the setting is on unless it is turned off, as in the help of `serve`. */
function isOn({ meaning }: Name): boolean {
  return meaning.form === 'boolean' && meaning.fallback === 'true'
}

function sentence(summary: string): string {
  return plain(summary.replaceAll('\n', ' ').replace(/([.:])\s.*/, '$1')).replace(/[.:]$/, '')
}

function plain(markdown: string): string {
  return markdown.replaceAll('`', '')
}
