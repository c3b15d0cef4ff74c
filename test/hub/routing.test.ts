import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { Routing } from '../../src/hub/routing.ts'
import { parseMatcher } from '../../src/protocol/matcher.ts'
import { parseTopicUrl } from '../../src/protocol/url-pattern.ts'
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
        const routing = new Routing<{ readonly name: number }>(max)
        const readers = Array.from({ length: 6 }, (_, name) => ({ name }))
        const held = new Map<number, ReturnType<typeof matchersOf>>()
        for (const { reader, isAdded, matchers, asked } of steps) {
          const target = readers[reader]
          if (target === undefined) continue
          const before = held.get(reader)
          if (before !== undefined) routing.remove(target, before)
          held.delete(reader)
          if (isAdded) {
            held.set(reader, matchersOf(matchers))
            routing.add(target, held.get(reader) ?? [])
          }
          const found = new Set(routing.find(asked, parseUrl).flatMap((group) => [...group]))
          const expected = [...held]
            .filter(([, own]) => own.some((matcher) => asked.some((topic) => matcher.test(topic))))
            .map(([name]) => name)
          expect([...found].map(({ name }) => name).sort()).toEqual(expected.sort())
          expect(routing.size.remembered).toBeLessThanOrEqual(max)
        }
        for (const [name, own] of held) routing.remove(readers[name] ?? { name }, own)
        expect(routing.size).toMatchObject({ topics: 0, patterns: 0 })
      },
    )
    fc.assert(property, { numRuns: 500 })
  })

  test('a pattern that many readers share is evaluated once for a topic', () => {
    const routing = new Routing<object>(100)
    let evaluations = 0
    const shared = {
      type: 'urlpattern',
      pattern: '/x/*',
      isWildcard: false,
      test: () => {
        evaluations++
        return true
      },
    }
    for (let n = 0; n < 100; n++) routing.add({}, [shared])
    for (let n = 0; n < 10; n++) expect(routing.find(['/x/1'], parseUrl)[0]?.size).toBe(100)
    expect(evaluations).toBe(1)
  })
})
