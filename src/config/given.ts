import type { Name } from './names.ts'

/** The shape that every place of settings is read into. */

/** The place that a value comes from, and its name there. */
export interface Origin {
  readonly kind: 'flag' | 'environment' | 'file' | 'dev' | 'container' | 'default'
  /** The name as the operator wrote it: `--history-max-age`, `CINNABAR_LISTEN`, `history.max_age (hub.toml:3)`. */
  readonly name: string
  /** The path of the file that holds the value, which is a secret. */
  readonly secretFile?: string
}

/** One value as it was given, before it is read. */
export interface Given {
  readonly name: Name
  /** The number of the table that it is in. */
  readonly index: number | null
  readonly raw: unknown
  readonly origin: Origin
}

/** A mistake, by the name that the operator wrote. */
export interface Problem {
  readonly setting: string
  readonly message: string
  /** Whether the command line itself is wrong, rather than a value. */
  readonly isUsage: boolean
}

/** The settings of one place. */
export interface Source {
  readonly givens: readonly Given[]
  /** Keys of tables that this place gives as a whole: those tables of weaker places do not count. */
  readonly whole: readonly string[]
  readonly problems: readonly Problem[]
}

/** A problem with a value. */
export function problem(setting: string, message: string): Problem {
  return { setting, message, isUsage: false }
}
