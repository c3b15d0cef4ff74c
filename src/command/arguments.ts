import { findFlag, names, suggestion } from '../config/names.ts'
import { printable } from './printable.ts'

/** Command lines: the options of one command, its positional arguments, and settings of the hub beside them. */

/** An option of a command. */
export interface Option {
  /** Without the two dashes. */
  readonly name: string
  /** The name of its value, for the help; null: it has none. */
  readonly takes: string | null
  readonly help: string
}

/** The arguments that a command understands. */
export interface CommandLine {
  readonly name: string
  /** The text after the name in the first line of the help. */
  readonly usage: string
  readonly summary: string
  readonly options: readonly Option[]
  /** Whether the command understands flags of settings, `--config` and `--dev` too. */
  readonly hasSettings: boolean
  /** The number of positional arguments that the command takes, and the words that the first may be where they are few. */
  readonly positionals: { readonly min: number; readonly max: number; readonly words?: readonly string[] }
}

/** The arguments as the user wrote them. */
export interface Arguments {
  readonly isHelp: boolean
  readonly problems: readonly string[]
  readonly positionals: readonly string[]
  /** The flags of settings with their values, for `load`. */
  readonly settings: readonly string[]
  /** Whether the option is there. */
  has(option: string): boolean
  /** The last value of the option, or null. */
  value(option: string): string | null
  /** Every value of the option, in order. */
  values(option: string): readonly string[]
}

/** Takes a command line apart. Never throws: mistakes are in `problems`. */
export function parseArguments(argv: readonly string[], line: CommandLine): Arguments {
  const parsed = new ParsedArguments(line)
  parsed.read([...argv])
  return parsed
}

/** The help of a command, ending with a line break. */
export function helpOf(line: CommandLine): string {
  const rows = optionsOf(line).map((option) => [`  ${spelled(option)}`, option.help] as const)
  const width = Math.max(...rows.map(([left]) => left.length))
  const options = rows.map(([left, right]) => `${left.padEnd(width)}  ${right}`).join('\n')
  const settings = line.hasSettings ? '\n\nEvery setting is a flag too: see cinnabar serve --help.' : ''
  const usage = `cinnabar ${line.name} ${line.usage}`.trimEnd()
  return `Usage: ${usage}\n\n${line.summary}\n\nOptions:\n${options}${settings}\n`
}

/** The options of a command, `--help` included; settings of the hub are further ones where it takes them. */
export function optionsOf({ options, hasSettings }: CommandLine): readonly Option[] {
  return [...options, ...(hasSettings ? settingOptions : []), helpOption]
}

/** The option with its value, as it is written in a help. */
export function spelled({ name, takes }: Option): string {
  return takes === null ? `--${name}` : `--${name} ${takes}`
}

const helpOption: Option = { name: 'help', takes: null, help: 'shows this text' }

const settingOptions: readonly Option[] = [
  { name: 'config', takes: 'FILE', help: 'reads settings from this TOML file; default: cinnabar.toml' },
  { name: 'dev', takes: null, help: 'settings for one developer on this machine' },
]

class ParsedArguments implements Arguments {
  isHelp = false
  readonly problems: string[] = []
  readonly positionals: string[] = []
  readonly settings: string[] = []
  readonly #line: CommandLine
  readonly #values = new Map<string, string[]>()

  constructor(line: CommandLine) {
    this.#line = line
  }

  has(option: string): boolean {
    return this.#values.has(option)
  }

  value(option: string): string | null {
    return this.values(option).at(-1) ?? null
  }

  values(option: string): readonly string[] {
    return this.#values.get(option) ?? []
  }

  read(rest: string[]): void {
    for (let next = rest.shift(); next !== undefined; next = rest.shift()) {
      if (next === '--') this.positionals.push(...rest.splice(0))
      else if (next === '--help' || next === '-h') this.isHelp = true
      else if (next.startsWith('-') && next !== '-') this.#readOption(next, rest)
      else this.positionals.push(next)
    }
    // After a wrong option nobody knows which words were its value.
    if (this.problems.length > 0) return
    const { min, max } = this.#line.positionals
    if (this.positionals.length < min) this.problems.push(`an argument is missing: ${firstOf(this.#line)}`)
    // An argument in the wrong place may be a token, so no message repeats it.
    if (this.positionals.length > max)
      this.problems.push(
        max === 0
          ? 'it takes no arguments'
          : `it takes no more than ${max} ${max === 1 ? 'argument' : 'arguments'}`,
      )
  }

  #readOption(written: string, rest: string[]): void {
    const [, name = '', , attached] = /^--([^=]+)(=(.*))?$/s.exec(written) ?? []
    const option = this.#line.options.find((each) => each.name === name)
    if (option !== undefined) this.#readOwn(option, attached, rest)
    else if (this.#line.hasSettings && isSetting(name)) this.#readSetting(name, written, rest)
    else this.problems.push(`${optionIn(written)} is not an option${this.#suggest(written)}`)
  }

  #readOwn(option: Option, attached: string | undefined, rest: string[]): void {
    const values = this.#values.get(option.name) ?? []
    this.#values.set(option.name, values)
    if (option.takes === null) {
      if (attached !== undefined) this.problems.push(`--${option.name} takes no value`)
      return
    }
    const value = attached ?? takeValue(rest)
    if (value === undefined) this.problems.push(`--${option.name} needs a value`)
    else values.push(value)
  }

  #readSetting(name: string, written: string, rest: string[]): void {
    this.settings.push(written)
    const found = findFlag(name)
    const takesValue = name === 'config' || (found !== null && found.name.meaning.form !== 'boolean')
    const value = takesValue && !written.includes('=') ? takeValue(rest) : undefined
    if (value !== undefined) this.settings.push(value)
  }

  #suggest(written: string): string {
    const known = optionsOf(this.#line).map(({ name }) => `--${name}`)
    if (this.#line.hasSettings) known.push(...names.map(({ flag }) => `--${flag}`))
    return suggestion(written.replace(/=.*/s, ''), known)
  }
}

/** The name of an option alone: the text after it, also directly after a single letter, may be a token. */
function optionIn(written: string): string {
  return printable(/^(--[^=]*|-.?)/s.exec(written)?.[0] ?? '')
}

/** The name that the usage gives the first positional argument. */
function firstOf({ usage }: CommandLine): string {
  return usage.split(' ')[0]?.replace(/^\[|\]$/g, '') ?? ''
}

function isSetting(name: string): boolean {
  if (name === 'config' || name === 'dev' || findFlag(name) !== null) return true
  return name.startsWith('no-') && findFlag(name.slice('no-'.length)) !== null
}

/** The next argument, unless it is an option. A PEM begins with dashes too, and `-` stands for stdin. */
function takeValue(rest: string[]): string | undefined {
  const next = rest[0]
  return next === undefined || /^--[a-z]/.test(next) ? undefined : rest.shift()
}
