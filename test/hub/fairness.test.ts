import { expect, test } from 'bun:test'
import { MemoryTransport } from '../../src/transport/memory/transport.ts'
import { ArraySink, HubFixture } from '../support/hub.ts'

const readers = 20_000
const updates = 3
/** Milliseconds that others may have to wait for a turn of the loop. */
const turnMsMax = 20

test('SEC-14 no turn of a dispatch to 20,000 lasts longer than 20 ms, and each reader gets all in order', async () => {
  const retention = { maxCount: 0, maxAgeMs: null, maxBytes: null }
  const fixture = new HubFixture(new MemoryTransport({ retention, clock: () => 0 }))
  await fixture.hub.open()
  const sinks: ArraySink[] = []
  for (let n = 0; n < readers; n++) {
    const sink = new ArraySink()
    const write = sink.write.bind(sink)
    // More than ten times what a write takes.
    sink.write = (frame) => {
      fixture.now += 0.15
      write(frame)
    }
    sinks.push(sink)
    await fixture.subscribe([['exact', 'a']], { sink })
  }
  const ids = await Promise.all(
    Array.from({ length: updates }, () => fixture.publish({ topics: ['a'], data: 'x' })),
  )
  const turns: number[] = []
  while (sinks.some(({ writes }) => writes === 0)) {
    const before = fixture.now
    fixture.turn()
    turns.push(fixture.now - before)
  }
  await fixture.settle()
  // All of it was one plan, so that each was written to once.
  expect(turns.length).toBeGreaterThan((readers * 0.15) / turnMsMax)
  expect(Math.max(...turns)).toBeLessThan(turnMsMax)
  expect(sinks.filter((sink) => sink.ids.join() !== ids.join())).toEqual([])
})
