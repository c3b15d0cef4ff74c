import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { decodeQuery } from '../../src/protocol/form.ts'
import { hubLocation, isProtocolString, isReserved, parseTopic } from '../../src/protocol/topic.ts'
import { readVectors, type VectorBase, vectorHubUrl } from '../support/vectors.ts'

interface ReservedVector extends VectorBase {
  readonly topic?: string
  readonly topicForm?: string
  readonly hubUrl?: string
  readonly expect: 200 | 400
  readonly reason: 'reserved' | 'wildcard' | 'chars' | null
}

const hub = hubLocation(vectorHubUrl)

describe('protocol strings', () => {
  test.each([
    ['NUL', '\0'],
    ['line feed', 'a\nb'],
    ['DEL', '\x7f'],
    ['C1', '\x85'],
    ['soft hyphen', '\u00AD'],
    ['zero width joiner', 'a\u200Db'],
    ['byte order mark', '\uFEFFx'],
    ['a format character outside the BMP', 'x\u{E0041}'],
    ['a lone surrogate', 'x\uD800'],
  ])('GEN-01 GEN-02 %s is refused', (_, value) => {
    expect(isProtocolString(value)).toBe(false)
  })

  test.each(['\u00A0', '\u2028', '\u2029', '\uFE0F', '\uFFFD', 'שלום', 'a b', '\u{1F600}', ''])(
    'GEN-04 %j is accepted',
    (value) => {
      expect(isProtocolString(value)).toBe(true)
    },
  )

  test('GEN-02 exactly the listed characters of category Cf are refused', () => {
    const listed = (point: number) => formatRanges.some(([first, last]) => point >= first && point <= last)
    const control = (point: number) => point <= 0x1f || (point >= 0x7f && point <= 0x9f)
    for (let point = 0; point <= 0x10ffff; point++) {
      if (point >= 0xd800 && point <= 0xdfff) continue
      if (isProtocolString(String.fromCodePoint(point)) === (listed(point) || control(point))) {
        throw new Error(`U+${point.toString(16)} is decided wrongly`)
      }
    }
  })
})

const formatRanges: readonly (readonly [number, number])[] = [
  [0xad, 0xad],
  [0x600, 0x605],
  [0x61c, 0x61c],
  [0x6dd, 0x6dd],
  [0x70f, 0x70f],
  [0x890, 0x891],
  [0x8e2, 0x8e2],
  [0x180e, 0x180e],
  [0x200b, 0x200f],
  [0x202a, 0x202e],
  [0x2060, 0x2064],
  [0x2066, 0x206f],
  [0xfeff, 0xfeff],
  [0xfff9, 0xfffb],
  [0x110bd, 0x110bd],
  [0x110cd, 0x110cd],
  [0x13430, 0x1343f],
  [0x1bca0, 0x1bca3],
  [0x1d173, 0x1d17a],
  [0xe0001, 0xe0001],
  [0xe0020, 0xe007f],
]

describe('topics of a publication', async () => {
  for (const vector of await readVectors<ReservedVector>('reserved-topics')) {
    test(`PUB-12 PUB-13 ${vector.id} ${vector.why}`, () => {
      const location = hubLocation(vector.hubUrl ?? vectorHubUrl)
      const topic = vector.topic ?? decodeQuery(`topic=${vector.topicForm}`)[0]?.value ?? null
      if (vector.expect === 200) {
        expect(topic).not.toBeNull()
        expect(parseTopic(topic ?? '', location)).toEqual(parseTopic(topic ?? '', location))
      } else if (topic !== null) {
        expect(() => parseTopic(topic, location)).toThrow(
          expect.objectContaining({
            code: vector.reason === 'reserved' ? 'reserved-topic' : 'invalid-topic',
          }),
        )
      } else {
        expect(vector.reason).toBe('chars')
      }
    })
  }

  test('PUB-16 whatever resolves to the hub path is reserved', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('', ' ', '#', '?', 'mercure', './mercure'),
        fc.webQueryParameters(),
        (base, tail) => {
          const suffix = base === '' || base === ' ' ? '' : base.endsWith('e') ? `?${tail}` : tail
          expect(isReserved(base + suffix, hub)).toBe(true)
        },
      ),
    )
  })

  test.each([hub, hubLocation('https://a.example/Hub/é'), hubLocation('https://a.example/hub')])(
    'PUB-18 a topic is reserved by its path, whatever surrounds it: %o',
    (own) => {
      const piece = fc.constantFrom(
        ...[
          'http:',
          'https:',
          'foo:',
          'HTTP:',
          '/',
          '//',
          '\\',
          '..',
          '.',
          '?',
          '#',
          '@',
          ':8080',
          'h.example',
          '%2e',
          '%6d',
          '%C3%A9',
          'é',
        ],
        ...own.path.split('/'),
        own.path,
        own.path.toUpperCase(),
      )
      fc.assert(
        fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
          const topic = pieces.join('')
          // A fragment has no part in the path; one with an escape rules out every shortcut.
          const withFragment = topic.includes('#') ? `${topic}%41` : `${topic}#%41`
          expect(isReserved(topic, own)).toBe(isReserved(withFragment, own))
        }),
        { numRuns: 2000 },
      )
      expect(isReserved(`https://other.example${own.path}/x`, own)).toBe(true)
      expect(isReserved(`https://other.example${decodeURI(own.path)}/x`, own)).toBe(true)
    },
  )

  test('PUB-14 a topic that no URL parser accepts is not reserved', () => {
    expect(isReserved('https://[::1/.well-known/mercure', hub)).toBe(false)
  })
})

describe('the location of the hub', () => {
  test('GEN-12 is one absolute URL with a path', () => {
    expect(hubLocation('https://example.org/realtime/hub')).toEqual({
      url: 'https://example.org/realtime/hub',
      path: '/realtime/hub',
    })
  })

  test.each([
    'foo',
    'https://example.org/',
    'https://example.org/hub/',
    'https://example.org/hub?x',
    'urn:hub',
  ])('%s is refused', (url) => {
    expect(() => hubLocation(url)).toThrow()
  })
})
