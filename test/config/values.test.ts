import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import {
  bool,
  choice,
  count,
  duration,
  formatDuration,
  formatSize,
  list,
  orNone,
  parseDuration,
  parseSize,
  size,
  text,
  unlimited,
  WrongValue,
} from '../../src/config/values.ts'

const positive = { zero: false, example: '24h' }
const withZero = { zero: true, example: '24h' }

describe('durations', () => {
  test.each([
    ['250ms', 250],
    ['20s', 20_000],
    ['10m', 600_000],
    ['24h', 86_400_000],
    ['7d', 604_800_000],
    ['0', 0],
    ['0s', 0],
    [0, 0],
  ])('%p is read as %p milliseconds', (written, ms) => {
    expect(parseDuration(written)).toBe(ms)
  })

  test.each([
    '',
    '5',
    '-1s',
    '1.5s',
    '1 s',
    '1S',
    '1w',
    's',
    '1h30m',
    '٣s',
    '9007199254740993ms',
    null,
    true,
    {},
  ])('%p is refused', (written) => {
    expect(() => parseDuration(written)).toThrow(WrongValue)
  })

  test('what is formatted is read as the same time span', () => {
    fc.assert(
      fc.property(fc.nat({ max: Number.MAX_SAFE_INTEGER }), (ms) => {
        expect(parseDuration(formatDuration(ms))).toBe(ms)
      }),
    )
  })
})

describe('sizes', () => {
  test.each([
    ['64KiB', 65_536],
    ['256MiB', 268_435_456],
    ['1GiB', 1_073_741_824],
    ['10B', 10],
    ['1000', 1000],
    [1000, 1000],
    ['0', 0],
  ])('%p is read as %p bytes', (written, bytes) => {
    expect(parseSize(written)).toBe(bytes)
  })

  test.each(['', '1kb', '1KB', '64kib', '-1', '1.5MiB', '1 MiB', 'MiB', '9999999TiB', 1.5, null, {}])(
    '%p is refused',
    (written) => {
      expect(() => parseSize(written)).toThrow(WrongValue)
    },
  )

  test('what is formatted is read as the same number of bytes', () => {
    fc.assert(
      fc.property(fc.nat({ max: Number.MAX_SAFE_INTEGER }), (bytes) => {
        expect(parseSize(formatSize(bytes))).toBe(bytes)
      }),
    )
  })
})

describe('zero and unlimited', () => {
  test('0 is refused where it means nothing, with a value to write instead', () => {
    expect(() => duration(positive).read('0s')).toThrow(/refused; write 24h/)
    expect(() => size(positive).read(0)).toThrow(/refused/)
    expect(() => count(positive).read('0')).toThrow(/refused/)
  })

  test('0 is read where it means something', () => {
    expect(duration(withZero).read('0')).toBe(0)
  })

  test('the word unlimited lifts a limit that has it, and only that', () => {
    expect(unlimited(count(withZero)).read('unlimited')).toBeNull()
    expect(unlimited(count(withZero)).read('0')).toBe(0)
    expect(() => count(withZero).read('unlimited')).toThrow(WrongValue)
  })
})

describe('other kinds', () => {
  test('a list is an array, text with commas, or a JSON array', () => {
    expect(list(text).read(['a', 'b'])).toEqual(['a', 'b'])
    expect(list(text).read(' a, b ,')).toEqual(['a', 'b'])
    expect(list(text).read('["a,b"]')).toEqual(['a,b'])
    expect(list(text).read('')).toEqual([])
    expect(list(text).read('[::]:3000')).toEqual(['[::]:3000'])
  })

  test.each(['["a"', '[1]', 5, null, {}])('%p is no list of texts', (written) => {
    expect(() => list(text).read(written)).toThrow(WrongValue)
  })

  test('a boolean is true or false', () => {
    expect(bool.read('true')).toBe(true)
    expect(bool.read(false)).toBe(false)
    for (const written of ['yes', '1', '', 'TRUE', 1, null])
      expect(() => bool.read(written)).toThrow(WrongValue)
  })

  test('a choice is one of its words, also when the file has a number', () => {
    const legacy = choice(['off', '8', '7'])
    expect(legacy.read(8)).toBe('8')
    expect(() => legacy.read('9')).toThrow(/off, 8, 7/)
  })

  test('a number has digits only', () => {
    expect(count(withZero).read('010')).toBe(10)
    for (const written of ['-1', '1.5', '1e3', '', '٣', 1.5, 2 ** 60]) {
      expect(() => count(withZero).read(written)).toThrow(WrongValue)
    }
  })

  test('what may be nothing is nothing when it is empty', () => {
    expect(orNone(text).read('')).toBeNull()
    expect(() => text.read('')).toThrow(WrongValue)
  })

  test('no message repeats the value', () => {
    for (const kind of [text, bool, choice(['a']), count(positive), duration(positive), size(positive)]) {
      try {
        kind.read({ toString: () => 'hunter2' })
        expect.unreachable()
      } catch (error) {
        expect(String(error)).not.toContain('hunter2')
      }
    }
  })
})
