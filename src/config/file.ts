import { type Problem, problem, type Source } from './given.ts'
import { expandDocument } from './tables.ts'

/** The configuration file, in TOML. */

/** Reads a file by its path. Throws when it cannot be read. */
export type ReadFile = (path: string) => string

/** Whether there is something at the path. */
export type Exists = (path: string) => boolean

/** The places of a configuration when none is named: the hub reads the first that is there. */
export const usualFiles: readonly string[] = ['cinnabar.toml', '/etc/cinnabar/cinnabar.toml']

/** The file to read, or null. An empty name stands for no file at all. */
export function findConfigFile(named: string | undefined, exists: Exists = () => false): string | null {
  if (named !== undefined) return named === '' ? null : named
  return usualFiles.find(exists) ?? null
}

/** Reads the file. Each mistake in it is a problem, by key and line. */
export function readConfigFile(path: string, readFile: ReadFile): Source {
  const text = attempt(() => readFile(path))
  if (text instanceof Error) return failed(problem(path, `cannot be read: ${reason(text)}`))
  const document = attempt(() => Bun.TOML.parse(text))
  if (document instanceof Error) return failed(problem(path, mistakeIn(text)))
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
 * Says what is wrong with a text that is no TOML, and in which line. The parser of Bun 1.4.5 knows no lines, and its
 * messages quote the source, which may be a secret without its quotes: this function tells only their kind.
 */
function mistakeIn(text: string): string {
  const lines = text.split('\n')
  const message = refusalOf(lines) ?? ''
  const line = openEnded.test(message) ? lineOfOpening(lines) : lineOfMistake(lines, message)
  const kind = mistakes.find(([pattern]) => pattern.test(message))?.[1]
  return `is not TOML${line === null ? '' : ` in line ${line}`}${kind === undefined ? '' : `: ${kind}`}`
}

const mistakes: readonly (readonly [message: RegExp, kind: string])[] = [
  [/Strings must be quoted/, 'a text stands without quotes'],
  [/Unterminated string/, 'a quote at the end of a text is missing'],
  [/Invalid escape sequence/, 'a text holds a backslash that begins no escape sequence'],
  [/Cannot redefine/, 'a key or a table is there twice'],
  [/Expected '=' after a key/, 'a key has no = after it'],
  [/Expected a key/, 'a key is missing'],
  [/Expected a newline or end of file/, 'more follows the value'],
  [/in an array|Unterminated array/, 'an array is not closed'],
  [/Unterminated inline table/, 'an inline table is not closed'],
  [/table header/, 'a table header is not closed'],
  [/Expected a number/, 'a number has no digits'],
]

/** The message of the parser about these lines, or null when they are TOML. */
function refusalOf(lines: readonly string[]): string | null {
  const document = attempt(() => Bun.TOML.parse(`${lines.join('\n')}\n`))
  return document instanceof Error ? document.message : null
}

/** The parser stops at the first mistake, so it refuses every beginning of the text that holds the mistake alike. */
function lineOfMistake(lines: readonly string[], message: string): number {
  let [without, within] = [0, lines.length]
  while (within - without > 1) {
    const middle = (without + within) >> 1
    if (refusalOf(lines.slice(0, middle)) === message) within = middle
    else without = middle
  }
  return within
}

/** The line where a text or table begins that never ends: the lines before it are TOML. Null when it is too far up. */
function lineOfOpening(lines: readonly string[]): number | null {
  for (let line = lines.length; line > Math.max(0, lines.length - OPENING_LINES); line--) {
    if (refusalOf(lines.slice(0, line - 1)) === null) return line
  }
  return null
}

const openEnded = /Unterminated (?!string;)|found end of file$/

/** The most lines to look through: a hub that reads its configuration again must not stand still for it. */
const OPENING_LINES = 200

/**
 * The line of each key, found by its looks, since Bun 1.4.5 tells no lines. It misses a key inside an inline table or
 * behind a quoted name; the message about that key then has no line.
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
