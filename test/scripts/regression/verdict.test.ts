import { describe, expect, test } from 'bun:test'
import { type Compared, regressions, timesWorse, worse } from '../../../scripts/bench/regression/verdict.ts'

const cost = (before: readonly number[], now: readonly number[]): Compared => ({ before, now })

describe('one run', () => {
  test('a figure within a third of the one before passes, and so does a better one', () => {
    expect(worse({ fanout: cost([3], [3.99]), burst: cost([0.3], [0.39]) })).toEqual([])
    expect(worse({ fanout: cost([3], [4]), burst: cost([0.3], [0.01]) })).toEqual([])
  })

  test('a figure that is more than a third more is worse', () => {
    expect(worse({ fanout: cost([3], [4.1]), burst: cost([0.3], [0.3]) })).toEqual(['fanout'])
    expect(worse({ fanout: cost([3], [3]), burst: cost([0.3], [0.41]) })).toEqual(['burst'])
  })

  test("each round is compared with itself: a machine that gets slower is nobody's fault", () => {
    expect(timesWorse(cost([1, 2, 40], [1, 2, 40]))).toBe(1)
    expect(worse({ fanout: cost([1, 2, 40], [1.5, 3, 60]) })).toEqual(['fanout'])
  })

  test('more than half of the rounds have to be worse', () => {
    expect(worse({ fanout: cost([1, 1, 1], [9, 1, 1]) })).toEqual([])
    expect(worse({ fanout: cost([1, 1, 1], [9, 9, 1]) })).toEqual(['fanout'])
    expect(worse({ fanout: cost([1, 1, 1, 1], [9, 9, 1, 1]) })).toEqual([])
  })

  test('what cannot be measured any more does not pass, and with nothing before there is nothing to compare', () => {
    expect(worse({ fanout: cost([1, 1, 1], [Number.NaN, Number.NaN, 1]) })).toEqual(['fanout'])
    expect(worse({ burst: cost([1, 1, 1], [0, 0, 0]) })).toEqual(['burst'])
    expect(worse({ fanout: cost([1], []) })).toEqual(['fanout'])
    expect(timesWorse(cost([Number.NaN, 0, Number.POSITIVE_INFINITY], [1, 1, 1]))).toBeNaN()
    expect(worse({ fanout: cost([Number.NaN], [1]), burst: cost([], []) })).toEqual([])
  })
})

describe('two runs', () => {
  const same = cost([1, 1, 1], [1, 1, 1])
  const slower = cost([1, 1, 1], [2, 2, 2])

  test('what is worse in both has become slower', () => {
    expect(regressions({ fanout: slower, publish: same }, { fanout: slower })).toEqual(['fanout'])
  })

  test('what is worse in one of them is the machine', () => {
    expect(regressions({ fanout: slower }, { fanout: same })).toEqual([])
    expect(regressions({ fanout: same }, { fanout: slower })).toEqual([])
  })

  test('another figure does not confirm it', () => {
    expect(regressions({ fanout: slower, publish: same }, { fanout: same, publish: slower })).toEqual([])
  })

  test('nothing confirms what is not measured again', () => {
    expect(regressions({ fanout: slower }, {})).toEqual([])
  })
})
