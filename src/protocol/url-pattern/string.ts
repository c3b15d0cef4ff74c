import { isText, type Token, tokenize } from './token.ts'

/** The components of a pattern as they are written; null for one that is not. */
export interface PatternString {
  /** Null for a relative pattern. */
  readonly protocol: string | null
  /** Only right where the scheme is not a special one: there, no host is written without two slashes. */
  readonly pathname: string | null
  readonly search: string | null
  readonly hash: string | null
}

/** Splits a whole pattern (URL Pattern standard, "parse a constructor string"). Never throws. */
export function readPatternString(pattern: string): PatternString {
  const tokens = tokenize(pattern)
  const text = (start: number, end: number): string => pattern.slice(tokens[start]?.index, tokens[end]?.index)
  const end = tokens.length - 1
  const colon = find(tokens, 0, (token) => isText(token, ':'))
  const start = colon + 1
  const tail = find(tokens, start, (token, before) => isSearchStart(token, before) || isText(token, '#'))
  const pathEnd = tail === -1 ? end : tail
  const path = opaquePathStart(tokens, start, pathEnd)
  const hash = find(tokens, pathEnd, (token) => isText(token, '#'))
  const searchEnd = hash === -1 ? end : hash
  return {
    protocol: colon === -1 ? null : text(0, colon),
    pathname: path === pathEnd ? null : text(path, pathEnd),
    search: pathEnd === searchEnd ? null : withoutMark(text(pathEnd + 1, searchEnd), '?'),
    hash: hash === -1 ? null : withoutMark(text(hash + 1, end), '#'),
  }
}

/** The first token outside braces that satisfies the test, or -1. */
function find(
  tokens: readonly Token[],
  start: number,
  test: (token: Token, previous: Token | undefined) => boolean,
): number {
  let depth = 0
  for (const [offset, token] of tokens.slice(start).entries()) {
    if (token.type === 'open') depth++
    else if (depth > 0 && token.type === 'close') depth--
    else if (depth === 0 && test(token, tokens[start + offset - 1])) return start + offset
  }
  return -1
}

/** A question mark after a group is its modifier (MAT-28). */
function isSearchStart(token: Token, previous: Token | undefined): boolean {
  if (isText(token, '?')) return true
  if (token.value !== '?' || token.type !== 'other-modifier') return false
  const type = previous?.type
  return type !== 'name' && type !== 'regexp' && type !== 'close' && type !== 'asterisk'
}

/** Where the path starts: after the host, should there be one, or at `end`. */
function opaquePathStart(tokens: readonly Token[], start: number, end: number): number {
  if (!isText(tokens[start], '/') || !isText(tokens[start + 1], '/')) return start
  const slash = find(tokens, start + 2, (token) => isText(token, '/'))
  return slash === -1 || slash > end ? end : slash
}

/** Drops one more mark, as the standard does where the components are given apart. */
function withoutMark(text: string, mark: string): string {
  return text.startsWith(mark) ? text.slice(1) : text
}
