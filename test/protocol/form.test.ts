import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { ProtocolError } from '../../src/protocol/error.ts'
import {
  decodeForm,
  decodeQuery,
  type FormPair,
  type FormRules,
  queryValue,
} from '../../src/protocol/form.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

describe('form decoding', () => {
  test('SUB-01 splits on ampersands only, at the first equals sign, and unescapes once', () => {
    expect(decodeQuery('a=1;b=2&c=d=e&&x=%2525&p=a+b%2B')).toEqual([
      { name: 'a', value: '1;b=2' },
      { name: 'c', value: 'd=e' },
      { name: 'x', value: '%25' },
      { name: 'p', value: 'a b+' },
    ])
  })

  test('SUB-01 keeps stray percent signs and invalid triplets', () => {
    expect(decodeQuery('a=100%&b=%zz&c=%4&d=%')).toEqual([
      { name: 'a', value: '100%' },
      { name: 'b', value: '%zz' },
      { name: 'c', value: '%4' },
      { name: 'd', value: '%' },
    ])
  })

  test('SUB-02 a name without an equals sign has an empty value', () => {
    expect(decodeQuery('private&=x')).toEqual([
      { name: 'private', value: '' },
      { name: '', value: 'x' },
    ])
  })

  test('SUB-03 names are decoded', () => {
    expect(decodeQuery('%6Datch=a')).toEqual([{ name: 'match', value: 'a' }])
  })

  test('GEN-05 bytes that are not UTF-8 are told apart from a genuine U+FFFD', () => {
    expect(decodeQuery('a=%FF&b=%EF%BF%BD&%C3=x&c=%ED%A0%80')).toEqual([
      { name: 'a', value: null },
      { name: 'b', value: '\uFFFD' },
      { name: null, value: 'x' },
      { name: 'c', value: null },
    ])
    expect(decodeForm(new Uint8Array([0x61, 0x3d, 0xff]))).toEqual([{ name: 'a', value: null }])
  })

  test('GEN-06 a byte order mark is kept', () => {
    expect(decodeQuery('%EF%BB%BFmatch=%EF%BB%BFx')).toEqual([{ name: '\uFEFFmatch', value: '\uFEFFx' }])
  })

  test('an empty component has no pairs', () => {
    expect(decodeQuery('')).toEqual([])
    expect(decodeForm(new Uint8Array())).toEqual([])
    expect(decodeQuery('&&&')).toEqual([])
  })

  test('agrees with the URL standard on every input that is UTF-8', () => {
    const piece = fc.oneof(
      fc.constantFrom('%', '+', '=', '&', '%41', '%4', '%2B', ';', 'é', '%C3%A9', '\u{1F600}', 'a'),
      fc.string({ unit: 'grapheme', maxLength: 4 }),
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        const query = pieces.join('')
        const ours = decodeQuery(query)
        fc.pre(ours.every((pair) => pair.name !== null && pair.value !== null))
        expect(ours).toEqual([...new URLSearchParams(kept(query))].map(pair))
      }),
      { numRuns: 3000 },
    )
  })

  test('whatever the bytes, it never throws and gives back what was encoded', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (body) => {
        expect(Array.isArray(decodeForm(body))).toBe(true)
      }),
      { numRuns: 2000 },
    )
    fc.assert(
      fc.property(fc.array(fc.tuple(text(), text())), (pairs) => {
        const encoded = pairs.map(([name, value]) => `${escaped(name)}=${escaped(value)}`).join('&')
        expect(decodeForm(bytes(encoded))).toEqual(pairs.map(([name, value]) => ({ name, value })))
      }),
    )
  })

  describe('of which some is known', () => {
    const known = (pairsMax = 0): FormRules => ({
      isKnown: (name) => name === 'topic' || /^match/i.test(name ?? ''),
      pairsMax,
      refusal: 'too-many-fields',
    })
    const codeOf = (run: () => unknown) => {
      try {
        run()
        return null
      } catch (error) {
        return error instanceof ProtocolError ? error.code : String(error)
      }
    }

    test('PUB-05 SUB-09 has only those pairs, whose names are compared decoded', () => {
      expect(decodeQuery('topic=1&other=%ff&%FF=x&%74opic=2&Topic=3&topic', known())).toEqual([
        { name: 'topic', value: '1' },
        { name: 'topic', value: '2' },
        { name: 'topic', value: '' },
      ])
    })

    test('SUB-07 a long name is known by its beginning', () => {
      const escaped = '%6D%41%74%43%68'
      for (const name of ['x'.repeat(5000), '%ff'.repeat(5000), `x${'match'.repeat(1000)}`])
        expect(decodeQuery(`${name}=1`, known())).toEqual([])
      for (const begin of ['match', escaped]) {
        const [pair] = decodeQuery(`${begin}${'é'.repeat(5000)}=1`, known())
        expect(pair?.name).toMatch(/^match\u00e9{5000}$/i)
        expect(decodeQuery(`${begin}${'%ff'.repeat(5000)}=1`, known())).toEqual([])
      }
    })

    test('SEC-06 counts all of them against the limit, and empty sequences not', () => {
      const rules = known(3)
      expect(decodeQuery('&&a&&topic=1&&%ff&&', rules)).toHaveLength(1)
      expect(codeOf(() => decodeQuery('a&topic=1&b&c', rules))).toBe('too-many-fields')
      expect(codeOf(() => decodeQuery('topic=1&topic=2&topic=3&topic=4', rules))).toBe('too-many-fields')
      expect(decodeQuery('&'.repeat(10_000), rules)).toEqual([])
    })

    test('is what is left of all pairs', () => {
      const piece = fc.constantFrom('topic', 'match', 'MATCH_x', 'a', '=', '&', '%74', '%', '+', '%ff', 'é')
      fc.assert(
        fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
          const all = decodeQuery(pieces.join(''))
          const { isKnown } = known()
          expect(decodeQuery(pieces.join(''), known())).toEqual(all.filter(({ name }) => isKnown(name)))
        }),
        { numRuns: 1000 },
      )
    })
  })
})

const text = () => fc.string({ unit: 'binary', maxLength: 12 }).filter((value) => value.isWellFormed())

// `URLSearchParams` drops one leading question mark, which is data here.
const kept = (query: string) => (query.startsWith('?') ? `?${query}` : query)
const pair = ([name, value]: [string, string]): FormPair => ({ name, value })
const escaped = (value: string) =>
  [...bytes(value)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')

test.each<[url: string, value: string | null]>([
  ['https://h/p', null],
  ['https://h/p?other=a', null],
  ['https://h/p?wanted=', ''],
  ['https://h/p?a=1&wanted=b%20c&wanted=d', 'b c'],
  ['https://h/p?match=https://x/?wanted=b', null],
  ['https://h/p?wanted=%ff', null],
  ['https://h/wanted=a', null],
])('the parameter of %s is %p', (url, value) => {
  expect(queryValue(url, 'wanted')).toBe(value)
})
