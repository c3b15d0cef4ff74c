import { type Given, type Origin, type Problem, problem, type Source } from './given.ts'
import { type Found, findEnv, findFlag, names, suggestion } from './names.ts'
import { expandTables } from './tables.ts'
import { splitList, WrongValue } from './values.ts'

/** The command line and the environment, read into the same shape as the file. */

/** The flags of the command line: settings, and the two flags that are none. */
export interface Flags extends Source {
  readonly configFile: string | null
  readonly isDev: boolean
}

/** Reads `--name value`, `--name=value`, `--name`, `--no-name`. A repeated list grows, else the last counts. */
export function readFlags(argv: readonly string[]): Flags {
  const reader = new FlagReader(argv)
  reader.read()
  return reader
}

// These names speak to the commands, not to the hub.
const otherEnvironment = new Set(['CINNABAR_CONFIG', 'CINNABAR_TOKEN'])

/** Reads every `CINNABAR_` name; one that is no setting is a problem (SEC-18). */
export function readEnvironment(env: Readonly<Record<string, string | undefined>>): Source {
  const source = { givens: [] as Given[], whole: [] as string[], problems: [] as Problem[] }
  for (const [name, raw] of Object.entries(env)) {
    if (raw === undefined || !name.startsWith('CINNABAR_') || otherEnvironment.has(name)) continue
    const found = findEnv(name)
    if (found === null) source.problems.push(unknownName(name, [...names.map(({ env }) => env)]))
    else add(source, found, raw, { kind: 'environment', name })
  }
  return source
}

interface Growing {
  readonly givens: Given[]
  readonly whole: string[]
  readonly problems: Problem[]
}

function add(source: Growing, found: Found, raw: unknown, origin: Origin): void {
  if (found.name.takes !== 'tables') {
    source.givens.push({ ...found, raw, origin })
    return
  }
  const tables = expandTables(found.name.key, raw, origin)
  source.whole.push(found.name.key)
  source.givens.push(...tables.givens)
  source.problems.push(...tables.problems)
}

function unknownName(name: string, known: readonly string[]): Problem {
  return problem(name, `is not a setting${suggestion(name, known)}`)
}

class FlagReader implements Flags {
  readonly givens: Given[] = []
  readonly whole: string[] = []
  readonly problems: Problem[] = []
  configFile: string | null = null
  isDev = false
  readonly #rest: string[]

  constructor(argv: readonly string[]) {
    this.#rest = [...argv]
  }

  read(): void {
    for (let next = this.#rest.shift(); next !== undefined; next = this.#rest.shift()) {
      const [, flag, , value] = /^--([^=]+)(=(.*))?$/s.exec(next) ?? []
      if (flag === undefined) this.#refuse('the command line', 'holds a word that belongs to no flag')
      else this.#readOne(flag, value)
    }
  }

  #readOne(flag: string, value: string | undefined): void {
    if (flag === 'dev' && value === undefined) {
      this.isDev = true
    } else if (flag === 'config') {
      this.configFile = this.#value(flag, value) ?? null
    } else {
      this.#readSetting(flag, value)
    }
  }

  #readSetting(flag: string, value: string | undefined): void {
    const found = findFlag(flag)
    const denied = flag.startsWith('no-') ? findFlag(flag.slice('no-'.length)) : null
    if (found !== null) {
      const raw = isBoolean(found) ? (value ?? 'true') : this.#value(flag, value)
      if (raw !== undefined) this.#give(found, raw, `--${flag}`)
    } else if (denied !== null && isBoolean(denied) && value === undefined) {
      this.#give(denied, 'false', `--${flag}`)
    } else {
      const known = [...names.map((name) => `--${name.flag}`), '--config', '--dev']
      this.#refuse(`--${flag}`, `is not a flag${suggestion(`--${flag}`, known)}`)
    }
  }

  #give(found: Found, raw: unknown, written: string): void {
    const earlier = this.givens.findIndex(({ name, index }) => name === found.name && index === found.index)
    const before = earlier === -1 ? undefined : this.givens.splice(earlier, 1)[0]?.raw
    const value = found.name.meaning.isList ? [...(Array.isArray(before) ? before : []), ...items(raw)] : raw
    add(this, found, value, { kind: 'flag', name: written })
  }

  /** The value after the flag. A PEM may follow; another flag may not. */
  #value(flag: string, value: string | undefined): string | undefined {
    const next = value ?? this.#rest[0]
    if (next === undefined || (value === undefined && /^--[a-z]/.test(next))) {
      this.#refuse(`--${flag}`, 'needs a value')
      return undefined
    }
    if (value === undefined) this.#rest.shift()
    return next
  }

  #refuse(setting: string, message: string): void {
    this.problems.push({ setting, message, isUsage: true })
  }
}

function isBoolean({ name }: Found): boolean {
  return name.meaning.form === 'boolean'
}

/** One occurrence may hold several items. A text that is no list stays as it is, and its reader refuses it. */
function items(raw: unknown): readonly unknown[] {
  try {
    return splitList(raw)
  } catch (error) {
    if (error instanceof WrongValue) return [raw]
    throw error
  }
}
