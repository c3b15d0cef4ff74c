import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { ChunkedBody } from '../../src/bench/client/chunked.ts'

/** A chunked body, cut into pieces at these places. */
function pieces(chunks: readonly string[], cuts: readonly number[], extension = ''): Buffer[] {
  const framed = [...chunks, ''].map((chunk) => {
    const size = Buffer.byteLength(chunk).toString(16)
    return `${size}${extension}\r\n${chunk}\r\n`
  })
  const body = Buffer.from(framed.join(''))
  const places = [0, ...cuts.map((cut) => cut % body.length), body.length].sort((a, b) => a - b)
  return places.slice(1).map((to, at) => body.subarray(places[at], to))
}

const read = (cut: readonly Buffer[]) => {
  const body = new ChunkedBody()
  return Buffer.concat(cut.map((piece) => body.content(piece))).toString()
}

const chunks = fc.array(fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme' }), { maxLength: 8 })

test('the content of a chunked body is the same wherever its bytes are cut', () => {
  fc.assert(
    fc.property(chunks, fc.array(fc.nat(), { maxLength: 12 }), (some, cuts) => {
      expect(read(pieces(some, cuts))).toBe(some.join(''))
    }),
  )
})

test('extensions of a chunk, which may hold hexadecimal digits, are left out', () => {
  fc.assert(
    fc.property(chunks, fc.array(fc.nat(), { maxLength: 12 }), (some, cuts) => {
      expect(read(pieces(some, cuts, ';abc="dead; beef"'))).toBe(some.join(''))
    }),
  )
})

test('sizes are read in either case and with zeros before them', () => {
  expect(read([Buffer.from(`00A\r\n${'x'.repeat(10)}\r\n1a\r\n${'y'.repeat(26)}\r\n`)])).toBe(
    'x'.repeat(10) + 'y'.repeat(26),
  )
})

test('what belongs to a chunk is found without taking it out, and one piece of it is not copied', () => {
  const body = new ChunkedBody()
  const piece = Buffer.from('5\r\nhello\r\n3\r\nwo')
  const start = body.start(piece, 0)
  const end = body.end(piece, start)
  expect(piece.toString('latin1', start, end)).toBe('hello')
  const next = body.start(piece, end)
  expect(piece.toString('latin1', next, body.end(piece, next))).toBe('wo')
  expect(body.start(Buffer.from('r\r\n'), 0)).toBe(0)
  const whole = Buffer.from('2\r\nok\r\n')
  const content = new ChunkedBody().content(whole)
  expect(content.buffer).toBe(whole.buffer)
})
