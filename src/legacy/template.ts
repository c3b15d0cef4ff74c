import {
  type CharacterSet,
  characterSet,
  choice,
  type Expression,
  one,
  repeat,
  sequence,
  text,
} from '../protocol/url-pattern/expression.ts'

/**
 * A URI Template (RFC 6570, all four levels) as what it can expand to: a sequence of texts and expressions. Values are
 * strings: `{x}` has no comma of a list, unless it is exploded (LEG-04).
 */
export type Template = readonly (string | Expression)[]

/** Reads a template; null when it is not well-formed, so that it stands for itself only (LEG-03). */
export function parseTemplate(written: string): Template | null {
  const parts: (string | Expression)[] = []
  let at = 0
  while (at < written.length) {
    const open = written.indexOf('{', at)
    const literal = expandLiteral(written.slice(at, open === -1 ? undefined : open))
    if (literal === null) return null
    if (literal !== '') parts.push(literal)
    if (open === -1) return parts
    const close = written.indexOf('}', open)
    const expression = close === -1 ? null : parseExpression(written.slice(open + 1, close))
    if (expression === null) return null
    parts.push(expression)
    at = close + 1
  }
  return parts
}

/** Section 2.1. Characters that no URI has are expanded percent-encoded (section 3.1). */
function expandLiteral(literal: string): string | null {
  if (!/^(?:[!#$&(-;=?-[\]_a-z~\u{a0}-\u{10ffff}]|%[0-9A-Fa-f]{2})*$/u.test(literal)) return null
  return literal.replace(/[^\x20-\x7e]+/g, encodeURIComponent)
}

/** How the expansions of an operator look (section 3.2 and appendix A). */
interface Operator {
  readonly first: string
  readonly separator: string
  /** Whether names are written before the values, and what then follows a name without value. */
  readonly named: '' | '=' | null
  readonly allowed: 'unreserved' | 'any'
}

const simple: Operator = { first: '', separator: ',', named: null, allowed: 'unreserved' }

const operators: ReadonlyMap<string, Operator> = new Map<string, Operator>([
  ['+', { ...simple, allowed: 'any' }],
  ['#', { ...simple, first: '#', allowed: 'any' }],
  ['.', { ...simple, first: '.', separator: '.' }],
  ['/', { ...simple, first: '/', separator: '/' }],
  [';', { ...simple, first: ';', separator: ';', named: '' }],
  ['?', { ...simple, first: '?', separator: '&', named: '=' }],
  ['&', { ...simple, first: '&', separator: '&', named: '=' }],
])

const variable = /^((?:\w|%[0-9A-Fa-f]{2})(?:\.?(?:\w|%[0-9A-Fa-f]{2}))*)(?:(\*)|:([1-9]\d{0,3}))?$/

/** Reads the text between two braces. An expression whose variables are all undefined is empty. */
function parseExpression(body: string): Expression | null {
  const operator = operators.get(body.charAt(0))
  const items: Expression[] = []
  for (const written of body.slice(operator === undefined ? 0 : 1).split(',')) {
    const [match, name = '', exploded, prefix] = variable.exec(written) ?? []
    if (match === undefined) return null
    const most = prefix === undefined ? Number.POSITIVE_INFINITY : Number(prefix)
    items.push(itemOf(operator ?? simple, name, exploded !== undefined, most))
  }
  const { first, separator } = operator ?? simple
  return repeat(sequence([text(first), someOf(items, separator)]), 0, 1)
}

/** The expansions of one defined variable. */
function itemOf(
  { separator, named, allowed }: Operator,
  name: string,
  isExploded: boolean,
  most: number,
): Expression {
  const value = repeat(characters[allowed], 0, most)
  if (isExploded) {
    // The name stands for each value of a list, and keys of their own for those of a map.
    const pair = repeat(sequence([text('='), value]), named === '=' ? 1 : 0, 1)
    const each = sequence([value, pair])
    return sequence([each, repeat(sequence([text(separator), each]), 0, Number.POSITIVE_INFINITY)])
  }
  if (named === null) return value
  const assigned = sequence([text('='), value])
  return sequence([text(name), named === '=' ? assigned : repeat(assigned, 0, 1)])
}

/** One or more of the items in their order: any of them may be undefined. */
function someOf(items: readonly Expression[], separator: string): Expression {
  return choice(
    items.map((item, at) => {
      const later = items.slice(at + 1).map((next) => repeat(sequence([text(separator), next]), 0, 1))
      return sequence([item, ...later])
    }),
  )
}

const UNRESERVED = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~'
const HEX = '0123456789ABCDEFabcdef'

function anyOf(of: string): Expression {
  return one(characterSet(of))
}

/** One character of a value, which is one to four triplets when it is percent-encoded as UTF-8. */
function characterOf(plain: CharacterSet): Expression {
  const digit = anyOf(HEX)
  const next = sequence([text('%'), anyOf('89ABab'), digit])
  const lead = sequence([text('%'), digit, digit])
  return choice([one(plain), sequence([lead, repeat(next, 0, 3)])])
}

const characters: Readonly<Record<Operator['allowed'], Expression>> = {
  unreserved: characterOf(characterSet(UNRESERVED)),
  any: characterOf(characterSet(`${UNRESERVED}:/?#[]@!$&'()*+,;=`)),
}
