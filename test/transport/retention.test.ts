import { expect, test } from 'bun:test'
import fc from 'fast-check'
import {
  endsByAge,
  exceeds,
  isExpired,
  type Kept,
  minus,
  type Retention,
  type Rule,
  ruleOf,
  toDrop,
} from '../../src/transport/retention.ts'

const unlimited: Retention = { maxCount: null, maxAgeMs: null, maxBytes: null }

test('without limits nothing is ever dropped', () => {
  const oldest = [{ at: 0, bytes: 1e9 }]
  expect(toDrop(oldest, { count: 1e9, bytes: 1e12 }, 1e15, unlimited)).toEqual({ count: 0, bytes: 0 })
})

test('each limit holds exactly: equal is kept, one more is dropped', () => {
  const keep: Retention = { maxCount: 10, maxAgeMs: 1000, maxBytes: 500 }
  expect(exceeds({ count: 10, bytes: 500 }, keep)).toBe(false)
  expect(exceeds({ count: 11, bytes: 500 }, keep)).toBe(true)
  expect(exceeds({ count: 10, bytes: 501 }, keep)).toBe(true)
  expect(isExpired(1001, 2000, keep)).toBe(false)
  expect(isExpired(1000, 2000, keep)).toBe(true)
})

test('REC-16 a count of zero keeps nothing', () => {
  const keep: Retention = { ...unlimited, maxCount: 0 }
  const dropped = toDrop([{ at: 5, bytes: 7 }], { count: 1, bytes: 7 }, 5, keep)
  expect(dropped).toEqual({ count: 1, bytes: 7 })
})

test('dropping stops at the first entry that is within every limit', () => {
  const oldest = [10, 20, 30, 40].map((at) => ({ at, bytes: 100 }))
  const held = { count: 4, bytes: 400 }
  expect(toDrop(oldest, held, 40, { ...unlimited, maxAgeMs: 20 })).toEqual({ count: 2, bytes: 200 })
  expect(toDrop(oldest, held, 40, { ...unlimited, maxBytes: 150 })).toEqual({ count: 3, bytes: 300 })
  expect(toDrop(oldest, held, 40, { ...unlimited, maxCount: 3 })).toEqual({ count: 1, bytes: 100 })
})

test('an entry belongs to the first rule that selects its canonical topic', () => {
  const rules = ['a', 'ab', 'b'].map(
    (names): Rule => ({
      ...{ ...unlimited, name: names, perTopic: false },
      test: (topic) => names.includes(topic),
    }),
  )
  expect(ruleOf(['a', 'b'], rules)).toBe(0)
  expect(ruleOf(['b', 'a'], rules)).toBe(1)
  expect(ruleOf(['c', 'a'], rules)).toBeNull()
  expect(ruleOf(['a'], [])).toBeNull()
})

test('a rule ends the life of its entries by age only before the whole past is over', () => {
  const ageOf = (maxAgeMs: number | null): Retention => ({ ...unlimited, maxAgeMs })
  expect(endsByAge(ageOf(10), ageOf(null))).toBe(true)
  expect(endsByAge(ageOf(10), ageOf(11))).toBe(true)
  expect(endsByAge(ageOf(10), ageOf(10))).toBe(false)
  expect(endsByAge(ageOf(null), ageOf(10))).toBe(false)
})

const limit = fc.option(fc.nat(20), { nil: null })
const entries = fc.array(fc.record({ at: fc.nat(20), bytes: fc.nat(5) }), { maxLength: 20 })

test('what is left is within the limits, and one entry more would not be', () => {
  fc.assert(
    fc.property(entries, fc.nat(30), limit, limit, limit, (list, now, maxCount, maxAgeMs, maxBytes) => {
      const oldest = list.toSorted((a, b) => a.at - b.at)
      const keep: Retention = { maxCount, maxAgeMs, maxBytes }
      const dropped = toDrop(oldest, amountOf(oldest), now, keep)
      expect(isWithin(oldest.slice(dropped.count), now, keep)).toBe(true)
      if (dropped.count > 0) expect(isWithin(oldest.slice(dropped.count - 1), now, keep)).toBe(false)
      expect(minus(amountOf(oldest), dropped)).toEqual(amountOf(oldest.slice(dropped.count)))
    }),
  )
})

function amountOf(list: readonly Kept[]): { count: number; bytes: number } {
  return { count: list.length, bytes: list.reduce((sum, { bytes }) => sum + bytes, 0) }
}

function isWithin(list: readonly Kept[], now: number, keep: Retention): boolean {
  const { count, bytes } = amountOf(list)
  if (keep.maxCount !== null && count > keep.maxCount) return false
  if (keep.maxBytes !== null && bytes > keep.maxBytes) return false
  return list.every(({ at }) => keep.maxAgeMs === null || now - at < keep.maxAgeMs)
}
