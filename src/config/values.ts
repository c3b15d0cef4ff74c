/** The spelling of values: the same text in a flag, in the environment and in a file means the same. */

/** A kind of value. `read` takes text or what TOML made of it, and throws WrongValue. */
export interface Kind<T> {
  /** The name of the kind on the reference page. */
  readonly form: string
  /** Whether several values may be given, one by one or as a list. */
  readonly isList: boolean
  readonly read: (raw: unknown) => T
}

/** Wrong input of an operator. The message completes the sentence "VALUE …" and never repeats the value. */
export class WrongValue extends Error {
  override readonly name = 'WrongValue'
}

/** Says whether a number may be `0`, and what the message suggests instead. */
export interface Bounds {
  /** Whether 0 may be written. */
  readonly zero: boolean
  /** A sensible value, for the message that refuses 0. */
  readonly example: string
}

/** Any text but the empty one. */
export const text: Kind<string> = kind('text', (raw) => {
  if (typeof raw !== 'string') throw new WrongValue('is not a text')
  if (raw === '') throw new WrongValue('is empty')
  return raw
})

/** `true` or `false`. */
export const bool: Kind<boolean> = kind('boolean', (raw) => {
  if (raw === true || raw === 'true') return true
  if (raw === false || raw === 'false') return false
  throw new WrongValue('is neither true nor false')
})

/** One of a few words. */
export function choice<const T extends string>(words: readonly T[]): Kind<T> {
  return kind(words.map((word) => `\`${word}\``).join(', '), (raw) => {
    const found = words.find((word) => word === String(raw))
    if (found === undefined) throw new WrongValue(`is not one of ${words.join(', ')}`)
    return found
  })
}

/** A number of things, in decimal digits. */
export function count(bounds: Bounds): Kind<number> {
  return kind('number', (raw) => bounded(parseCount(raw), bounds))
}

/** A time span; in milliseconds once read. */
export function duration(bounds: Bounds): Kind<number> {
  return kind('duration', (raw) => bounded(parseDuration(raw), bounds))
}

/** A number of bytes. */
export function size(bounds: Bounds): Kind<number> {
  return kind('size', (raw) => bounded(parseSize(raw), bounds))
}

/** A part of a whole, in percent; a number from 0 to 1 once read. */
export const share: Kind<number> = kind('percentage', (raw) => {
  const percent = /^([0-9]{1,3})%$/.exec(String(raw))?.[1]
  if (percent === undefined || Number(percent) > 100) throw new WrongValue('is not a percentage such as 10%')
  return Number(percent) / 100
})

/** A limit that the word `unlimited` lifts; `null` is no limit. */
export function unlimited(limit: Kind<number>): Kind<number | null> {
  return kind(`${limit.form} or \`unlimited\``, (raw) => (raw === 'unlimited' ? null : limit.read(raw)))
}

/** The kind, or null for an empty text. */
export function orNone<T>(whole: Kind<T>): Kind<T | null> {
  return kind(whole.form, (raw) => (raw === '' ? null : whole.read(raw)))
}

/** Several values: an array, or text with commas or as a JSON array. */
export function list<T>(item: Kind<T>): Kind<readonly T[]> {
  return {
    form: `list of ${item.form}`,
    isList: true,
    read: (raw) => splitList(raw).map((each) => item.read(each)),
  }
}

/** Makes a kind from its reader. */
export function kind<T>(form: string, read: (raw: unknown) => T): Kind<T> {
  return { form, isList: false, read }
}

/** The items of a list as it was written. Throws WrongValue on a JSON array that is not one. */
export function splitList(raw: unknown): readonly unknown[] {
  if (Array.isArray(raw)) return raw
  if (typeof raw !== 'string') throw new WrongValue('is not a list')
  if (raw.trimStart().startsWith('[')) {
    const parsed = parseJson(raw)
    // `[::]:3000` begins like a JSON array and is an address.
    if (Array.isArray(parsed)) return parsed
    if (!raw.trimStart().startsWith('[:') && !/^\s*\[[0-9a-fA-F]*:/.test(raw)) {
      throw new WrongValue('is not a JSON array')
    }
  }
  return raw.split(',').flatMap((item) => (item.trim() === '' ? [] : [item.trim()]))
}

/** The value of a JSON text, or undefined when it is none. */
export function parseJson(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}

const spans = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
] as const

const sizes = [
  ['TiB', 1024 ** 4],
  ['GiB', 1024 ** 3],
  ['MiB', 1024 ** 2],
  ['KiB', 1024],
  ['B', 1],
] as const

/** Milliseconds of `250ms`, `20s`, `10m`, `24h`, `7d` or `0`. Throws WrongValue. */
export function parseDuration(raw: unknown): number {
  return scaled(raw, spans, 'is not a duration such as 250ms, 20s, 10m, 24h or 7d', false)
}

/** Bytes of `64KiB`, `256MiB`, `1GiB` or a plain number. Throws WrongValue. */
export function parseSize(raw: unknown): number {
  return scaled(raw, sizes, 'is not a size such as 64KiB, 256MiB, 1GiB or a number of bytes', true)
}

/** The shortest text that `parseDuration` reads as this many milliseconds. */
export function formatDuration(ms: number): string {
  return shortest(ms, spans)
}

/** The shortest text that `parseSize` reads as this many bytes. */
export function formatSize(bytes: number): string {
  return shortest(bytes, sizes.slice(0, -1))
}

type Scale = readonly (readonly [unit: string, factor: number])[]

function scaled(raw: unknown, scale: Scale, refusal: string, plain: boolean): number {
  const written = /^([0-9]+)([A-Za-z]*)$/.exec(String(raw))
  const amount = Number(written?.[1])
  const unit = written?.[2] ?? ''
  const factor = unit === '' ? bareFactor(amount, plain) : scale.find(([name]) => name === unit)?.[1]
  if (written === null || factor === undefined) throw new WrongValue(refusal)
  if (!Number.isSafeInteger(amount * factor)) throw new WrongValue('is too large')
  return amount * factor
}

/** Zero needs no unit; another bare number is only unambiguous where bytes are counted. */
function bareFactor(amount: number, plain: boolean): number | undefined {
  return plain || amount === 0 ? 1 : undefined
}

function shortest(value: number, scale: Scale): string {
  const fits = scale.find(([, factor]) => value !== 0 && value % factor === 0)
  return fits === undefined ? String(value) : `${value / fits[1]}${fits[0]}`
}

function parseCount(raw: unknown): number {
  if (!/^[0-9]+$/.test(String(raw))) throw new WrongValue('is not a whole number')
  const value = Number(raw)
  if (!Number.isSafeInteger(value)) throw new WrongValue('is too large')
  return value
}

function bounded(value: number, bounds: Bounds): number {
  if (value === 0 && !bounds.zero) {
    throw new WrongValue(`does not mean "unlimited" here and is refused; write ${bounds.example}`)
  }
  return value
}
