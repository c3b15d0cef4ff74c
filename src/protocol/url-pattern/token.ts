/** The kind of a token of a pattern string, by the names of the URL Pattern standard. */
export type TokenType =
  | 'open'
  | 'close'
  | 'regexp'
  | 'name'
  | 'char'
  | 'escaped-char'
  | 'other-modifier'
  | 'asterisk'
  | 'invalid-char'
  | 'end'

/** A piece of a pattern string. `value` is without the marks: `id` for `:id`, `\d+` for `(\d+)`. */
export interface Token {
  readonly type: TokenType
  /** The start of the token, in UTF-16 code units. */
  readonly index: number
  readonly value: string
}

/**
 * Splits a pattern string, of one component or of a whole pattern (URL Pattern standard, "tokenize" with the
 * lenient policy). Never throws: a mistake becomes `invalid-char`. The last token is always `end`.
 */
export function tokenize(input: string): Token[] {
  const tokens: Token[] = []
  let index = 0
  while (index < input.length) {
    const token = tokenAt(input, index)
    tokens.push({ type: token.type, index, value: token.value })
    index = token.end
  }
  tokens.push({ type: 'end', index, value: '' })
  return tokens
}

/** Whether the token is that character as text: plain, escaped or misplaced. */
export function isText(token: Token | undefined, value: string): boolean {
  if (token === undefined || token.value !== value) return false
  return token.type === 'char' || token.type === 'escaped-char' || token.type === 'invalid-char'
}

interface Piece {
  readonly type: TokenType
  readonly value: string
  /** The start of the next token. */
  readonly end: number
}

function tokenAt(input: string, index: number): Piece {
  const char = codePointAt(input, index)
  const end = index + char.length
  switch (char) {
    case '*':
      return { type: 'asterisk', value: char, end }
    case '+':
    case '?':
      return { type: 'other-modifier', value: char, end }
    case '{':
      return { type: 'open', value: char, end }
    case '}':
      return { type: 'close', value: char, end }
    case '\\':
      return escapedAt(input, end)
    case ':':
      return nameAt(input, end)
    case '(':
      return regexpAt(input, end)
    default:
      return { type: 'char', value: char, end }
  }
}

function escapedAt(input: string, start: number): Piece {
  if (start === input.length) return { type: 'invalid-char', value: '\\', end: start }
  const value = codePointAt(input, start)
  return { type: 'escaped-char', value, end: start + value.length }
}

const identifier = /[\p{ID_Start}$_][\p{ID_Continue}$]*/uy

function nameAt(input: string, start: number): Piece {
  identifier.lastIndex = start
  const value = identifier.exec(input)?.[0]
  if (value === undefined) return { type: 'invalid-char', value: ':', end: start }
  return { type: 'name', value, end: start + value.length }
}

function regexpAt(input: string, start: number): Piece {
  const close = regexpEnd(input, start)
  if (close <= start) return { type: 'invalid-char', value: '(', end: start }
  return { type: 'regexp', value: input.slice(start, close), end: close + 1 }
}

const ASCII_MAX = 0x7f

/** The closing parenthesis of a group, or -1. The standard counts them without looking at classes. */
function regexpEnd(input: string, start: number): number {
  if (input[start] === '?') return -1
  let depth = 1
  for (let at = start; at < input.length; at++) {
    if (input.charCodeAt(at) > ASCII_MAX) return -1
    const char = input[at]
    if (char === '\\') {
      at++
      if (at === input.length || input.charCodeAt(at) > ASCII_MAX) return -1
    } else if (char === ')') {
      depth--
      if (depth === 0) return at
    } else if (char === '(') {
      depth++
      if (input[at + 1] !== '?') return -1
    }
  }
  return -1
}

function codePointAt(input: string, index: number): string {
  return String.fromCodePoint(input.codePointAt(index) ?? 0)
}
