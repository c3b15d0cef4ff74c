import { parseDuration, parseSize, WrongValue } from '../config/values.ts'
import type { Arguments } from './arguments.ts'
import { UsageError } from './command.ts'
import { quoted } from './printable.ts'

/** The numbers among the options of a run. All of these throw a `UsageError`. */

/** A number of things from `least`, or the fallback when the option is absent. */
export function countOf(args: Arguments, name: string, fallback: number, least: 0 | 1 = 1): number {
  const written = args.value(name)
  if (written === null) return fallback
  if (!/^(0|[1-9][0-9]{0,9})$/.test(written) || Number(written) < least) {
    throw new UsageError(`--${name} is not a number from ${least}: ${quoted(written)}`)
  }
  return Number(written)
}

/** A time span in milliseconds, or the fallback when the option is absent. */
export function durationOf(args: Arguments, name: string, fallback: number): number {
  const written = args.value(name)
  return written === null ? fallback : readValue(name, written, parseDuration)
}

/** Sizes in bytes that an update may have, both included. */
export interface SizeRange {
  readonly least: number
  readonly most: number
}

/** One size such as `200`, or a range such as `100..10KiB`. */
export function sizeRangeOf(args: Arguments, name: string, fallback: number): SizeRange {
  const written = args.value(name) ?? String(fallback)
  const range = readValue(name, written, (text) => {
    const [least = '', most = least] = text.split('..')
    return { least: parseSize(least), most: parseSize(most) }
  })
  if (range.least > range.most) {
    throw new UsageError(`--${name} begins with the smaller size: ${quoted(written)}`)
  }
  return range
}

/** The value of an option as `read` understands it. Throws a `UsageError` that shows it. */
export function readValue<T>(name: string, written: string, read: (written: string) => T): T {
  try {
    return read(written)
  } catch (error) {
    if (error instanceof WrongValue) throw new UsageError(`--${name} ${error.message}: ${quoted(written)}`)
    throw error
  }
}
