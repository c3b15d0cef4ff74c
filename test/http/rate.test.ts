import { describe, expect, test } from 'bun:test'
import { PublishRate } from '../../src/http/rate.ts'

class Clock {
  now = 0
  readonly read = () => this.now
}

/** How many publications are let through. */
function taken(rate: PublishRate, holder: string | null, tries: number): number {
  let count = 0
  for (let n = 0; n < tries; n++) {
    try {
      rate.take(holder)
      count++
    } catch (error) {
      expect(error).toMatchObject({ code: 'too-many-publishes' })
    }
  }
  return count
}

describe('the rate of publications', () => {
  test('a holder has a burst of one second and then what the rate refills', () => {
    const clock = new Clock()
    const rate = new PublishRate(10, clock.read)
    expect(taken(rate, 'x', 50)).toBe(10)
    clock.now += 300
    expect(taken(rate, 'x', 50)).toBe(3)
    clock.now += 60_000
    expect(taken(rate, 'x', 50)).toBe(10)
  })

  test('holders do not share a bucket', () => {
    const rate = new PublishRate(2, new Clock().read)
    expect([taken(rate, 'x', 9), taken(rate, 'y', 9)]).toEqual([2, 2])
  })

  test('without a rate or a holder nothing is limited or remembered', () => {
    const unlimited = new PublishRate(0, new Clock().read)
    const limited = new PublishRate(1, new Clock().read)
    expect([taken(unlimited, 'x', 1000), taken(limited, null, 1000)]).toEqual([1000, 1000])
    expect([unlimited.size, limited.size]).toEqual([0, 0])
  })

  test('SEC-06 holders that are quiet are forgotten', () => {
    const clock = new Clock()
    const rate = new PublishRate(5, clock.read)
    for (let n = 0; n < 1000; n++) rate.take(`holder-${n}`)
    expect(rate.size).toBe(1000)
    clock.now += 2000
    rate.take('one')
    expect(rate.size).toBe(1)
  })

  test('over a long time no more is let through than the rate and one burst', () => {
    const clock = new Clock()
    const rate = new PublishRate(7, clock.read)
    let count = 0
    for (; clock.now < 10_000; clock.now += 13) count += taken(rate, 'x', 3)
    expect(count).toBeGreaterThanOrEqual(70)
    expect(count).toBeLessThanOrEqual(77)
  })
})
