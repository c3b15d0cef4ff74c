import { formatAddress, type ListenAddress, withoutPasswords } from './addresses.ts'
import type { Settings } from './checks.ts'
import type { Origin } from './given.ts'
import { item, members, type Name, type Node, names, snakeCase } from './names.ts'
import { schema } from './schema.ts'
import { formatDuration, formatSize } from './values.ts'

/** The settings as they are in effect, for people, for programs, and as a file that says the same. */

type Origins = ReadonlyMap<string, Origin>

/** One setting in effect. */
interface Effective {
  /** The key with the number of its table: `issuers[0].publisher.key`. */
  readonly key: string
  /** The value as it is written in a file; null: it is a secret, or holds one. */
  readonly value: Written | null
  /** The value with the secret masked. */
  readonly masked: Written
  /** The file that holds the secret, or null. */
  readonly secretFile: string | null
  readonly origin: Origin | undefined
}

type Written = string | number | boolean | readonly string[]

/**
 * The settings in effect as lines of a file, `name = value  # origin` each. A secret is named by its file. One that
 * was written elsewhere is masked and, with what is nothing without it, a comment: the rest stays a valid file.
 */
export function settingsInEffect(settings: Settings, origins: Origins): readonly string[] {
  const all = [...effective(schema, '', settings, origins)]
  const withheld = withheldFrom(all)
  const plain = all.filter(({ key }) => tableOf(key) === '')
  const tables = Map.groupBy(
    all.filter(({ key }) => tableOf(key) !== ''),
    ({ key }) => tableOf(key),
  )
  const blocks = [...tables].flatMap(([table, inside]) => {
    const head = `[[${table.replace(/\[\d+\]$/, '')}]]`
    return [isBelow(table, withheld) ? `# ${head}` : head, ...inside.map((each) => lineOf(each, withheld))]
  })
  return [...plain.map((each) => lineOf(each, withheld)), ...blocks]
}

/** The same for programs: by its key each value, or that it is masked, the kind of its origin, and the name there. */
export function settingsAsJson(settings: Settings, origins: Origins): Readonly<Record<string, object>> {
  return Object.fromEntries(
    [...effective(schema, '', settings, origins)].map(({ key, value, masked, secretFile, origin }) => {
      const shown = { value: masked, ...(value === null && { masked: true }) }
      const from = { origin: origin?.kind ?? 'default', ...(origin !== undefined && { name: origin.name }) }
      return [key, { ...shown, ...(secretFile !== null && { file: secretFile }), ...from }]
    }),
  )
}

/** A setting in effect with everything that is known of it. */
export interface SettingRow {
  readonly key: string
  /** Of a secret: `set` or nothing. */
  readonly value: string
  /** The kind of place that it comes from; a value of `--dev` comes from a flag. */
  readonly origin: string
  /** Its name in that place; empty for a default. */
  readonly at: string
  readonly fallback: string | null
  readonly help: string
  readonly secret: boolean
}

/** The settings in effect as rows. Secrets are told of, passwords in URLs are masked. */
export function settingRows(settings: Settings, origins: Origins): readonly SettingRow[] {
  return [...effective(schema, '', settings, origins)].map(({ key, masked, origin }) => {
    const meaning = meaningOf(key)
    const secret = meaning?.secret === true
    const written = typeof masked === 'string' ? masked : tomlOf(masked)
    return {
      key,
      value: secret && written !== '' ? 'set' : written,
      origin: origin === undefined ? 'default' : origin.kind === 'dev' ? 'flag' : origin.kind,
      at: origin?.name ?? '',
      fallback: meaning?.fallback ?? null,
      help: meaning?.help.replaceAll('`', '') ?? '',
      secret,
    }
  })
}

function meaningOf(key: string): Name['meaning'] | undefined {
  return names.find((name) => name.key === key.replace(/\[\d+\]/, '[]'))?.meaning
}

/**
 * The beginnings of the keys that a file cannot have. A key of the environment is there again for the next command in
 * it. Any other takes the rest of its role along: an algorithm without a key is a mistake, and so is an issuer
 * without a role. A word in place of the key would be worse than a mistake, since everybody could sign with it.
 */
function withheldFrom(all: readonly Effective[]): readonly string[] {
  const lost = all
    .filter(({ value, secretFile, origin }) => value === null && secretFile === null && origin !== undefined)
    .map(({ key, origin }) =>
      tableOf(key) === '' || origin?.kind === 'environment' ? key : key.replace(/\.[^.]*$/, '.'),
    )
  // Without its token the console is a mistake.
  if (lost.includes('admin.token')) lost.push('admin.console')
  const isLost = (key: string) => isBelow(key, lost)
  const tables = new Set(all.map(({ key }) => tableOf(key)))
  const bare = [...tables].filter((table) => {
    const roles = all.filter(({ key }) => key.startsWith(`${table}.`) && key.split('.').length > 2)
    return table.startsWith('issuers') && roles.every(({ key }) => isLost(key))
  })
  return [...lost, ...bare]
}

function isBelow(key: string, beginnings: readonly string[]): boolean {
  return beginnings.some((beginning) => key.startsWith(beginning))
}

/** The table of an array that the setting is in, with its number; empty: none. */
function tableOf(key: string): string {
  return /^.*\[\d+\](?=\.|$)/.exec(key)?.[0] ?? ''
}

function lineOf({ key, value, masked, secretFile, origin }: Effective, withheld: readonly string[]): string {
  const table = tableOf(key)
  const name = table === '' ? key : key.slice(table.length + 1)
  const end = `  # ${originOf(origin)}`
  if (secretFile !== null) {
    const line = `${name}_file = ${JSON.stringify(secretFile)}${end}`
    return isBelow(key, withheld) ? `# ${line}` : line
  }
  if (value === null) return `# ${name} = ${tomlOf(masked)}${end}`
  const line = `${name} = ${tomlOf(value)}${end}`
  return isBelow(key, withheld) ? `# ${line}` : line
}

function tomlOf(value: Written): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value !== 'object') return String(value)
  return `[${value.map((each) => JSON.stringify(each)).join(', ')}]`
}

/** The origin in words. The path of a file may hold what would end a line. */
function originOf(origin: Origin | undefined): string {
  if (origin === undefined) return 'default'
  const text = origin.kind === 'dev' ? '--dev' : `${origin.kind} (${origin.name})`
  return text.replace(/[\x00-\x1f\x7f]/g, '?')
}

/** Each setting with its value. Walks the schema beside the settings. */
function* effective(node: Node, key: string, value: unknown, origins: Origins): Generator<Effective> {
  const inside = members(node)
  const repeated = item(node)
  const origin = origins.get(key)
  if (inside !== null) {
    for (const [member, child] of inside) {
      const inner = memberOf(value, member)
      if (inner !== undefined)
        yield* effective(child, `${key}${key && '.'}${snakeCase(member)}`, inner, origins)
    }
  } else if (repeated !== null && Array.isArray(value)) {
    if (value.length === 0) yield { key, value: [], masked: [], secretFile: null, origin }
    for (const [at, table] of value.entries()) yield* effective(repeated, `${key}[${at}]`, table, origins)
  } else {
    yield { key, ...shown(value, meaningOf(key)), secretFile: origin?.secretFile ?? null, origin }
  }
}

function memberOf(value: unknown, member: string): unknown {
  return typeof value === 'object' && value !== null
    ? Object.entries(value).find(([key]) => key === member)?.[1]
    : undefined
}

/** The value as it is written. A URL with a password in it is a secret too. */
function shown(value: unknown, meaning: Name['meaning'] | undefined): Pick<Effective, 'value' | 'masked'> {
  if (meaning?.secret === true && value !== null) return { value: null, masked: '***' }
  const written = format(value, meaning?.form ?? '')
  const masked = withoutPasswordsIn(written)
  return { value: tomlOf(masked) === tomlOf(written) ? written : null, masked }
}

function withoutPasswordsIn(written: Written): Written {
  if (typeof written === 'string') return withoutPasswords(written)
  return typeof written === 'object' ? written.map(withoutPasswords) : written
}

function format(value: unknown, form: string): Written {
  if (value === null) return form.includes('unlimited') ? 'unlimited' : ''
  if (Array.isArray(value)) return value.map((each) => String(format(each, '')))
  if (isAddress(value)) return formatAddress(value)
  if (typeof value === 'number' && form.startsWith('duration')) return formatDuration(value)
  if (typeof value === 'number' && form.startsWith('size')) return formatSize(value)
  if (typeof value === 'number' && form === 'percentage') return `${Math.round(100 * value)}%`
  return typeof value === 'number' || typeof value === 'boolean' ? value : String(value)
}

function isAddress(value: unknown): value is ListenAddress {
  return typeof value === 'object' && value !== null && 'kind' in value
}
