import { describe, expect, test } from 'bun:test'
import { parseSelector } from '../../src/legacy/selector.ts'
import { type LegacyVector, readLegacyVectors } from '../support/legacy.ts'

const WEIGHT_MAX = 5000

function matches(selector: string, topic: string): boolean {
  return parseSelector(selector, WEIGHT_MAX).test(topic)
}

describe('a selector', async () => {
  const isSelector = (one: LegacyVector) => one.kind === 'selector'
  for (const { id, selector = '', topic = '', expect: expected, why } of (await readLegacyVectors()).filter(
    isSelector,
  )) {
    test(`LEG-03 LEG-04 ${id} ${selector} ${why}`, () => {
      expect<unknown>(matches(selector, topic)).toBe(expected)
    })
  }

  test.each<[selector: string, yes: string[], no: string[]]>([
    ['a{x}b', ['ab', 'a1b', 'a%2Fb', 'a{x}b'], ['a1', 'a/b', 'a,b', 'a%2b%b', 'a%2']],
    ['{x,y}', ['', 'a', 'a,b'], ['a,b,c', 'a/b']],
    ['{+x}', ['', 'a/b?c=d&e', 'a%20b'], ['a b', 'a"', 'a%2']],
    ['{#x}', ['', '#', '#a/b'], ['a']],
    ['{/x,y}', ['', '/', '/a', '/a/b'], ['a', '/a/b/c', '//a/b/']],
    ['{/x*}', ['', '/a', '/a/b/c', '/k=v/k=v'], ['a', '/a?']],
    ['{.x}', ['', '.json', '.'], ['json', '.a/b']],
    ['{;x,y}', ['', ';x', ';x=1', ';x=1;y=2', ';y'], [';y;x', ';z', 'x=1']],
    ['{?x,y}', ['', '?x=', '?x=1&y=2', '?y=2'], ['?y=2&x=1', '?x', '?', '&x=1']],
    ['a?b=1{&x}', ['a?b=1', 'a?b=1&x=2'], ['a?b=1&y=2', 'a?b=1?x=2']],
    ['{?x*}', ['', '?k=v', '?x=1&x=2'], ['?k', 'k=v']],
    ['{x:3}', ['', 'abc', '%C3%A9bc'], ['abcd']],
    ['é/{x}', ['%C3%A9/1', 'é/{x}'], ['e/1']],
  ])('LEG-04 the expansions of %s', (selector, yes, no) => {
    for (const topic of yes) expect([topic, matches(selector, topic)]).toEqual([topic, true])
    for (const topic of no) expect([topic, matches(selector, topic)]).toEqual([topic, false])
  })

  test.each([
    '{',
    'a}',
    '{}',
    '{x',
    '{=x}',
    '{|x}',
    '{x:0}',
    '{x:10000}',
    '{x**}',
    '{x,}',
    '{.}',
    '{x y}',
    '%{x}',
    'a b{x}',
  ])('LEG-03 %s is no template and stands for itself', (selector) => {
    const { kind, test: isMatch } = parseSelector(selector, WEIGHT_MAX)
    expect([kind, isMatch(selector), isMatch('a1'), isMatch('')]).toEqual(['exact', true, false, false])
  })

  test('LEG-02 an empty one, and one with a forbidden character, are refused', () => {
    for (const selector of ['', 'a\u0000b', '\u200b{x}']) {
      expect(() => parseSelector(selector, WEIGHT_MAX)).toThrow(
        expect.objectContaining({ code: 'invalid-matcher' }),
      )
    }
  })

  test('LEG-05 a template has a weight, with a limit', () => {
    const weigh = (selector: string) => parseSelector(selector, WEIGHT_MAX).weight
    expect(weigh('https://example.com/books/1')).toBe(0)
    expect(weigh('https://example.com/books/{id}')).toBeLessThan(40)
    expect(weigh('{a}{b}')).toBeGreaterThan(weigh('{a}'))
    const many = Array.from({ length: 60 }, (_, at) => `v${at}`).join()
    for (const selector of [`{${many}}`, '{x:9999}', '{+a}'.repeat(1000)]) {
      expect(() => parseSelector(selector, WEIGHT_MAX)).toThrow(
        expect.objectContaining({ code: 'invalid-matcher' }),
      )
    }
  })

  test('LEG-05 no template makes a test slow', () => {
    const selector = parseSelector(`${'{+a*}'.repeat(40)}!`, WEIGHT_MAX)
    const begin = performance.now()
    for (const length of [100, 1000, 10_000, 1_000_000]) {
      expect(selector.test(`${'a,='.repeat(length / 3)}"`)).toBe(false)
    }
    expect(performance.now() - begin).toBeLessThan(500)
  })
})
