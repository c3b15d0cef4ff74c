import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { compileAutomaton } from '../../../src/protocol/url-pattern/automaton.ts'
import { readGroup } from '../../../src/protocol/url-pattern/group.ts'

const compile = (group: string, weightMax = 10_000) => compileAutomaton(readGroup(group), weightMax)
const matches = (group: string, text: string) => compile(group)(text, 0, text.length)

describe('automata', () => {
  const leaf = fc.constantFrom(
    'a',
    'b',
    '.',
    '[ab]',
    '[^a]',
    '\\w',
    '\\d',
    '',
    '^',
    '$',
    '\\b',
    '\\B',
    '(?i:A)',
  )
  const times = fc.constantFrom(
    '*',
    '+',
    '?',
    '*?',
    '+?',
    '??',
    '{2}',
    '{0}',
    '{1,2}',
    '{0,3}',
    '{2,}',
    '{0,}?',
  )
  const { group } = fc.letrec<{ group: string }>((tie) => ({
    group: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      leaf,
      fc.tuple(tie('group'), tie('group')).map((both) => both.join('')),
      fc.tuple(tie('group'), tie('group')).map((both) => `(?:${both.join('|')})`),
      fc.tuple(tie('group'), times).map(([inner, sign]) => `(?:${inner})${sign}`),
    ),
  }))

  test('MAT-20 any expression means what it means in ECMAScript', () => {
    let positive = 0
    fc.assert(
      fc.property(
        group,
        fc.array(fc.string({ unit: fc.constantFrom(...'aabAB1_-'), maxLength: 6 })),
        (written, texts) => {
          const native = new RegExp(`^(?:${written})$`, 'v')
          const own = compile(written)
          for (const text of texts) {
            const expected = native.test(text)
            if (expected) positive++
            expect({ written, text, match: own(text, 0, text.length) }).toEqual({
              written,
              text,
              match: expected,
            })
          }
        },
      ),
      { numRuns: 3000 },
    )
    expect(positive).toBeGreaterThan(1000)
  })

  test('a part of a text is tested, whose places are those of the whole', () => {
    expect(compile('b+')('abba', 1, 3)).toBe(true)
    expect(compile('b+')('abba', 0, 3)).toBe(false)
    expect([
      compile('^b+')('abba', 1, 3),
      compile('b+$')('abba', 1, 3),
      compile('\\Bb+\\B')('abba', 1, 3),
    ]).toEqual([false, false, true])
  })

  test('characters that no canonical URL holds match nothing', () => {
    for (const text of ['é', '\x7f', '\u{1F600}']) expect(matches('.*', text)).toBe(false)
    expect(matches('[^a]', 'é')).toBe(false)
  })

  const weights: readonly (readonly [group: string, weight: number])[] = [
    ['abc', 3],
    ['a*', 3],
    ['a+', 2],
    ['a?', 2],
    ['a{3}', 3],
    ['a{3,}', 4],
    ['a{1,3}', 5],
    ['a|b|c', 7],
    ['(?:ab){10}', 20],
    ['(?:a{10}){10}', 100],
    ['(?:.?){795}', 1590],
    ['(?:a{0}){9}', 0],
  ]
  for (const [written, weight] of weights) {
    test(`SEC-03 what ${written} would weigh is known before it is compiled`, () => {
      const expression = readGroup(written)
      expect(expression.weight).toBe(weight)
      expect(() => compileAutomaton(expression, weight - 1)).toThrow('repeats too much')
      expect(() => compileAutomaton(expression, weight)).not.toThrow()
    })
  }

  test('SEC-03 parentheses in each other are read and followed, however many', () => {
    const nested = (sign: string) => `${'(?:'.repeat(4000)}a${`)${sign}`.repeat(4000)}`
    for (const sign of ['', '?', '*', '+']) expect(matches(nested(sign), 'a')).toBe(true)
    expect(matches(`${'(?:b|'.repeat(3000)}a${')'.repeat(3000)}`, 'a')).toBe(true)
  })
})
