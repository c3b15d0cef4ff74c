import * as v from 'valibot'
import { type Meaning, schema } from './schema.ts'

/**
 * The names of the settings. The key of the file is the name: `history.max_age`, and `issuers[].id` for a
 * member of a table that may be there many times. Its flag and environment name follow from the key.
 */

/** The ways to write one setting. */
export interface Name {
  /** The key in the file, with `[]` where the number of a table goes. */
  readonly key: string
  /** The flag without the two dashes; `N` stands for the number of a table. */
  readonly flag: string
  /** The environment name; `N` stands for the number of a table. */
  readonly env: string
  /** The kind of text behind the name: a value, the file that holds a secret value, or a whole array of tables. */
  readonly takes: 'value' | 'file' | 'tables'
  readonly meaning: Meaning
}

/** A name, and the number of the table that it is in. */
export interface Found {
  readonly name: Name
  readonly index: number | null
}

/** Every schema that the settings are built of: the nodes of a walk. */
export type Node = v.GenericSchema

const tables: Meaning = {
  form: 'JSON array',
  help: 'all tables at once; a member of one has a name of its own',
  fallback: null,
  secret: true,
  restart: false,
  isList: false,
}

const meaningOf = v.object({
  form: v.string(),
  help: v.string(),
  fallback: v.nullable(v.string()),
  secret: v.boolean(),
  restart: v.boolean(),
  isList: v.boolean(),
})

/** The names of all settings, in the order of the schema. */
export const names: readonly Name[] = collect(schema, '')

/** The keys of all sections of the file, such as `history` and `issuers[].publisher`. */
export const sections: ReadonlySet<string> = new Set(names.flatMap(({ key }) => parents(key)))

/** The setting with this flag, or null. */
export function findFlag(flag: string): Found | null {
  return find(byFlag, flag, /-(\d{1,2})-/, '-N-')
}

/** The setting with this environment name, or null. */
export function findEnv(env: string): Found | null {
  return find(byEnv, env, /_(\d{1,2})_/, '_N_')
}

/** The setting with this key, as `issuers[].id`, or null. */
export function findKey(key: string): Name | null {
  return byKey.get(key) ?? null
}

/** The key with the number of its table: `issuers[0].id`. */
export function numbered(key: string, index: number | null): string {
  return index === null ? key : key.replace('[]', `[${index}]`)
}

/** The known word that is closest to the unknown one, or null when none is close (Levenshtein). */
export function nearest(unknown: string, known: Iterable<string>): string | null {
  let best: string | null = null
  let least = Math.max(2, Math.floor(unknown.length / 3)) + 1
  for (const word of known) {
    const steps = distance(unknown, word)
    if (steps >= least) continue
    least = steps
    best = word
  }
  return best
}

/** The end of a message about an unknown word: the nearest known one, when there is one. */
export function suggestion(unknown: string, known: Iterable<string>): string {
  const word = nearest(unknown, known)
  return word === null ? '' : `; did you mean ${word}?`
}

/** The member of a schema that is an object, unwrapped; null when it is a setting. */
export function members(node: Node): readonly (readonly [key: string, member: Node])[] | null {
  const inner = unwrap(node)
  return isObject(inner) ? Object.entries(inner.entries) : null
}

/** The schema that an array of tables repeats; null when the node is no such array. */
export function item(node: Node): Node | null {
  const inner = unwrap(node)
  return isArray(inner) ? inner.item : null
}

/** The spelling of a member in the file: `max_age` for `maxAge`. */
export function snakeCase(member: string): string {
  return member.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

function collect(node: Node, key: string): readonly Name[] {
  const inside = members(node)
  if (inside !== null) {
    return inside.flatMap(([member, child]) => collect(child, `${key}${key && '.'}${snakeCase(member)}`))
  }
  const repeated = item(node)
  if (repeated !== null) {
    const inner = collect(repeated, `${key}[]`)
    // A reload exchanges the settings of a table together or not at all.
    const restart = inner.some(({ meaning }) => meaning.restart)
    return [named(key, 'tables', { ...tables, restart }), ...inner]
  }
  const meaning = v.parse(meaningOf, v.getMetadata(unwrap(node)))
  const value = named(key, 'value', meaning)
  return meaning.secret ? [value, named(`${key}_file`, 'file', meaning)] : [value]
}

function named(key: string, takes: Name['takes'], meaning: Meaning): Name {
  const flag = key.replace('[]', '.N').replaceAll(/[._]/g, '-')
  return { key, flag, env: `CINNABAR_${flag.replaceAll('-', '_').toUpperCase()}`, takes, meaning }
}

function unwrap(node: Node): Node {
  return isOptional(node) ? node.wrapped : node
}

function isObject(node: Node): node is v.ObjectSchema<v.ObjectEntries, undefined> {
  return node.type === 'object'
}

function isArray(node: Node): node is v.ArraySchema<v.GenericSchema, undefined> {
  return node.type === 'array'
}

function isOptional(node: Node): node is v.ExactOptionalSchema<v.GenericSchema, undefined> {
  return node.type === 'exact_optional'
}

function parents(key: string): readonly string[] {
  const parts = key.split('.')
  return parts.slice(1).map((_, at) => parts.slice(0, at + 1).join('.'))
}

const byFlag = new Map(names.map((name) => [name.flag, name]))
const byEnv = new Map(names.map((name) => [name.env, name]))
const byKey = new Map(names.map((name) => [name.key, name]))

function find(
  table: ReadonlyMap<string, Name>,
  written: string,
  number: RegExp,
  letter: string,
): Found | null {
  const index = number.exec(written)?.[1]
  const name = table.get(index === undefined ? written : written.replace(number, letter))
  if (name === undefined || /[-_]N[-_]/.test(written)) return null
  return { name, index: index === undefined ? null : Number(index) }
}

/** The fewest insertions, deletions and replacements between two words. */
function distance(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, at) => at)
  for (const [i, letter] of [...left].entries()) {
    const next = [i + 1]
    for (let j = 1; j <= right.length; j++) {
      const replace = (row[j - 1] ?? 0) + (letter === right[j - 1] ? 0 : 1)
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, replace))
    }
    row = next
  }
  return row[right.length] ?? 0
}
