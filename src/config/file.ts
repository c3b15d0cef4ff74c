import { type Problem, problem, type Source } from './given.ts'
import { expandDocument } from './tables.ts'

/** The configuration file, in TOML. */

/** Reads a file by its path. Throws when it cannot be read. */
export type ReadFile = (path: string) => string

/** Reads the file. What is wrong with it is a problem, by key and line. */
export function readConfigFile(path: string, readFile: ReadFile): Source {
  const text = attempt(() => readFile(path))
  if (text instanceof Error) return failed(problem(path, `cannot be read: ${reason(text)}`))
  const document = attempt(() => Bun.TOML.parse(text))
  if (document instanceof Error) return failed(problem(path, `is not TOML: ${document.message}`))
  const lines = locate(text)
  return expandDocument(document, (key) => {
    const line = lines.get(key)
    return { kind: 'file', name: `${key} (${path}${line === undefined ? '' : `:${line}`})` }
  })
}

/** Why reading failed, without the path, which the message has already. */
export function reason(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message
}

/** The value, or the Error that was thrown. */
export function attempt<T>(action: () => T): T | Error {
  try {
    return action()
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

function failed(problem: Problem): Source {
  return { givens: [], whole: [], problems: [problem] }
}

/**
 * The line of each key, found by its looks, since Bun 1.4.5 tells no lines. A key inside an inline table or
 * behind a quoted name is not found; its message then has no line.
 */
function locate(text: string): ReadonlyMap<string, number> {
  const lines = new Map<string, number>()
  const counts = new Map<string, number>()
  let section = ''
  for (const [at, line] of text.split('\n').entries()) {
    const [, brackets, header] = /^\s*(\[\[?)\s*([\w.-]+)\s*\]/.exec(line) ?? []
    if (header !== undefined) {
      if (brackets === '[[') counts.set(header, (counts.get(header) ?? -1) + 1)
      section = withNumbers(header, counts)
      lines.set(section, at + 1)
      continue
    }
    const key = /^\s*([\w.-]+)\s*=/.exec(line)?.[1]
    const whole = section === '' || key === undefined ? key : `${section}.${key}`
    if (whole !== undefined && !lines.has(whole)) lines.set(whole, at + 1)
  }
  return lines
}

function withNumbers(header: string, counts: ReadonlyMap<string, number>): string {
  for (const [table, count] of counts) {
    if (header === table || header.startsWith(`${table}.`)) {
      return `${table}[${count}]${header.slice(table.length)}`
    }
  }
  return header
}
