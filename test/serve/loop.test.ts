import { afterEach, beforeEach, describe, expect, jest, test } from 'bun:test'
import { processLoop } from '../../src/serve/loop.ts'

const DAY = 86_400_000

describe('timers', () => {
  beforeEach(() => {
    jest.useFakeTimers()
  })
  afterEach(() => {
    jest.useRealTimers()
  })

  /** A day at a time: the clock cannot be moved by more than some weeks at once. */
  function pass(ms: number): void {
    for (let left = ms; left > 0; left -= DAY) jest.advanceTimersByTime(Math.min(left, DAY))
  }

  /** Whether it has run once so much time has passed. */
  function runs(ms: number, passed: number): boolean {
    let isRun = false
    processLoop.delay(ms, () => {
      isRun = true
    })
    pass(passed)
    return isRun
  }

  test('a time in the past runs in the next turn, not at once', () => {
    let isRun = false
    processLoop.delay(-5, () => {
      isRun = true
    })
    expect(isRun).toBe(false)
    jest.advanceTimersByTime(1)
    expect(isRun).toBe(true)
  })

  test('it runs when the time has come and not before', () => {
    expect([runs(1000, 999), runs(1000, 1000)]).toEqual([false, true])
  })

  test('SUB-88 more than the platform can hold neither runs at once nor is forgotten', () => {
    expect(runs(100 * DAY, DAY)).toBe(false)
    expect(runs(27 * DAY, 26 * DAY)).toBe(false)
    expect(runs(27 * DAY, 27 * DAY)).toBe(true)
    expect(runs(75 * DAY, 75 * DAY)).toBe(true)
  })

  test('it is called off, also in its second stretch', () => {
    let count = 0
    const cancel = processLoop.delay(60 * DAY, () => count++)
    pass(30 * DAY)
    cancel()
    pass(60 * DAY)
    expect(count).toBe(0)
  })
})
