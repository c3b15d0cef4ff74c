import { type Given, type Origin, type Problem, problem } from './given.ts'
import { findKey, names, numbered, sections, suggestion } from './names.ts'
import { parseJson } from './values.ts'

/** Nested tables, from the file or from JSON, taken apart into single settings. */

/** The settings of a table, and its problems. */
export interface Expanded {
  readonly givens: readonly Given[]
  /** Keys of the arrays of tables in it. */
  readonly whole: readonly string[]
  readonly problems: readonly Problem[]
}

/** Takes the whole document of a file apart. `origin` names each key as the operator finds it. */
export function expandDocument(document: unknown, origin: (key: string) => Origin): Expanded {
  const expanding = new Expanding(origin)
  expanding.section('', null, document)
  return expanding
}

/** Takes an array of tables apart, as it is or as a JSON text. */
export function expandTables(key: string, raw: unknown, origin: Origin): Expanded {
  const tables = typeof raw === 'string' ? parseJson(raw) : raw
  const expanding = new Expanding((inner) => ({ ...origin, name: origin.name + inner.slice(key.length) }))
  if (Array.isArray(tables)) expanding.tables(key, tables)
  else expanding.problems.push(problem(origin.name, 'is not a JSON array of objects'))
  return expanding
}

class Expanding implements Expanded {
  readonly givens: Given[] = []
  readonly whole: string[] = []
  readonly problems: Problem[] = []
  readonly #origin: (key: string) => Origin

  constructor(origin: (key: string) => Origin) {
    this.#origin = origin
  }

  section(key: string, index: number | null, table: unknown): void {
    if (!isTable(table)) {
      this.#refuse(numbered(key, index), 'is a section and takes no value')
      return
    }
    for (const [member, raw] of Object.entries(table)) {
      this.#member(key === '' ? member : `${key}.${member}`, index, raw)
    }
  }

  tables(key: string, tables: readonly unknown[]): void {
    this.whole.push(key)
    for (const [index, table] of tables.entries()) this.section(`${key}[]`, index, table)
  }

  #member(key: string, index: number | null, raw: unknown): void {
    const name = findKey(key)
    if (name?.takes === 'tables' && Array.isArray(raw)) {
      this.tables(key, raw)
    } else if (name?.takes === 'tables') {
      this.#refuse(key, `is an array of tables: write [[${key}]]`)
    } else if (name !== null) {
      this.givens.push({ name, index, raw, origin: this.#origin(numbered(key, index)) })
    } else if (sections.has(key)) {
      this.section(key, index, raw)
    } else {
      this.#refuse(numbered(key, index), `is not a setting${suggestion(key, known())}`)
    }
  }

  #refuse(key: string, message: string): void {
    this.problems.push(problem(this.#origin(key).name, message))
  }
}

function known(): readonly string[] {
  return [...names.map(({ key }) => key), ...sections]
}

function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
