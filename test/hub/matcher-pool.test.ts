import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { MatcherPool } from '../../src/hub/matcher-pool.ts'
import { ProtocolError } from '../../src/protocol/error.ts'
import { anonymous, type Identity } from '../../src/protocol/grant.ts'
import type { WrittenMatcher } from '../../src/protocol/matcher.ts'
import { finish } from '../../src/protocol/work.ts'
import { location } from '../support/hub.ts'

const pattern = (text: string): WrittenMatcher => ({ type: 'urlpattern', pattern: text })
const exact = (text: string): WrittenMatcher => ({ type: 'exact', pattern: text })
/** A pattern of that weight. */
const heavy = (weight: number, name: string | number): WrittenMatcher =>
  pattern(`/(a{${weight - 4}}).${name}`)

const compile = (pool: MatcherPool, written: readonly WrittenMatcher[], weightMax = 5000) =>
  finish(pool.compile(written, weightMax))

function codeOf(run: () => unknown): string | null {
  try {
    run()
    return null
  } catch (error) {
    return error instanceof ProtocolError ? error.code : String(error)
  }
}

describe('the matchers of all streams', () => {
  test('SEC-14 whoever asks for what another has gets the same, which is not compiled or counted again', () => {
    const pool = new MatcherPool(location, 1000)
    const first = pool.hold(compile(pool, [pattern('/a/:b'), exact('x')]), anonymous)
    const { weight } = pool
    const second = compile(pool, [exact('x'), pattern('/a/:b')])
    expect(second[1]).toBe(first[0])
    pool.hold(second, anonymous)
    expect(pool.weight).toBe(weight)
    pool.release(first, anonymous)
    expect(pool.weight).toBe(weight)
    pool.release(second, anonymous)
    expect(pool.weight).toBe(0)
  })

  test('of two who compile the same at once, the second holds what the first has', () => {
    const pool = new MatcherPool(location, 1000)
    const [one, other] = [compile(pool, [pattern('/a/:b')]), compile(pool, [pattern('/a/:b')])]
    expect(other[0]).not.toBe(one[0])
    const held = [pool.hold(one, anonymous), pool.hold(other, anonymous)]
    expect(held[1]?.[0]).toBe(one[0])
  })

  test('SEC-03 SEC-14 over the sum a stream that adds much is refused, and one that adds little never', () => {
    const pool = new MatcherPool(location, 1000)
    const streams = [1, 2, 3].map((n) => pool.hold(compile(pool, [heavy(300, n)]), anonymous))
    expect(codeOf(() => pool.hold(compile(pool, [heavy(300, 4)]), anonymous))).toBe('too-many-patterns')
    expect(pool.weight).toBe(900)
    for (let n = 0; n < 10; n++) pool.hold(compile(pool, [heavy(50, `small${n}`)]), anonymous)
    expect(pool.weight).toBe(1400)
    expect(codeOf(() => pool.hold(compile(pool, [heavy(52, 'more')]), anonymous))).toBe('too-many-patterns')
    // What others have costs nothing more.
    expect(codeOf(() => pool.hold(compile(pool, [heavy(300, 1)]), anonymous))).toBeNull()
    for (const stream of streams.slice(1)) pool.release(stream, anonymous)
    expect(codeOf(() => pool.hold(compile(pool, [heavy(52, 'more')]), anonymous))).toBeNull()
  })

  test('SEC-14 MAT-34 a token counts once for all its streams', () => {
    const pool = new MatcherPool(location, 1000)
    const token: Identity = { ...anonymous, weight: 600 }
    for (const _ of [1, 2, 3]) pool.hold([], token)
    expect(pool.weight).toBe(600)
    expect(codeOf(() => pool.hold([], { ...anonymous, weight: 600 }))).toBe('too-many-patterns')
    for (const _ of [1, 2, 3]) pool.release([], token)
    expect(pool.weight).toBe(0)
  })

  test('SEC-03 one request may weigh so much, whoever has its patterns already', () => {
    const pool = new MatcherPool(location, 1000)
    const many = [1, 2, 3].map((n) => heavy(100, n))
    expect(codeOf(() => compile(pool, many, 299))).toBe('matchers-too-heavy')
    pool.hold(compile(pool, many, 300), anonymous)
    expect(codeOf(() => compile(pool, many, 299))).toBe('matchers-too-heavy')
    expect(codeOf(() => compile(pool, [heavy(100, 1)], 99))).toBe('matchers-too-heavy')
    expect(codeOf(() => compile(pool, [heavy(100, 9)], 99))).toBe('invalid-matcher')
  })

  test('each pattern that is compiled is a step, and nothing else', () => {
    const pool = new MatcherPool(location, 1000)
    const written = [exact('a'), pattern('/1/:a'), pattern('*'), pattern('/2/:a'), exact('b')]
    expect([...pool.compile(written, 5000)]).toHaveLength(2)
    pool.hold(compile(pool, written), anonymous)
    expect([...pool.compile(written, 5000)]).toHaveLength(0)
  })

  test('SEC-06 100 ordinary patterns of one request, and those of 10,000 readers, stay within the defaults', () => {
    const pool = new MatcherPool(location, 300_000)
    const ordinary = (n: number) => [
      pattern(`https://example.com/users/${n}/*`),
      pattern(`https://example.com/orders/${n}/:item(\\d+)`),
      exact(`https://example.com/users/${n}`),
    ]
    const hundred = Array.from({ length: 34 }, (_, n) => ordinary(n))
      .flat()
      .slice(0, 100)
    expect(compile(pool, hundred)).toHaveLength(100)
    for (let n = 0; n < 10_000; n++) pool.hold(compile(pool, ordinary(n)), { ...anonymous, weight: 10 })
    expect(pool.weight).toBeLessThan(300_000)
  })

  test('whatever comes and goes, what is left is what is held', () => {
    const texts = ['/a/:x', '/b/*', '/c/(d+)', `${'e'.repeat(300)}`]
    const stream = fc.record({
      wanted: fc.uniqueArray(fc.nat({ max: texts.length - 1 }), { minLength: 1 }),
      identity: fc.constantFrom<Identity>(
        anonymous,
        { ...anonymous, weight: 5 },
        { ...anonymous, weight: 7 },
      ),
      stays: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(stream), (streams) => {
        const pool = new MatcherPool(location, 1_000_000)
        const kept = streams.flatMap(({ wanted, identity, stays }) => {
          const written = wanted.map((at) => (at === 3 ? exact : pattern)(texts[at] ?? ''))
          const matchers = pool.hold(compile(pool, written), identity)
          if (!stays) pool.release(matchers, identity)
          return stays ? [{ matchers, identity }] : []
        })
        const matchers = new Set(kept.flatMap((one) => one.matchers))
        const identities = new Set(kept.map(({ identity }) => identity))
        const weights = [...matchers, ...identities].map(({ weight }) => weight)
        expect(pool.weight).toBe(weights.reduce((sum, weight) => sum + weight, 0))
      }),
    )
  })
})
