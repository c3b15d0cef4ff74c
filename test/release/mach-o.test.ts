import { expect, test } from 'bun:test'
import { isWhole, signed } from '../../scripts/release/mach-o.ts'

const SIGNATURE_AT = 10_000

/** A file with the commands that a signature needs, and an old signature that is true of nothing. */
function unsigned(): Uint8Array {
  const file = new Uint8Array(SIGNATURE_AT + 500).fill(7)
  const view = new DataView(file.buffer)
  view.setUint32(0, 0xfeedfacf, true)
  view.setUint32(16, 3, true)
  const segment = (at: number, name: string, offset: number, size: number) => {
    view.setUint32(at, 0x19, true)
    view.setUint32(at + 4, 72, true)
    file.set(new TextEncoder().encode(name.padEnd(16, '\0')), at + 8)
    view.setBigUint64(at + 40, BigInt(offset), true)
    view.setBigUint64(at + 48, BigInt(size), true)
  }
  segment(32, '__TEXT', 0, 8192)
  segment(104, '__LINKEDIT', 8192, 2308)
  view.setUint32(176, 0x1d, true)
  view.setUint32(180, 16, true)
  view.setUint32(184, SIGNATURE_AT, true)
  view.setUint32(188, 500, true)
  // A list of no pages.
  const words = [0xfade0cc0, 500, 1, 0, 20, 0xfade0c02, 88, 0x20400, 2, 88, 88, 0, 0, 0]
  for (const [at, value] of words.entries()) view.setUint32(SIGNATURE_AT + 4 * at, value)
  return file
}

test('a signed file is whole, and its commands tell where the signature is', () => {
  const file = signed(unsigned(), 'cinnabar')
  expect(isWhole(unsigned())).toBe(false)
  expect(isWhole(file)).toBe(true)
  const view = new DataView(file.buffer)
  expect(view.getUint32(184, true) + view.getUint32(188, true)).toBe(file.length)
  expect(Number(view.getBigUint64(104 + 48, true))).toBe(file.length - 8192)
})

test('signing again changes nothing', () => {
  const file = signed(unsigned(), 'cinnabar')
  expect(signed(file, 'cinnabar')).toEqual(file)
})

test.each([0, 200, 4096, SIGNATURE_AT - 1])('a change of byte %d is noticed', (at) => {
  const file = signed(unsigned(), 'cinnabar')
  file[at === 0 ? 24 : at] = 9
  expect(isWhole(file)).toBe(false)
})

test('another kind of file is refused', () => {
  expect(() => signed(new Uint8Array(100), 'cinnabar')).toThrow('no executable for macOS')
})
