import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { checkMatcher, matcherTypes, parseMatcher } from '../../src/protocol/matcher.ts'
import { hubLocation, parseTopic } from '../../src/protocol/topic.ts'
import { parseTopicUrl } from '../../src/protocol/url-pattern/pattern.ts'
import { readVectors, type VectorBase, vectorHubUrl } from '../support/vectors.ts'

const hub = hubLocation(vectorHubUrl)

interface Vector extends VectorBase {
  readonly type: string
  readonly matcher: string
  readonly topic: string
  readonly expect: boolean | 'invalid-matcher' | 'invalid-topic'
  readonly hubUrl?: string
  readonly maxMillis?: number
}

const vectors = await readVectors<Vector>('matchers')

function matches(type: string, pattern: string, topic: string): boolean {
  return parseMatcher(type, pattern, hub).test(topic)
}

function codeOf(action: () => unknown): unknown {
  try {
    action()
  } catch (error) {
    return error instanceof Error && 'code' in error ? error.code : error
  }
  return null
}

describe('vectors', () => {
  // A DoS vector names the time that it may take; the factor is for a busy machine that has not warmed up.
  const PATIENCE = 10

  for (const vector of vectors) {
    const location = vector.hubUrl === undefined ? hub : hubLocation(vector.hubUrl)
    test(`${vector.id} ${vector.why || 'a match as the table says'}`, () => {
      if (vector.expect === 'invalid-topic') {
        expect(codeOf(() => parseTopic(vector.topic, location))).toBe('invalid-topic')
      } else if (vector.expect === 'invalid-matcher') {
        expect(codeOf(() => parseMatcher(vector.type, vector.matcher, location))).toBe('invalid-matcher')
      } else {
        const start = performance.now()
        expect(parseMatcher(vector.type, vector.matcher, location).test(vector.topic)).toBe(vector.expect)
        const millis = performance.now() - start
        if (vector.maxMillis !== undefined) expect(millis).toBeLessThan(vector.maxMillis * PATIENCE)
      }
    })
  }
})

describe('section 2.4, the table of examples', () => {
  const rows: readonly (readonly [type: string, pattern: string, topic: string, expected: boolean])[] = [
    ['exact', 'https://example.com/a', 'https://EXAMPLE.com/a', false],
    ['exact', '/books/1', 'https://hub.example.com/books/1', false],
    ['exact', 'https://example.com/:id', 'https://example.com/1', false],
    ['exact', 'https://[::1/x', 'https://[::1/x', true],
    ['exact', '*', 'https://[::1/x', true],
    ['urlpattern', '*', 'https://[::1/x', true],
    ['urlpattern', '/*', 'https://example.com/foo', false],
    ['urlpattern', 'https://example.com/books/:id', 'https://example.com/books/42/', false],
    ['urlpattern', 'https://example.com/books/:id', 'https://example.com/books/', false],
    ['urlpattern', 'https://example.com/f/*', 'https://example.com/f/', true],
    ['urlpattern', 'https://example.com/f/*', 'https://example.com/f', false],
    ['urlpattern', 'https://example.com/f/:rest+', 'https://example.com/f/a/b', true],
    ['urlpattern', 'https://example.com/f/:rest*', 'https://example.com/f', true],
    ['urlpattern', 'https://example.com/items{/:tail}?', 'https://example.com/items', true],
    ['urlpattern', 'https://example.com/feed/:type(news|alerts)', 'https://example.com/feed/sports', false],
    ['urlpattern', 'https://example.com/books/{id}', 'https://example.com/books/1', false],
    ['urlpattern', 'https://example.com/books/:id', 'https://example.com/BOOKS/1', false],
    ['urlpattern', 'https://example.com/books/:id', 'https://EXAMPLE.com/books/1', true],
    ['urlpattern', 'https://example.com', 'https://example.com/a/b?x=1', true],
    ['urlpattern', 'https://example.com/', 'https://example.com/a', false],
    ['urlpattern', 'https://example.com/books/:id', 'https://example.com/books/1?x=1#f', true],
    ['urlpattern', 'https://example.com/x?a=1', 'https://example.com/x?a=1&b=2', false],
    ['urlpattern', 'https://example.com/books/:id?x=1', 'https://example.com/books/1?x=1', false],
    ['urlpattern', 'https://example.com/books/:id\\?x=1', 'https://example.com/books/1?x=1', true],
    ['urlpattern', 'https://example.com/x', 'https://user:pw@example.com/x', true],
    ['urlpattern', 'https://example.com/x', 'https://example.com:443/x', true],
    ['urlpattern', 'https://example.com/x', 'https://example.com:8443/x', false],
    ['urlpattern', '*://example.com/x', 'http://example.com/x', true],
    ['urlpattern', 'https://*.example.com/x', 'https://a.b.example.com/x', true],
    ['urlpattern', 'https://*.example.com/x', 'https://example.com/x', false],
    ['urlpattern', 'https://:sub.example.com/x', 'https://a.b.example.com/x', false],
    ['urlpattern', 'https://bücher.example/x', 'https://xn--bcher-kva.example/x', true],
    ['urlpattern', 'https://example.com/café', 'https://example.com/caf%C3%A9', true],
    ['urlpattern', 'https://example.com/caf%c3%a9', 'https://example.com/café', false],
    ['urlpattern', 'https://example.com/A', 'https://example.com/%41', false],
    ['urlpattern', 'https://example.com/:x', 'https://example.com/a%2Fb', true],
    ['urlpattern', 'https://example.com/b', 'https://example.com/a/%2e%2e/b', true],
    ['urlpattern', 'https://example.com/x', 'https:\\\\example.com\\x', true],
    ['urlpattern', '/books/:id', 'https://hub.example.com/books/1', true],
    ['urlpattern', '/books/:id', 'http://hub.example.com/books/1', false],
    ['urlpattern', '/books/:id', 'books/1', false],
    ['urlpattern', './books/:id', 'books/1', true],
    ['urlpattern', 'foo', 'foo', true],
    ['urlpattern', 'https://hub.example.com/*', 'chat-room-1', true],
    ['urlpattern', 'tenant:*', 'tenant:acme/orders/new', true],
    ['urlpattern', 'urn:isbn:*', 'urn:isbn:123', false],
    ['urlpattern', 'urn\\:isbn\\:*', 'urn:isbn:123', true],
    ['urlpattern', '*://*/*', 'https://[::1/x', false],
    ['urlpattern', '/.well-known/mercure/subscriptions/*', '/.well-known/mercure/subscriptions', false],
    [
      'urlpattern',
      '/.well-known/mercure/subscriptions/:t/:m/:s',
      '/.well-known/mercure/subscriptions/exact/https%3A%2F%2Fa.example/urn%3Auuid%3A1',
      true,
    ],
  ]
  for (const [type, pattern, topic, expected] of rows) {
    test(`${type} ${pattern} ${expected ? 'matches' : 'does not match'} ${topic}`, () => {
      expect(matches(type, pattern, topic)).toBe(expected)
    })
  }

  for (const pattern of ['{unclosed', '/(a', '/:a/:a', 'https://e.com/[(', 'https://e.com/:']) {
    test(`urlpattern ${pattern} is invalid, and an exact matcher like any other`, () => {
      expect(codeOf(() => parseMatcher('urlpattern', pattern, hub))).toBe('invalid-matcher')
      expect(matches('exact', pattern, pattern)).toBe(true)
    })
  }

  for (const char of ['\u0000', '\n', '\u007f', '\u0085', '\u200b']) {
    test(`GEN-01 ${JSON.stringify(char)} is refused under every type`, () => {
      for (const type of matcherTypes) {
        expect(codeOf(() => parseMatcher(type, `a${char}b`, hub))).toBe('invalid-matcher')
      }
    })
  }
})

describe('parseMatcher', () => {
  test('MAT-01 exact and urlpattern are registered', () => {
    expect(matcherTypes).toEqual(['exact', 'urlpattern'])
  })

  test('a matcher keeps its type and its pattern as written', () => {
    expect(parseMatcher('urlpattern', '/books/:id', hub)).toMatchObject({
      type: 'urlpattern',
      pattern: '/books/:id',
      kind: 'pattern',
    })
  })

  for (const type of ['regexp', 'Exact', 'URLPattern', '', 'constructor', '__proto__']) {
    test(`MAT-05 the type ${JSON.stringify(type)} fails loudly, also for the wildcard`, () => {
      expect(codeOf(() => parseMatcher(type, 'a', hub))).toBe('unknown-matcher')
      expect(codeOf(() => parseMatcher(type, '*', hub))).toBe('unknown-matcher')
    })
  }

  test('AUT-56 an empty pattern is refused under every type', () => {
    for (const type of matcherTypes) {
      expect(codeOf(() => parseMatcher(type, '', hub))).toBe('invalid-matcher')
    }
  })

  test('GEN-01 a lone surrogate is refused', () => {
    expect(codeOf(() => parseMatcher('exact', 'a\ud800', hub))).toBe('invalid-matcher')
  })

  test('a refusal does not repeat the pattern', () => {
    const refuse = (): unknown => parseMatcher('urlpattern', '/:secret/:secret', hub)
    expect(refuse).toThrow('a URL pattern does not compile')
  })
})

describe('the wildcard', () => {
  test('MAT-02 it matches every topic under every type, URL or not', () => {
    const topic = fc.oneof(
      fc.string(),
      fc.webUrl(),
      fc.constantFrom('https://[::1/x', 'urn:a', 'http://', ''),
    )
    fc.assert(
      fc.property(fc.constantFrom(...matcherTypes), topic, (type, value) => {
        const matcher = parseMatcher(type, '*', hub)
        expect(matcher.kind).toBe('wildcard')
        expect(matcher.test(value)).toBe(true)
        expect(matcher.test(value, null)).toBe(true)
      }),
    )
  })

  test('MAT-03 it matches topics of the hub itself', () => {
    expect(matches('exact', '*', '/.well-known/mercure/subscriptions/exact/foo/urn%3Auuid%3A1')).toBe(true)
  })

  for (const pattern of ['**', ' *', '* ', '/*', 'https://example.com/*']) {
    test(`MAT-04 ${JSON.stringify(pattern)} is not the wildcard`, () => {
      const matcher = parseMatcher('exact', pattern, hub)
      expect(matcher.kind).not.toBe('wildcard')
      expect(matcher.test('https://example.com/foo')).toBe(false)
      expect(matcher.test(pattern)).toBe(true)
    })
  }
})

describe('exact', () => {
  test('MAT-10 it matches its own bytes and nothing else', () => {
    fc.assert(
      fc.property(fc.webUrl(), fc.webUrl(), (pattern, topic) => {
        expect(matches('exact', pattern, topic)).toBe(pattern === topic)
        expect(matches('exact', pattern, pattern)).toBe(true)
      }),
    )
  })
})

describe('urlpattern', () => {
  test('MAT-24 a parsed topic gives the same answer as its text', () => {
    const matcher = parseMatcher('urlpattern', './books/:id', hub)
    for (const topic of [
      'books/1',
      'books/1/2',
      'https://[::1/x',
      'https://hub.example.com/.well-known/books/1',
    ]) {
      expect(matcher.test(topic, parseTopicUrl(topic, hub))).toBe(matcher.test(topic))
    }
  })

  test('MAT-25 a topic that does not parse does not match, and is no error', () => {
    expect(parseMatcher('urlpattern', '*://*/*', hub).test('books/1', null)).toBe(false)
  })

  test('MAT-26 a relative pattern covers every opaque topic', () => {
    expect(matches('urlpattern', '/*', 'chat-room-1')).toBe(true)
  })
})

describe('the weight of a matcher', () => {
  const weights: readonly (readonly [what: string, type: string, pattern: string, weight: number])[] = [
    ['a wildcard', 'urlpattern', '*', 0],
    ['an exact topic', 'exact', 'https://example.com/books/1', 0],
    ['a long exact topic', 'exact', 'x'.repeat(4096), 32],
    ['a pattern of comparisons', 'urlpattern', 'https://example.com/books/1', 4],
    ['a star', 'urlpattern', 'https://example.com/books/*', 4],
    ['a group', 'urlpattern', '/books/:id', 6],
    ['an optional group', 'urlpattern', '/books{/:id}?', 8],
    ['a group of digits', 'urlpattern', '/books/:id(\\d+)', 6],
    ['a UUID', 'urlpattern', `/books/:id(${uuid})`, 40],
    ['a text of up to 64 characters', 'urlpattern', '/books/:id([a-z]{1,64})', 131],
    ['stars', 'urlpattern', `/${'*a'.repeat(1000)}`, 4 + 999 + 15],
    ['optional characters', 'urlpattern', `*://*/((?:.?){795}Q)`, 4 + 1591],
    ['a long text', 'urlpattern', `/${'x'.repeat(4000)}`, 4 + 31],
  ]
  for (const [what, type, pattern, weight] of weights) {
    test(`SEC-03 ${what} weighs ${weight}`, () => {
      expect(parseMatcher(type, pattern, hub).weight).toBe(weight)
    })
  }

  test('SEC-03 what is heavier than it may be is refused, and what is as heavy is not', () => {
    const pattern = `/((?:a.){200}).((?:b.){200})`
    const { weight } = parseMatcher('urlpattern', pattern, hub)
    expect(parseMatcher('urlpattern', pattern, hub, weight).weight).toBe(weight)
    expect(codeOf(() => parseMatcher('urlpattern', pattern, hub, weight - 1))).toBe('invalid-matcher')
    expect(codeOf(() => parseMatcher('urlpattern', `/${'*a'.repeat(200)}`, hub, 100))).toBe('invalid-matcher')
  })

  test('SEC-06 what is refused without compiling is refused by the check alone', () => {
    const check = (type: string, pattern: string) => codeOf(() => checkMatcher({ type, pattern }))
    expect([
      check('regexp', 'a'),
      check('exact', ''),
      check('exact', 'a\n'),
      check('urlpattern', '/:a/:a'),
    ]).toEqual(['unknown-matcher', 'invalid-matcher', 'invalid-matcher', null])
  })
})

const uuid = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}'
