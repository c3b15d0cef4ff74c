import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { parseOrigins } from '../../../src/http/request/origin.ts'

describe('lists of origins', () => {
  for (const [entry, yes, no] of [
    [
      'https://a.example',
      ['https://a.example', 'https://a.example:443'],
      ['http://a.example', 'https://a.example:444', 'https://b.a.example', 'https://a.example.evil', 'null'],
    ],
    ['http://a.example:8080', ['http://a.example:8080'], ['http://a.example', 'https://a.example:8080']],
    [
      'https://*.a.example',
      ['https://x.a.example', 'https://x.y.a.example'],
      [
        'https://a.example',
        'https://xa.example',
        'http://x.a.example',
        'https://x.a.example:8443',
        'https://evil.example/.a.example',
        'https://evil.example\\.a.example',
        'https://evil.example\t.a.example',
        'https://evil.example\u0000.a.example',
        'https://*.a.example',
        'https://*.x.a.example',
        'https://é.a.example',
      ],
    ],
    [
      'http://localhost:*',
      ['http://localhost', 'http://localhost:5173'],
      ['https://localhost:5173', 'http://localhost.evil', 'http://localhost:*'],
    ],
    ['http://[::1]:3000', ['http://[::1]:3000'], ['http://[::1]', 'http://[::2]:3000']],
    ['HTTPS://A.Example', ['https://a.example'], ['https://b.example']],
    [
      'capacitor://',
      ['capacitor://localhost', 'capacitor://x'],
      ['capacitors://x', 'https://x', 'capacitor://x\\y', 'capacitor://x\ty', 'capacitor://*'],
    ],
    ['capacitor://localhost', ['capacitor://localhost'], ['capacitor://x']],
    ['foobar://', ['foobar://x'], ['foo://x']],
    ['null', ['null'], ['', 'https://a.example']],
    [
      '*',
      ['null', 'https://anything.example', 'capacitor://x'],
      ['*', 'https://*', 'https://a\\b', 'https://a\tb'],
    ],
  ] as const) {
    test(`SUB-102 ${entry} names what it says and nothing else`, () => {
      const origins = parseOrigins([entry])
      expect(yes.filter((origin) => !origins.includes(origin))).toEqual([])
      expect(no.filter((origin) => origins.includes(origin))).toEqual([])
      expect(origins.isOpen).toBe(entry === '*')
    })
  }

  test('SUB-102 an origin is listed when one entry names it, and an empty list names none', () => {
    const origins = parseOrigins(['https://a.example', 'https://*.b.example'])
    expect(['https://a.example', 'https://x.b.example', 'https://c.example'].map(origins.includes)).toEqual([
      true,
      true,
      false,
    ])
    expect(parseOrigins([]).includes('null')).toBe(false)
  })

  for (const entry of [
    '',
    'foo',
    'a.example',
    '//a.example',
    'https://a.example/',
    'https://a.example/x',
    'https://u:p@a.example',
    'https://a.example:x',
    'https://a.example?x',
    'https://a.example#x',
    'https://a.*.example',
    'https://*a.example',
    'https://*.*.example',
    'https://a b',
    'https://a\tb',
    'https://a\\b',
    'https://a\u0000b',
  ]) {
    test(`SUB-102 ${JSON.stringify(entry)} is refused by name`, () => {
      expect(() => parseOrigins([entry])).toThrow(`not an origin: ${entry}`)
    })
  }

  test('SUB-96 no listed origin opens the list to an origin that only contains it', () => {
    const origins = parseOrigins(['https://a.example', 'https://*.b.example', 'http://localhost:*'])
    const listed = fc.constantFrom('https://a.example', 'https://x.b.example', 'http://localhost:1')
    const more = fc
      .string({ minLength: 1 })
      .filter((text) => !/^[\d:]*$/.test(text) && !text.endsWith('.b.example'))
    fc.assert(fc.property(listed, more, (origin, text) => !origins.includes(origin + text)))
    fc.assert(
      fc.property(listed, fc.string({ minLength: 1 }), (origin, text) => !origins.includes(text + origin)),
    )
  })
})
