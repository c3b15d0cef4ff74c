/**
 * Regular expressions as trees. The tree of an expression tells the cost of its automaton, so that the hub builds none
 * that is too large.
 */
export type Expression = One | Text | Place | Sequence | Choice | Repeat

/** The properties of every expression. */
interface Known {
  /** The instructions of its automaton, with counted repeats written out. */
  readonly weight: number
  /** Whether it matches the empty text in every place. */
  readonly isOptional: boolean
}

/** One character of a set. */
export interface One extends Known {
  readonly kind: 'one'
  readonly of: CharacterSet
}

/** Exactly this text. */
export interface Text extends Known {
  readonly kind: 'text'
  readonly of: string
}

/** No character, at a place of one kind only. */
export interface Place extends Known {
  readonly kind: 'place'
  readonly of: 'start' | 'end' | 'word-edge' | 'no-word-edge'
}

/** All of several expressions, in order. */
export interface Sequence extends Known {
  readonly kind: 'sequence'
  readonly of: readonly Expression[]
}

/** One of several expressions. */
export interface Choice extends Known {
  readonly kind: 'choice'
  readonly of: readonly Expression[]
}

/** The same expression several times. */
export interface Repeat extends Known {
  readonly kind: 'repeat'
  readonly of: Expression
  readonly least: number
  /** Infinity: any number of times. */
  readonly most: number
}

/** A set of ASCII characters: a bit for each, 32 in a number. */
export type CharacterSet = readonly [number, number, number, number]

/** Every component of a canonical URL consists of these alone: the rest is percent-encoded or Punycode. */
export const alphabet = String.fromCharCode(
  ...Array.from({ length: 0x7f - 0x20 }, (_, index) => 0x20 + index),
)

/** The set of the characters of a text. Others than ASCII are left out. */
export function characterSet(characters: string): CharacterSet {
  const bits: [number, number, number, number] = [0, 0, 0, 0]
  for (let at = 0; at < characters.length; at++) {
    const code = characters.charCodeAt(at)
    const word = code >> 5
    if (word === 0 || word === 1 || word === 2 || word === 3) bits[word] |= 1 << (code & 31)
  }
  return bits
}

export function one(of: CharacterSet): Expression {
  return { kind: 'one', of, weight: 1, isOptional: false }
}

export function text(of: string): Expression {
  return { kind: 'text', of, weight: of.length, isOptional: of === '' }
}

export function place(of: Place['of']): Expression {
  return { kind: 'place', of, weight: 1, isOptional: false }
}

export function sequence(all: readonly Expression[]): Expression {
  const of = all.filter(({ weight }) => weight > 0)
  const [first] = of
  if (of.length === 1 && first !== undefined) return first
  return { kind: 'sequence', of, weight: weightOf(of), isOptional: of.every(({ isOptional }) => isOptional) }
}

export function choice(of: readonly Expression[]): Expression {
  const [first] = of
  if (of.length === 1 && first !== undefined) return first
  // Each choice but the last has a split before it and a jump after it.
  const weight = weightOf(of) + 2 * (of.length - 1)
  return { kind: 'choice', of, weight, isOptional: of.some(({ isOptional }) => isOptional) }
}

/**
 * An expression that may be empty need not be there at all, and a time that need not be there need not be optional
 * itself: `(?:.?){9}` is `.{0,9}`, of which few instructions are under way at once.
 */
export function repeat(of: Expression, least: number, most: number): Expression {
  if (of.weight === 0 || most === 0) return text('')
  const from = of.isOptional ? 0 : least
  if (from === 1 && most === 1) return of
  if (from === 0 && of.kind === 'repeat' && of.least === 0 && of.most === 1) return repeat(of.of, 0, most)
  return {
    kind: 'repeat',
    of,
    least: from,
    most,
    weight: repeated(of.weight, from, most),
    isOptional: from === 0,
  }
}

function repeated(weight: number, least: number, most: number): number {
  if (most !== Number.POSITIVE_INFINITY) return least * weight + (most - least) * (weight + 1)
  return least === 0 ? weight + 2 : least * weight + 1
}

function weightOf(expressions: readonly Expression[]): number {
  return expressions.reduce((sum, { weight }) => sum + weight, 0)
}
