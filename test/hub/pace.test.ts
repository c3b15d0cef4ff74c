import { describe, expect, test } from 'bun:test'
import { SLICE_MS } from '../../src/hub/loop.ts'
import { Pace } from '../../src/hub/pace.ts'
import type { Work } from '../../src/protocol/work.ts'

/** A loop whose turns and time the test owns. */
function arrange() {
  const due: (() => void)[] = []
  const time = { now: 0 }
  const pace = new Pace({ now: () => time.now, later: (run) => void due.push(run), delay: () => () => {} })
  const said: string[] = []
  /** Work of so many steps, each of which takes so long. */
  function* work(name: string, steps: number, ms: number): Work<string> {
    for (let step = 1; step <= steps; step++) {
      time.now += ms
      said.push(`${name}${step}`)
      yield
    }
    return name
  }
  const turn = async () => {
    const before = time.now
    for (const run of due.splice(0)) run()
    const took = time.now - before
    await Promise.resolve()
    return took
  }
  return { pace, time, said, work, turn, due }
}

describe('work that may take long', () => {
  test('what is short is done at once', () => {
    const { pace, work } = arrange()
    expect(pace.drive(work('a', 3, 1))).toBe('a')
    expect(pace.size).toBe(0)
  })

  test('SEC-14 all of it shares one slice of a turn, and whoever had a turn goes to the end', async () => {
    const { pace, said, work, turn } = arrange()
    const done = [pace.drive(work('a', 4, 5)), pace.drive(work('b', 4, 5)), pace.drive(work('c', 1, 5))]
    expect(said).toEqual(['a1', 'a2'])
    const turns: number[] = []
    while (pace.size > 0) turns.push(await turn())
    expect(await Promise.all(done)).toEqual(['a', 'b', 'c'])
    expect(Math.max(...turns)).toBeLessThan(2 * SLICE_MS)
    expect(said).toEqual(['a1', 'a2', 'a3', 'a4', 'b1', 'b2', 'c1', 'b3', 'b4'])
  })

  test('the slice of a turn is over for whoever comes later in it, and begins anew with the next', async () => {
    const { pace, said, work, turn } = arrange()
    expect(pace.drive(work('a', 1, 20))).toBeInstanceOf(Promise)
    expect(pace.drive(work('b', 1, 1))).toBeInstanceOf(Promise)
    expect(said).toEqual(['a1'])
    await turn()
    expect(said).toEqual(['a1', 'b1'])
    await turn()
    expect(pace.drive(work('c', 1, 1))).toBe('c')
  })

  test('what the work throws is thrown at once, or rejects later, and disturbs nobody', async () => {
    const { pace, work, turn } = arrange()
    function* broken(ms: number): Work<never> {
      yield* work('x', 1, ms)
      throw new Error('broken')
    }
    expect(() => pace.drive(broken(0))).toThrow('broken')
    const [late, other] = [pace.drive(broken(20)), pace.drive(work('y', 2, 20))]
    const outcome = Promise.resolve(late).catch((error: unknown) => String(error))
    for (const _ of [1, 2, 3, 4]) await turn()
    expect(await outcome).toBe('Error: broken')
    expect(await other).toBe('y')
  })

  test('where nothing is to be done, no turn is asked for', async () => {
    const { pace, work, turn, due } = arrange()
    pace.drive(work('a', 1, 1))
    await turn()
    expect(due).toHaveLength(0)
  })
})
