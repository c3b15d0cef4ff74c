import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { hubLocation } from '../../../src/protocol/topic.ts'
import { compileUrlPattern, parseTopicUrl } from '../../../src/protocol/url-pattern/pattern.ts'

const hub = hubLocation('https://hub.example.com/.well-known/mercure')

function matches(pattern: string, topic: string): boolean {
  const url = parseTopicUrl(topic, hub)
  return url !== null && compileUrlPattern(pattern, hub).test(url)
}

function isRefused(pattern: string): boolean {
  try {
    compileUrlPattern(pattern, hub)
    return false
  } catch (error) {
    expect(error).toMatchObject({ code: 'invalid-matcher' })
    return true
  }
}

describe('parseTopicUrl', () => {
  test('MAT-24 a topic is parsed with the hub as base', () => {
    expect(parseTopicUrl('books/1?x=1#f', hub)).toEqual({
      protocol: 'https',
      username: '',
      password: '',
      hostname: 'hub.example.com',
      port: '',
      pathname: '/.well-known/books/1',
      search: 'x=1',
      hash: 'f',
    })
  })

  test('every component is canonical', () => {
    expect(parseTopicUrl('HTTPS://ü:p w@BÜCHER.example:0443/a/%2e%2e/é b?é#é', hub)).toEqual({
      protocol: 'https',
      username: '%C3%BC',
      password: 'p%20w',
      hostname: 'xn--bcher-kva.example',
      port: '',
      pathname: '/%C3%A9%20b',
      search: '%C3%A9',
      hash: '%C3%A9',
    })
  })

  test('MAT-25 what is no URL is null', () => {
    for (const topic of ['https://[::1/x', 'http://', 'https://e.com:99999/', 'https://e.com:8080x/']) {
      expect(parseTopicUrl(topic, hub)).toBeNull()
    }
  })

  const paths: readonly (readonly [topic: string, pathname: string])[] = [
    ['foo:///.well-known/y', '/.well-known/y'],
    ['foo:/.well-known/y', '/.well-known/y'],
    ['foo:/.//y', '//y'],
    ['foo:////y', '//y'],
    ['foo://host', ''],
    ['urn:isbn:1', 'isbn:1'],
  ]
  for (const [topic, pathname] of paths) {
    test(`PUB-18 the path of ${topic} is ${JSON.stringify(pathname)}`, () => {
      expect(parseTopicUrl(topic, hub)?.pathname).toBe(pathname)
    })
  }

  test('a web URL has the components that the platform gives it', () => {
    fc.assert(
      fc.property(fc.webUrl({ withQueryParameters: true, withFragments: true }), (topic) => {
        const url = new URL(topic)
        expect(parseTopicUrl(topic, hub)).toEqual({
          protocol: url.protocol.slice(0, -1),
          username: url.username,
          password: url.password,
          hostname: url.hostname,
          port: url.port,
          pathname: url.pathname,
          search: url.search.slice(1),
          hash: url.hash.slice(1),
        })
      }),
    )
  })

  test('components hold printable ASCII alone, which regular expressions rely on', () => {
    const topic = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: 'binary' }).map((s) => `foo:${s}`),
    )
    fc.assert(
      fc.property(topic, (text) => {
        const url = parseTopicUrl(text, hub)
        for (const component of Object.values(url ?? {})) expect(component).toMatch(/^[ -~]*$/)
      }),
    )
  })
})

describe('compileUrlPattern', () => {
  const cases: readonly (readonly [pattern: string, topic: string, expected: boolean, why: string])[] = [
    ['https://e.com/a*b*c', 'https://e.com/aXbYc', true, 'texts between stars are found in order'],
    ['https://e.com/a*b*c', 'https://e.com/aXcYb', false, 'texts between stars are found in order'],
    ['https://e.com/a*ab', 'https://e.com/ab', false, 'the ends of a pattern do not share characters'],
    ['https://e.com/*aba*aba', 'https://e.com/xababa', false, 'texts in a pattern do not share characters'],
    ['https://e.com/:a/x/:b', 'https://e.com/1/x/2', true, 'segments between slashes'],
    ['https://e.com/:a/x/:b', 'https://e.com/1/y/2', false, 'segments between slashes'],
    ['https://e.com/:a/*', 'https://e.com/1/', true, 'a segment, then a star'],
    ['https://e.com/:a/*', 'https://e.com/1', false, 'a segment, then a star'],
    ['https://e.com/:a-:b', 'https://e.com/1-2-3', true, 'segments within one segment'],
    ['https://e.com/:a.json', 'https://e.com/.json', false, 'a segment is not empty'],
    ['https://e.com/f{/x:a-}+y', 'https://e.com/f/x1-/x2-y', true, 'a repeated group repeats its prefix'],
    ['https://e.com/f{/x:a-}+y', 'https://e.com/fy', false, 'one or more'],
    ['https://e.com/f{/x:a-}*y', 'https://e.com/fy', true, 'none or more'],
    ['https://e.com/f{/x}*y', 'https://e.com/f/x/xy', true, 'repeated fixed text'],
    ['https://:a.:b.com/', 'https://x.y.com/', true, 'labels of a host'],
    ['https://:a.:b.com/', 'https://x.com/', false, 'labels of a host'],
    ['https://e.com/?q=:v', 'https://e.com/?q=a/b.c', true, 'MAT-29 a group stops nowhere in the query'],
    ["https://e.com/?q='", "https://e.com/?q='", true, 'an apostrophe is encoded on special schemes'],
    ["foo://e.com/?q='", "foo://e.com/?q='", true, 'an apostrophe is not encoded elsewhere'],
    ['https://e.com/?a*\\?*?:n', 'https://e.com/?abc?d', true, 'a question mark between groups of the query'],
    ['https://e.com/?\\?', 'https://e.com/??', true, 'a question mark first in the query'],
    ['https://e.com/#\\#*', 'https://e.com/##x', true, 'a number sign first in the fragment'],
    ['foo://host/a b/:x', 'foo://host/a b/1', true, 'a path below a host of any scheme is encoded'],
    ['foo://host//x/:x', 'foo://host//x/1', true, 'PUB-18 a path of any scheme may start with two slashes'],
    ['foo:/.well-known/:x', 'foo:/.well-known/y', true, 'PUB-18 a path without a host'],
    ['foo://h{o}st/.well-known/x?a', 'foo://host/.well-known/x?a', true, 'PUB-18 braces in the host'],
    ['urn\\:a b:x', 'urn:a bc', true, 'a space in an opaque path stays'],
    ['urn\\:é*', 'urn:é1', true, 'an opaque path is UTF-8, percent-encoded'],
    ['urn\\:A*', 'urn:a1', false, 'an opaque path is case-sensitive'],
  ]
  for (const [pattern, topic, expected, why] of cases) {
    test(`${why}: ${pattern} ${expected ? 'matches' : 'does not match'} ${topic}`, () => {
      expect(matches(pattern, topic)).toBe(expected)
    })
  }

  test('MAT-22 an absolute pattern does not see the base, a relative one does', () => {
    expect(matches('tenant:*', 'tenant:acme')).toBe(true)
    expect(matches('acme', 'https://hub.example.com/.well-known/acme')).toBe(true)
  })

  for (const pattern of [' https://e.com/', ':a foo:', 'a b\\:c']) {
    test(`a space in the scheme is refused: ${pattern}`, () => {
      expect(isRefused(pattern)).toBe(true)
    })
  }

  test('MAT-35 look-around and back-references are refused', () => {
    for (const group of ['a(?=b)', 'a(?!b)', 'a(?<=a)', 'a(?<!b)', '(?<n>a)\\k<n>', '(?<n>a)\\1']) {
      expect(isRefused(`/(${group})`)).toBe(true)
    }
  })

  test('a class of strings is refused', () => {
    expect(isRefused('/([\\q{abc|d}]+)')).toBe(true)
    expect(isRefused('/([\\\\q]+)')).toBe(false)
  })
})

describe('regexp groups mean what they mean in ECMAScript', () => {
  const groups = [
    '\\d+',
    '\\D+',
    '\\w+',
    '\\W',
    '\\s|%20',
    '\\S+',
    '.+',
    '[^]+',
    '[]|a',
    '[^a-c]+',
    '[\\w--[b-y]]+',
    '[[a-z]&&[aeiou]]+',
    '[a\\-z]+',
    '\\/?a',
    '\\x61\\u0062\\u{63}',
    '\\p{Lu}+',
    '\\P{L}+',
    '\\p{ASCII_Hex_Digit}{2}',
    '(?i:abc)',
    '(?i:[^a])',
    '(?i:a(?-i:b))',
    '(?<year>\\d{4})-\\d{2}',
    '^a$',
    '\\ba\\b',
    'a{2,}?',
    'a{0,2}b??',
    '\\cA|a',
    '\\0|b',
    'a|b|',
    '\\uD83D\\uDE00?a',
    '[$.^\\|]+',
    '~-',
  ]
  const texts = fc.string({ unit: fc.constantFrom(...'abcABC019-_~.$^|/é %'), maxLength: 6 })

  for (const group of groups) {
    test(`(${group})`, () => {
      const pattern = `https://e.com/(${group})`
      const native = new URLPattern(pattern)
      const compiled = compileUrlPattern(pattern, hub)
      const seeds = ['a', 'b', 'abc', 'ABC', 'aB', 'Ab', '12', '2024-05', 'AF', '~-', 'aa', 'aaa', '', '$.^|']
      const examples = seeds.map((seed): [string] => [seed])
      fc.assert(
        fc.property(texts, (text) => {
          const topic = `https://e.com/${text}`
          const url = parseTopicUrl(topic, hub)
          expect(url !== null && compiled.test(url)).toBe(native.test(topic))
        }),
        { examples },
      )
    })
  }
})

describe('differential', () => {
  const literal = fc.constantFrom('a', 'b', 'ab', '-', '.', '1', 'A', 'é', '%41', '\\:', '/', '/a', '/b/')
  const regexp = fc.constantFrom('(a|b)', '(\\d+)', '([^/]*)', '(a+b?)', '((?:ab)*)', '([a-z&&[^b]]{1,2})')
  const modifier = fc.constantFrom('', '', '', '?', '+', '*')
  const group = fc.oneof(fc.constantFrom('*', ':n'), regexp)
  const braces = fc
    .tuple(literal, fc.oneof(fc.constant(''), group), literal)
    .map((parts) => `{${parts.join('')}}`)
  const piece = fc.oneof(
    { weight: 4, arbitrary: literal },
    { weight: 3, arbitrary: fc.tuple(fc.oneof(group, braces), modifier).map(([text, sign]) => text + sign) },
  )
  const path = fc.array(piece, { maxLength: 4 }).map((pieces) => numbered(`/${pieces.join('')}`))
  const origin = fc.constantFrom(
    'https://e.com',
    'https://*.e.com',
    'http{s}?://:h.com',
    '*://e.com:*',
    'https://(e|f).com',
    'https://:u@e.com:8080',
    'foo://e.com',
    '',
  )
  const tail = fc.constantFrom('', '', '\\?*', '\\?a=:q', '\\?(\\d+)', '#f', '#:f(a|b)', '\\?a=1#*')
  const topicOrigin = fc.constantFrom(
    'https://e.com',
    'https://a.e.com',
    'http://e.com',
    'https://f.com',
    'https://u@e.com:8080',
    'foo://e.com',
    '',
  )
  const text = fc.string({ unit: fc.constantFrom(...'aabb/-.1Aé:'), maxLength: 8 })
  const topicTail = fc.constantFrom('', '', '?', '?a=1', '?a=b#f', '?12', '#f', '#a')

  /** Names must differ within one component. */
  function numbered(pattern: string): string {
    let count = 0
    return pattern.replaceAll(':n', () => `:n${count++}`)
  }

  /** A topic near to the pattern: each mark of a group gives way to a piece of text. */
  function near(pattern: string, piece: string): string {
    const groups = pattern.replace(/\((?:[^()]|\(\?:[^)]*\))*\)/g, piece).replace(/:n\d/g, piece)
    return groups.replaceAll('*', piece).replace(/[{}?+\\]/g, '')
  }

  // Bun 1.4.5 misreads such paths where the scheme is not a special one; tests above hold what is right.
  function isMisread(pattern: string): boolean {
    return pattern.startsWith('foo:') && /\/\/|\/\./.test(pattern.slice('foo://'.length).replace(/[{}]/g, ''))
  }

  function nativePattern(pattern: string): URLPattern | null {
    try {
      return new URLPattern(pattern)
    } catch {
      return relativePattern(pattern)
    }
  }

  function relativePattern(pattern: string): URLPattern | null {
    try {
      return new URLPattern(pattern, hub.url)
    } catch {
      return null
    }
  }

  test('MAT-20 short patterns answer as the native implementation does', () => {
    let positive = 0
    fc.assert(
      fc.property(
        origin,
        path,
        tail,
        topicOrigin,
        text,
        topicTail,
        fc.constantFrom('', 'a', 'b', 'ab', '1', 'a/b'),
        (from, written, end, topicFrom, random, topicEnd, piece) => {
          const pattern = from + written + end
          const native = nativePattern(pattern)
          if (native === null) return void expect(isRefused(pattern)).toBe(true)
          if (isMisread(pattern)) return
          const compiled = compileUrlPattern(pattern, hub)
          for (const path of [`/${random}`, near(written, piece), near(written, random.slice(0, 3))]) {
            const topic = topicFrom + path + topicEnd
            const url = parseTopicUrl(topic, hub)
            const expected = native.test(topic, hub.url)
            if (expected) positive++
            expect({ pattern, topic, match: url !== null && compiled.test(url) }).toEqual({
              pattern,
              topic,
              match: expected,
            })
          }
        },
      ),
      { numRuns: 3000 },
    )
    expect(positive).toBeGreaterThan(100)
  })

  test('a pattern of any text is compiled or refused, and never anything else', () => {
    const unit = fc.constantFrom(...'ab/:*?+{}()[]\\|.^$-#@ é1&d')
    fc.assert(
      fc.property(
        fc.string({ unit, maxLength: 24 }),
        fc.constantFrom('https://', 'foo:', '/', ''),
        (end, start) => {
          const pattern = start + end
          if (!isRefused(pattern)) expect(nativePattern(pattern)).not.toBeNull()
        },
      ),
      { numRuns: 3000 },
    )
  })
})

describe('cost', () => {
  // Linear work takes a few milliseconds, backtracking seconds to hours; the bound only tells them apart.
  const MILLIS_MAX = 2000
  const long = 'a'.repeat(4000)
  const pairs = 'a-'.repeat(2000)
  const many = (count: number, write: (index: number) => string): string =>
    Array.from({ length: count }, (_, index) => write(index)).join('')

  const hostile: readonly (readonly [why: string, pattern: string, topic: string, expected: boolean])[] = [
    ['stars', '/*a*a*a*b', `/${long}`, false],
    ['2000 stars', `/${'*a'.repeat(2000)}`, `/${long}`, true],
    ['2000 stars and another end', `/${'*a'.repeat(2000)}b`, `/${long}`, false],
    ['stars in the fragment', `/#${'*a'.repeat(1500)}b`, `/#${long}`, false],
    ['groups', '/:a-:b-:c-:d-:e{z}', `/${pairs}`, false],
    ['20 groups', `/${many(20, (index) => `:a${index}-`)}*`, `/${pairs}`, true],
    ['500 groups', `/${many(500, (index) => `:a${index}-`)}{z}`, `/${pairs}`, false],
    ['repeated groups', '/{:a-}+{:b-}+{:c-}+', `/${pairs}`, true],
    ['an exponential group', '/:a((?:a|aa)+)b', `/${long}`, false],
    ['nested repeats', '/((?:(?:a*)*)*)b', `/${long}`, false],
    ['a large automaton', '/((?:a|b)*a[ab]{90})c', `/${'abb'.repeat(1300)}`, false],
    ['optional texts', `/${'{a}?'.repeat(1000)}b`, `/${long}`, false],
  ]
  for (const [why, pattern, topic, expected] of hostile) {
    test(`MAT-32 ${why} are tested in linear time or not at all`, () => {
      const start = performance.now()
      expect(matches(pattern, topic)).toBe(expected)
      expect(performance.now() - start).toBeLessThan(MILLIS_MAX)
    })
  }

  test('MAT-32 a test beyond the limit counts as not matching, a shorter one is answered', () => {
    const pattern = '/(a{300}.*)'
    expect(matches(pattern, `/${'a'.repeat(1000)}`)).toBe(true)
    expect(matches(pattern, `/${'a'.repeat(4000)}`)).toBe(false)
  })

  for (const [why, group] of [
    ['nested counts', '(?:a{100}){100}'],
    ['a long text, counted', `(?:${'abcdefghij'.repeat(100)}){1000}`],
    ['many counts', '(?:a{50}){20}'.repeat(200)],
  ] as const) {
    test(`MAT-34 a group that repeats too much is refused: ${why}`, () => {
      const start = performance.now()
      expect(isRefused(`/(${group})`)).toBe(true)
      expect(performance.now() - start).toBeLessThan(MILLIS_MAX)
    })
  }

  for (const [why, protocol] of [
    ['stars', `${'{*}'.repeat(300)}x`],
    ['optional texts', `${'{h}?{t}?{p}?{s}?'.repeat(100)}x`],
    ['a group', `(${'.?'.repeat(500)}x)`],
    ['a counting group', '((?:.?.?){1000}x)'],
  ] as const) {
    test(`MAT-34 a scheme that makes the native constructor backtrack is refused: ${why}`, () => {
      const start = performance.now()
      expect(isRefused(`${protocol}://e.com/`)).toBe(true)
      expect(performance.now() - start).toBeLessThan(MILLIS_MAX)
    })
  }
})
