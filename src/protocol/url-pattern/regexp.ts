import { ProtocolError } from '../error.ts'

/** A regular expression in RE2 syntax, and about how many characters it has with its repeats written out. */
export interface LinearSource {
  readonly text: string
  readonly weight: number
}

// Compiling takes about 3 ms for a thousand characters written out.
const WEIGHT_MAX = 5000

// One character of weight costs 25 to 70 ns per character of text at worst, when no automaton fits the memory.
const COST_MAX = 400_000

// The automaton is a cache. Its default limit, 8 MiB for each pattern, would be a way to fill the memory.
const AUTOMATON_BYTES = 64 * 1024

/**
 * Compiles to a test of the whole text, in time linear in the text. A test that would cost too much answers
 * false (MAT-32). Throws `invalid-matcher` when the engine cannot compile it or it is too large.
 */
export function compileLinear(source: LinearSource): (text: string) => boolean {
  if (source.weight > WEIGHT_MAX) throw regexpRefusal('repeats too much')
  const lengthMax = COST_MAX / Math.max(1, source.weight)
  const { RE2JS, RE2Set } = engine()
  const set = new RE2Set(RE2Set.ANCHOR_BOTH, RE2JS.DOTALL, AUTOMATON_BYTES)
  try {
    set.add(source.text)
    set.compile()
  } catch (cause) {
    throw regexpRefusal('is beyond the engine of the hub', cause)
  }
  return (text) => text.length <= lengthMax && set.match(text).length > 0
}

/** The text itself, in RE2 syntax. */
export function quote(text: string): LinearSource {
  return { text: engine().RE2JS.quote(text), weight: text.length }
}

/**
 * Most patterns need no engine, and to evaluate its tables takes several milliseconds and megabytes: the first pattern
 * that does need it loads it.
 */
function engine(): typeof import('re2js') {
  return require('re2js')
}

/** A refusal of a regular expression. The reason completes a sentence. */
export function regexpRefusal(reason: string, cause?: unknown): ProtocolError {
  return new ProtocolError('invalid-matcher', `a regular expression of a URL pattern ${reason}`, { cause })
}
