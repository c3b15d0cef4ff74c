import { expect, test } from 'bun:test'
import { LogClock } from '../../src/transport/log-clock.ts'

test('the time of a log follows the clock forwards, in whole milliseconds', () => {
  let now = 1000.9
  const clock = new LogClock(() => now)
  expect(clock.now()).toBe(1000)
  now = 2500.2
  expect(clock.now()).toBe(2500)
})

test('a step back of the clock stops nothing: time goes on from where it was', () => {
  let now = 1000
  const clock = new LogClock(() => now)
  clock.now()
  now = 400
  expect(clock.now()).toBe(1000)
  now = 450
  expect(clock.now()).toBe(1050)
})

test('time goes on from the newest entry when that is ahead of the clock', () => {
  let now = 100
  const clock = new LogClock(() => now)
  clock.resume(7000)
  expect(clock.now()).toBe(7000)
  now = 130
  expect(clock.now()).toBe(7030)
})

test('a newest entry behind the clock changes nothing', () => {
  const clock = new LogClock(() => 9000)
  clock.resume(7000)
  expect(clock.now()).toBe(9000)
})
