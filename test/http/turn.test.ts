import { expect, test } from 'bun:test'
import { Turn } from '../../src/http/turn.ts'

test('whoever waits for the end of one turn goes on together, in the order in which they asked', async () => {
  const scheduled: (() => void)[] = []
  const turn = new Turn({ later: (run) => scheduled.push(run) })
  const order: string[] = []
  const waiting = ['a', 'b'].map((name) => turn.end().then(() => order.push(name)))
  expect(scheduled).toHaveLength(1)
  scheduled[0]?.()
  waiting.push(turn.end().then(() => order.push('c')))
  expect(scheduled).toHaveLength(2)
  await Promise.all(waiting.slice(0, 2))
  expect(order).toEqual(['a', 'b'])
  scheduled[1]?.()
  await Promise.all(waiting)
  expect(order).toEqual(['a', 'b', 'c'])
})
