import { printable } from '../../command/printable.ts'

/** A configuration file as it is being written: settings in their sections, and remarks about what has no place there. */
export class Draft {
  readonly #top: string[] = []
  readonly #sections = new Map<string, string[]>()
  readonly #tables: string[] = []
  readonly #remarks: string[] = []
  readonly #keys = new Set<string>()
  /** Texts that nobody understood, for the person who runs the command. */
  readonly problems: string[] = []

  /** Whether the setting was given already. */
  has(key: string): boolean {
    return this.#keys.has(key)
  }

  /** Sets `hub.anonymous` and the like; the first value of a setting stays. `why` becomes a comment above it. */
  set(key: string, value: TomlValue, why: string): void {
    if (this.#keys.has(key)) return
    this.#keys.add(key)
    const dot = key.indexOf('.')
    const lines = dot === -1 ? this.#top : this.#section(key.slice(0, dot))
    lines.push(...(why === '' ? [] : commented(why)), `${key.slice(dot + 1)} = ${spelled(value)}`)
  }

  /** Adds lines of a table that may be there many times, as they are. */
  table(lines: readonly string[]): void {
    this.#tables.push('', ...lines)
  }

  /** A directive that has no equivalent, or needs none; without a line, one that is not there. */
  remark(line: number | null, text: string): void {
    this.#remarks.push(...commented(line === null ? text : `line ${line}: ${text}`))
  }

  /** Something that a person must look at. It stands in the file as well. */
  problem(line: number, text: string): void {
    this.problems.push(`line ${line}: ${text}`)
    this.#remarks.push(...commented(`TO DO, line ${line}: ${text}`))
  }

  /** A variable of the environment that the Caddyfile asks for and that has no value. */
  missing(name: string): void {
    const text = `${name} has no value here: set it and run this again`
    this.problems.push(text)
    this.#remarks.push(...commented(`TO DO: ${text}`))
  }

  /** The file, which ends with a line break. */
  toToml(head: string): string {
    const sections = [...this.#sections].map(([name, lines]) => ['', `[${name}]`, ...lines])
    const remarks = this.#remarks.length === 0 ? [] : ['', ...this.#remarks]
    const lines = [...commented(head), ...remarks, '', ...this.#top, ...sections.flat(), ...this.#tables]
    return `${lines
      .join('\n')
      .replaceAll(/\n{3,}/g, '\n\n')
      .trimEnd()}\n`
  }

  #section(name: string): string[] {
    const lines = this.#sections.get(name) ?? []
    this.#sections.set(name, lines)
    return lines
  }
}

/** A value of TOML. */
export type TomlValue = string | number | boolean | readonly string[]

/** The value as TOML spells it. A string of JSON is a basic string of TOML, but for U+007F. */
export function spelled(value: TomlValue): string {
  if (typeof value === 'object') return `[${value.map(spelled).join(', ')}]`
  return JSON.stringify(value).replaceAll('\u007F', '\\u007F')
}

/** Lines of a comment. TOML allows no control characters in one. */
export function commented(text: string): readonly string[] {
  return printable(text)
    .split('\n')
    .map((line) => `# ${line}`.trimEnd())
}
