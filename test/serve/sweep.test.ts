import { expect, test } from 'bun:test'
import { Sweep } from '../../src/serve/sweep.ts'

test('what a crowd has left is collected once, when the last of it is gone', () => {
  let collected = 0
  const sweep = new Sweep(() => collected++)
  let open = 0
  const looks = (...ended: number[]) => {
    for (const count of ended) sweep.look(count, open)
    return collected
  }
  expect(looks(0, 999, 999)).toBe(0)
  expect(looks(1500, 5000)).toBe(0)
  expect(looks(5000)).toBe(1)
  expect(looks(5000, 5999, 5999)).toBe(1)
  expect(looks(6000, 6000)).toBe(2)
  // With as many still there, it waits until as many have gone.
  open = 5000
  expect(looks(10_999, 10_999)).toBe(2)
  expect(looks(11_000, 11_000)).toBe(3)
})
