import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { firstLine, printable, printableJson, quoted, quotedName } from '../../src/command/printable.ts'

describe('S16 text from elsewhere', () => {
  test.each([
    ['\x1b]0;title\x07', '\\u001b]0;title\\u0007'],
    ['a\x9b31mb', 'a\\u009b31mb'],
    ['a\x7f\b\rb', 'a\\u007f\\u0008\\u000db'],
    ['\u202egpj.exe\u2066', '\\u202egpj.exe\\u2066'],
    ['a\tb\nc', 'a\tb\nc'],
    ['é 漢 🎉 \u2028 \u200f', 'é 漢 🎉 \u2028 \u200f'],
  ])('%j is shown as %j', (text, shown) => {
    expect(printable(text)).toBe(shown)
  })

  test('as JSON says the same and holds nothing that a terminal obeys', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const json = printableJson({ text })
        expect(JSON.parse(json)).toEqual({ text })
        expect(json).not.toMatch(/[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/)
      }),
    )
  })

  test('is cut to its first line', () => {
    expect(firstLine('\n  no such\x1b[2J topic \r\nmore', 80)).toBe('no such\\u001b[2J topic')
    expect(firstLine('x'.repeat(100), 10)).toBe(`${'x'.repeat(10)}…`)
    expect(firstLine('', 10)).toBe('')
  })

  test('is not repeated where it may be a token', () => {
    expect(quotedName('sevre', 'that')).toBe('"sevre"')
    for (const word of ['', 'a.b.c', 'a b', '\x1b', 'x'.repeat(21)])
      expect(quotedName(word, 'that')).toBe('that')
  })

  test('is quoted in one line', () => {
    expect(quoted('a "b"\n\x9b')).toBe('"a \\"b\\"\\n\\u009b"')
    expect(quoted('x'.repeat(1000))).toHaveLength(83)
  })
})
