import { expect, test } from 'bun:test'
import { Counters, Durations, durationBounds } from '../../src/telemetry/counters.ts'

test('what the hub reports is summed up, and why a stream ended decides where it counts', () => {
  const counters = new Counters()
  counters.observe({ kind: 'published', ms: 2 })
  counters.observe({ kind: 'publish-failed', problem: 'the disk is full' })
  counters.observe({ kind: 'delivered', deliveries: 7, ms: 1 })
  counters.observe({ kind: 'replayed', entries: 3 })
  counters.observe({ kind: 'unsubscribed', reason: { kind: 'slow', queuedBytes: 1 } })
  counters.observe({ kind: 'unsubscribed', reason: { kind: 'shed' } })
  counters.observe({ kind: 'unsubscribed', reason: { kind: 'client' } })
  expect(counters).toMatchObject({ updates: 1, updatesFailed: 1, deliveries: 7, replayed: 3 })
  expect(counters).toMatchObject({ slowReaders: 1, shedReaders: 1 })
  expect([counters.publishTimes.sum, counters.deliveryTimes.sum]).toEqual([0.002, 0.001])
})

test('a duration counts for every bound that it does not exceed, and one above them all for the last', () => {
  const durations = new Durations()
  for (const seconds of [0.0001, 0.003, 20]) durations.observe(seconds)
  const { cumulative } = durations
  expect(cumulative.length).toBe(durationBounds.length + 1)
  expect(durationBounds.findIndex((_, at) => cumulative[at] === 2)).toBe(durationBounds.indexOf(0.005))
  expect([cumulative[0], cumulative.at(-2), cumulative.at(-1)]).toEqual([1, 2, 3])
})
