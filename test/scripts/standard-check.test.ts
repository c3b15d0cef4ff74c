import { expect, test } from 'bun:test'
import { regressions } from '../../scripts/bench/standard-check.ts'

const baseline = { fanout: 1.5, burst: 12 }
const isCost = (name: string) => name !== 'burst'
const names = (now: Readonly<Record<string, number>>) => [...regressions(baseline, now, isCost).keys()]

test('a ratio within a third of the baseline passes, and so does a better one', () => {
  expect(names({ fanout: 1.99, burst: 9.1 })).toEqual([])
  expect(names({ fanout: 0.5, burst: 100 })).toEqual([])
})

test('a cost is worse when it is more, a yield when it is less', () => {
  expect(names({ fanout: 2.1, burst: 12 })).toEqual(['fanout'])
  expect(names({ fanout: 1.5, burst: 8.9 })).toEqual(['burst'])
})

test('what was not measured does not pass', () => {
  expect(names({ fanout: 1.5 })).toEqual(['burst'])
  expect(regressions(baseline, {}, isCost).get('fanout')).toBe('fanout was not measured')
})

test('a comparison that the baseline does not have is no regression', () => {
  expect(names({ ...baseline, other: 100 })).toEqual([])
})
