import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { parseBlocks } from '../../../src/cli/caddyfile/blocks.ts'
import { CaddyfileError, tokenLines } from '../../../src/cli/caddyfile/tokens.ts'

const words = (text: string) => tokenLines(text).map((line) => line.map((token) => token.text))
const lines = (text: string) => tokenLines(text).flatMap((line) => line.map((token) => token.line))

describe('the words of a Caddyfile', () => {
  test('are separated by white space, lines by line breaks of any kind', () => {
    expect(words('a  b\tc\r\n\r\n  d\n')).toEqual([['a', 'b', 'c'], ['d']])
    expect(words('\uFEFFa')).toEqual([['a']])
    expect(words('')).toEqual([])
    expect(lines('a\n\nb c')).toEqual([1, 3, 3])
  })

  test('a comment begins where a word would', () => {
    expect(words('a # b\n# c\nd#e')).toEqual([['a'], ['d#e']])
  })

  test('quotes keep blanks, line breaks and braces; a backslash takes a double quote', () => {
    expect(words('a "b c" d')).toEqual([['a', 'b c', 'd']])
    expect(words('a "b \\" c" `d "e" \\f`')).toEqual([['a', 'b " c', 'd "e" \\f']])
    expect(words('a "b\nc"\nd')).toEqual([['a', 'b\nc'], ['d']])
    expect(lines('a "b\nc" d\ne')).toEqual([1, 1, 2, 3])
    expect(tokenLines('"{"')[0]?.[0]?.isQuoted).toBe(true)
    expect(words('""')).toEqual([['']])
  })

  test('a backslash before another stays in double quotes, and both do', () => {
    expect(words(String.raw`a "b\\" "\n" c`)).toEqual([['a', String.raw`b\\`, String.raw`\n`, 'c']])
    expect(() => words('a "b\\')).toThrow('line 1: a quote is not closed')
  })

  test('a file of a megabyte is taken apart in a moment', () => {
    expect(words('a\n'.repeat(500_000))).toHaveLength(500_000)
    expect(words('# b\n"c d" `e`\n'.repeat(60_000))).toHaveLength(60_000)
  })

  test('a backslash at the end of a line joins it with the next', () => {
    expect(words('a \\\n  b\nc')).toEqual([['a', 'b'], ['c']])
    expect(words('a\\\nb')).toEqual([['a', 'b']])
    expect(lines('a \\\nb\nc')).toEqual([1, 2, 3])
  })

  test('a heredoc is one word, without the white space that stands before its marker', () => {
    expect(words('key <<PEM\n\t\tone\n\t\t two\n\t\tPEM RS256\nnext')).toEqual([
      ['key', 'one\n two', 'RS256'],
      ['next'],
    ])
    expect(lines('key <<PEM\none\nPEM RS256\nnext')).toEqual([1, 1, 3, 4])
  })

  test('what never ends is refused with its line, and without its text', () => {
    expect(() => words('a\n"secret')).toThrow('line 2: a quote is not closed')
    expect(() => words('a\n`secret')).toThrow('line 2: a quote is not closed')
    expect(() => words('key <<PEM\nsecret')).toThrow('line 1: a heredoc is not closed')
    expect(() => words('key <<PEM RS256\nsecret\nPEM')).toThrow(
      'line 1: more follows the marker of a heredoc',
    )
    expect(() => words('key <<PEM\nsecret\n\tPEM')).toThrow('line 1: the lines of a heredoc do not begin')
  })

  test('any words come out of backquotes and of double quotes as they went in', () => {
    const word = fc.string({ unit: 'grapheme' }).filter((text) => !/[`"\\\r\v]/.test(text))
    fc.assert(
      fc.property(
        fc.array(fc.array(word, { minLength: 1 }), { maxLength: 5 }),
        fc.constantFrom('`', '"'),
        (all, quote) => {
          const text = all.map((line) => line.map((one) => `${quote}${one}${quote}`).join(' ')).join('\n')
          expect(words(text)).toEqual(all)
        },
      ),
    )
  })

  test('any text is taken apart or refused with its line, and never anything else', () => {
    const piece = fc.constantFrom(
      '{',
      '}',
      '\n',
      '"',
      '`',
      '\\',
      '<<A',
      'A',
      '#',
      ' ',
      '\r\n',
      'a,',
      '(a)',
      'import',
      '{args[0]}',
      '\v',
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        try {
          parseBlocks(pieces.join(''))
        } catch (error) {
          expect(error).toBeInstanceOf(CaddyfileError)
          expect(String(error)).toMatch(/line \d+: [a-z ]+$/)
        }
      }),
      { numRuns: 2000 },
    )
  })
})
