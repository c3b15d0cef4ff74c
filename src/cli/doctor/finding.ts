import { printable } from '../../command/printable.ts'

/** One thing that was examined. */
export interface Finding {
  readonly state: 'ok' | 'warn' | 'bad'
  /** The thing: `descriptors`, `history` and so on. */
  readonly check: string
  readonly message: string
  /** The remedy; empty where none is needed. */
  readonly cure: string
}

/** A finding that all is well. */
export function ok(check: string, message: string): Finding {
  return { state: 'ok', check, message, cure: '' }
}

/** A finding that may be meant so. */
export function warn(check: string, message: string, cure: string): Finding {
  return { state: 'warn', check, message, cure }
}

/** A finding of a fault. */
export function bad(check: string, message: string, cure: string): Finding {
  return { state: 'bad', check, message, cure }
}

/** The finding as a line, and its remedy on one of its own. */
export function findingText({ state, check, message, cure }: Finding): string {
  const remedy = cure === '' ? '' : `${' '.repeat(INDENT)}cure: ${cure}\n`
  return printable(`${state.padEnd(5)}${check.padEnd(INDENT - 5)}${message}\n${remedy}`)
}

const INDENT = 20
