import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { encode, type Frame } from '../../src/protocol/event-stream.ts'
import { Backlog, PIECE_BYTES } from '../../src/stream/backlog.ts'
import { update } from '../support/hub.ts'

/** An event of about so many bytes. */
const frame = (bytes: number, id: string) =>
  encode(update({ topics: ['a'], data: id.padEnd(bytes, '.') }), id)

const sizes = fc.array(fc.oneof(fc.nat(300), fc.nat(3 * PIECE_BYTES)), { maxLength: 20 })

describe('what waits for a reader', () => {
  test('comes off in pieces that hold every byte once, in order', () => {
    fc.assert(
      fc.property(sizes, (lengths) => {
        const frames = lengths.map((bytes, index) => frame(bytes, `${index}`))
        const backlog = new Backlog()
        for (const one of frames) backlog.push(one)
        const pieces = takeAll(backlog)
        expect(Buffer.concat(pieces).equals(Buffer.concat(frames))).toBe(true)
        expect(pieces.filter(({ length }) => length === 0 || length > PIECE_BYTES)).toEqual([])
        expect(backlog.isEmpty).toBe(true)
      }),
      { numRuns: 50 },
    )
  })

  test('frames that come while a large one is half taken follow it', () => {
    const backlog = new Backlog()
    const large = frame(2.5 * PIECE_BYTES, 'large')
    const small = frame(10, 'small')
    backlog.push(large)
    const first = backlog.take()
    backlog.push(small)
    const pieces = [first, ...takeAll(backlog)]
    expect(Buffer.concat(pieces).equals(Buffer.concat([large, small]))).toBe(true)
    expect(pieces.length).toBe(3)
  })

  test('a frame that is taken alone is not copied: all who wait for it share it', () => {
    const backlog = new Backlog()
    const shared = frame(100, 'shared')
    backlog.push(shared)
    expect(backlog.take()).toBe(shared)
  })

  test('nothing is left after it was cleared in the middle of a frame', () => {
    const backlog = new Backlog()
    backlog.push(frame(2 * PIECE_BYTES, 'gone'))
    backlog.take()
    backlog.clear()
    const next = frame(10, 'next')
    backlog.push(next)
    expect(takeAll(backlog)).toEqual([next])
  })
})

function takeAll(backlog: Backlog): Frame[] {
  const pieces: Frame[] = []
  while (!backlog.isEmpty) pieces.push(backlog.take())
  return pieces
}
