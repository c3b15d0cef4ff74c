import { attempt, type ReadFile, reason } from './file.ts'
import { type Given, type Problem, problem, type Source } from './given.ts'
import { numbered } from './names.ts'

/** Lays the places of settings over each other. */

/** One given value for each key such as `issuers[0].id`. */
export interface Merged {
  readonly givens: ReadonlyMap<string, Given>
  readonly problems: readonly Problem[]
}

/** Lays the sources over each other, the strongest first. */
export function merge(sources: readonly Source[]): Merged {
  const givens = new Map<string, Given>()
  const problems: Problem[] = []
  const sealed = new Set<string>()
  for (const source of sources) {
    const here = new Map<string, Given>()
    for (const given of source.givens) {
      const key = keyOf(given)
      const earlier = here.get(key)
      if (earlier !== undefined) {
        problems.push(problem(given.origin.name, `is given by ${earlier.origin.name} already`))
      }
      if (!givens.has(key) && !sealed.has(tableOf(key))) here.set(key, given)
    }
    for (const [key, given] of here) givens.set(key, given)
    for (const table of source.whole) sealed.add(table)
    problems.push(...source.problems)
  }
  return { givens, problems }
}

/** Reads the files that hold secrets. A line break at the end is not part of the secret. */
export function readSecrets({ givens, problems }: Merged, readFile: ReadFile): Merged {
  const failed: Problem[] = []
  const read = [...givens].map(([key, given]): readonly [string, Given] => {
    if (given.name.takes !== 'file') return [key, given]
    const path = given.raw
    const secret = typeof path === 'string' ? attempt(() => readFile(path)) : new Error('it is not a path')
    if (secret instanceof Error) {
      failed.push(problem(given.origin.name, `cannot be read: ${reason(secret)}`))
      return [key, { ...given, raw: 'unread' }]
    }
    const origin = { ...given.origin, secretFile: String(path) }
    return [key, { ...given, raw: secret.replace(/\r?\n$/, ''), origin }]
  })
  return { givens: new Map(read), problems: [...problems, ...failed] }
}

/** The key of the setting to which the value belongs. */
function keyOf({ name, index }: Given): string {
  const key = name.takes === 'file' ? name.key.slice(0, -'_file'.length) : name.key
  return numbered(key, index)
}

function tableOf(key: string): string {
  const bracket = key.indexOf('[')
  return bracket === -1 ? '' : key.slice(0, bracket)
}
