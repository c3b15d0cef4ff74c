import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { Routing } from '../../src/hub/routing.ts'
import { type Matcher, parseMatcher } from '../../src/protocol/matcher.ts'
import { parseTopicUrl } from '../../src/protocol/url-pattern/pattern.ts'
import { location } from '../support/hub.ts'

const patterns = [
  ['exact', 'a'],
  ['exact', 'https://example.com/a/1'],
  ['exact', '*'],
  ['urlpattern', '*'],
  ['urlpattern', 'https://example.com/:x/1'],
  ['urlpattern', 'https://example.com/a/*'],
  ['urlpattern', '/*'],
] as const
const topics = ['a', 'b', 'https://example.com/a/1', 'https://example.com/b/1', 'https://[::1/x'] as const

const parseUrl = (topic: string) => parseTopicUrl(topic, location)
const matchersOf = (indices: readonly number[]) =>
  patterns
    .filter((_, index) => indices.includes(index))
    .map(([type, pattern]) => parseMatcher(type, pattern, location))

const texts = (matchers: readonly Matcher[]) => matchers.map(({ type, pattern }) => [type, pattern])

interface Reader {
  readonly name: number
  readonly matchers: readonly Matcher[]
}

describe('routing', () => {
  test('MAT-06 MAT-36 SEC-16 finds exactly the readers that one of their matchers would find', () => {
    const step = fc.record({
      reader: fc.nat({ max: 5 }),
      isAdded: fc.boolean(),
      matchers: fc.uniqueArray(fc.nat({ max: patterns.length - 1 }), { minLength: 1, maxLength: 3 }),
      asked: fc.uniqueArray(fc.constantFrom(...topics), { minLength: 1, maxLength: 2 }),
    })
    const property = fc.property(
      fc.array(step, { maxLength: 40 }),
      fc.integer({ min: 1, max: 20 }),
      (steps, max) => {
        const routing = new Routing<Reader>(max)
        const held = new Map<number, Reader>()
        for (const { reader, isAdded, matchers, asked } of steps) {
          const before = held.get(reader)
          if (before !== undefined) routing.remove(before)
          held.delete(reader)
          if (isAdded) {
            const added = { name: reader, matchers: routing.shared(matchersOf(matchers)) }
            expect(texts(added.matchers)).toEqual(texts(matchersOf(matchers)))
            held.set(reader, added)
            routing.add(added)
          }
          const found = new Set(routing.find(asked, parseUrl).flatMap((group) => [...group]))
          const expected = [...held]
            .filter(([, own]) => own.matchers.some((matcher) => asked.some((topic) => matcher.test(topic))))
            .map(([name]) => name)
          expect([...found].map(({ name }) => name).sort()).toEqual(expected.sort())
          expect(routing.size.remembered).toBeLessThanOrEqual(max)
        }
        for (const own of held.values()) routing.remove(own)
        expect(routing.size).toMatchObject({ topics: 0, patterns: 0 })
      },
    )
    fc.assert(property, { numRuns: 500 })
  })

  test('a pattern that many readers share is evaluated once for a topic', () => {
    const routing = new Routing<Reader>(100)
    let evaluations = 0
    const shared = pattern('/x/*', () => evaluations++)
    for (let name = 0; name < 100; name++) routing.add({ name, matchers: [shared] })
    for (let n = 0; n < 10; n++) expect(routing.find(['/x/1'], parseUrl)[0]?.size).toBe(100)
    expect(evaluations).toBe(1)
  })

  test('a pattern that comes costs each remembered topic one evaluation, however many there are', () => {
    const routing = new Routing<Reader>(10_000)
    let evaluations = 0
    for (let name = 0; name < 500; name++) {
      routing.add({ name, matchers: [pattern(`/${name}`, () => evaluations++)] })
      expect(routing.find(['/x/1'], parseUrl).length).toBe(name + 1)
    }
    expect(evaluations).toBe(500)
  })

  test('patterns that come and go leave nothing behind for the next', () => {
    const routing = new Routing<Reader>(10_000)
    const evaluated: string[] = []
    for (let name = 0; name < 100; name++) {
      const reader = { name, matchers: [pattern(`/${name}`, () => evaluated.push(`/${name}`))] }
      routing.add(reader)
      if (name !== 50) routing.remove(reader)
    }
    expect(routing.find(['/x/1'], parseUrl).length).toBe(1)
    expect(evaluated).toEqual(['/50'])
  })

  test('readers who ask for the same share one list, others keep their own', () => {
    const routing = new Routing<Reader>(100)
    const first = matchersOf([0, 4])
    for (const own of [first, matchersOf([1])]) routing.add({ name: 0, matchers: routing.shared(own) })
    expect(routing.shared(matchersOf([0, 4]))).toBe(first)
    for (const others of [matchersOf([0]), matchersOf([0, 5]), matchersOf([4]), matchersOf([3]), []])
      expect(routing.shared(others)).toBe(others)
  })
})

/** A pattern that matches everything and says when it is asked. */
function pattern(text: string, onTest: () => void): Matcher {
  const test = () => {
    onTest()
    return true
  }
  return { type: 'urlpattern', pattern: text, kind: 'pattern', weight: 1, test }
}
