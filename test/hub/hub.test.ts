import { describe, expect, test } from 'bun:test'
import type { HubLimits } from '../../src/hub/event.ts'
import { MemoryTransport } from '../../src/transport/memory/transport.ts'
import type { Retention } from '../../src/transport/retention.ts'
import { ArraySink, HubFixture, identity } from '../support/hub.ts'
import { type CursorVector, readVectors, type VectorEvent } from '../support/vectors.ts'

const unbounded = { maxCount: null, maxAgeMs: null, maxBytes: null }

async function openHub(retention: Partial<Retention> = {}, limits: Partial<HubLimits> = {}) {
  const transport = new MemoryTransport({ retention: { ...unbounded, ...retention }, clock: () => 0 })
  const fixture = new HubFixture(transport, limits)
  await fixture.hub.open()
  return fixture
}

/** The data names the event, since ids may repeat. */
const publication = (event: VectorEvent) => ({ ...event, data: String(event.seq) })
const sequence = (sink: ArraySink) => sink.events.map(({ data }) => Number(data))

describe('reconnection and history', async () => {
  for (const vector of await readVectors<CursorVector>('last-event-id')) {
    test(`section 6 ${vector.id} ${vector.why}`, async () => {
      const kept = vector.noHistory ? 0 : vector.discarded ? 3 : null
      const fixture = await openHub({ maxCount: kept })
      for (const id of vector.discarded ?? []) await fixture.publish({ id, topics: ['t'], data: '0' })
      for (const event of vector.history) await fixture.publish(publication(event))
      await fixture.settle()
      const { header, query, body } = vector.request
      const requested = (header === '' ? null : header) ?? query ?? body ?? header ?? null
      const { sink, cursor } = await fixture.subscribe(
        vector.matchers.map(({ match_type, match }) => [match_type, match] as const),
        { identity: identity(vector.grants), lastEventId: requested },
      )
      expect(cursor.lastEventId).toBe(vector.expect.mercureLastEventId)
      if (vector.race === undefined) {
        await fixture.settle()
        expect(sequence(sink)).toEqual([...vector.expect.replayed])
      }
      for (const event of vector.live) await fixture.publish(publication(event))
      await fixture.settle()
      expect(sequence(sink)).toEqual([...vector.expect.replayed, ...vector.expect.live])
    })
  }
})

describe('delivery', () => {
  test('SUB-60 SUB-63 an update that several matchers and topics reach is delivered once', async () => {
    const fixture = await openHub()
    const { sink } = await fixture.subscribe([
      ['exact', 'a'],
      ['exact', 'b'],
      ['exact', '*'],
      ['urlpattern', 'https://hub.example.com/*'],
    ])
    const id = await fixture.publish({ topics: ['a', 'b'] })
    await fixture.settle()
    expect(sink.ids).toEqual([id])
  })

  test('SUB-61 AUT-72 a private update needs a grant on any of its topics', async () => {
    const fixture = await openHub()
    const none = await fixture.subscribe([['exact', 'a']])
    const other = await fixture.subscribe([['exact', 'a']], { identity: identity(['c']) })
    const alternate = await fixture.subscribe([['exact', 'a']], { identity: identity(['b']) })
    const id = await fixture.publish({ topics: ['a', 'b'], private: true })
    await fixture.settle()
    expect([none.sink.ids, other.sink.ids, alternate.sink.ids]).toEqual([[], [], [id]])
  })

  test('AUT-73 a grant without a matching subscription delivers nothing', async () => {
    const fixture = await openHub()
    const { sink } = await fixture.subscribe([['exact', 'x']], { identity: identity(['a']) })
    await fixture.publish({ topics: ['a'], private: true })
    await fixture.settle()
    expect(sink.ids).toEqual([])
  })

  test('the updates of one turn reach a reader in one write', async () => {
    const fixture = await openHub()
    const all = await fixture.subscribe([['exact', '*']])
    const some = await fixture.subscribe([['exact', 'a']])
    const ids = await Promise.all(['a', 'b', 'a', 'a'].map((topic) => fixture.publish({ topics: [topic] })))
    await fixture.settle()
    expect(all.sink.ids).toEqual(ids)
    expect(some.sink.ids).toEqual(ids.filter((_, at) => at !== 1))
    expect([all.sink.writes, some.sink.writes]).toEqual([1, 1])
  })

  test('SEC-14 a dispatch to many readers stops after its slice and goes on in the next turn', async () => {
    const fixture = await openHub({}, { sliceMs: 1 })
    const sinks: ArraySink[] = []
    for (let n = 0; n < 500; n++) {
      const sink = new ArraySink()
      const write = sink.write.bind(sink)
      sink.write = (frame) => {
        fixture.now += 0.1
        write(frame)
      }
      await fixture.subscribe([['exact', 'a']], { sink })
      sinks.push(sink)
    }
    const first = await fixture.publish({ topics: ['a'] })
    fixture.turn()
    const second = await fixture.publish({ topics: ['a'] })
    expect(sinks.filter(({ ids }) => ids.length === 1).length).toBeLessThan(500)
    await fixture.settle()
    expect(sinks.every(({ ids }) => ids.length === 2 && ids[0] === first && ids[1] === second)).toBe(true)
  })

  test('publishers wait while more is accepted than can be dispatched', async () => {
    const fixture = await openHub({}, { pendingBytes: 100 })
    const { sink } = await fixture.subscribe([['exact', 'a']])
    await fixture.publish({ topics: ['a'], data: 'x'.repeat(200) })
    let isAccepted = false
    const waiting = fixture.publish({ topics: ['a'] }).then(() => {
      isAccepted = true
    })
    await new Promise((resolve) => setImmediate(resolve))
    expect(isAccepted).toBe(false)
    await fixture.settle()
    await waiting
    await fixture.settle()
    expect(sink.events.length).toBe(2)
  })
})

describe('catching up', () => {
  test('REC-12 REC-13 a reader that takes its pages slowly misses nothing and gets nothing twice', async () => {
    const fixture = await openHub({}, { pageEntries: 3 })
    const ids: string[] = []
    for (let n = 0; n < 10; n++) ids.push(await fixture.publish({ topics: ['a'] }))
    await fixture.settle()
    const { sink } = await fixture.subscribe([['exact', 'a']], { lastEventId: 'earliest' })
    sink.stall()
    await fixture.settle()
    for (let n = 0; n < 5; n++) ids.push(await fixture.publish({ topics: ['a'] }))
    await fixture.settle()
    expect(sink.ids.length).toBeLessThan(15)
    sink.resume()
    await fixture.settle()
    ids.push(await fixture.publish({ topics: ['a'] }))
    await fixture.settle()
    expect(sink.ids).toEqual(ids)
  })

  test('a past that is dropped under a slow reader ends its stream instead of leaving a gap', async () => {
    const fixture = await openHub({ maxCount: 5 }, { pageEntries: 2 })
    for (let n = 0; n < 5; n++) await fixture.publish({ topics: ['a'] })
    await fixture.settle()
    const { sink } = await fixture.subscribe([['exact', 'a']], { lastEventId: 'urn:test:1' })
    sink.stall()
    for (let n = 0; n < 20; n++) await fixture.publish({ topics: ['a'] })
    sink.resume()
    await fixture.settle()
    expect(sink.closedWith).toEqual({ kind: 'lost' })
  })

  test('a reader without a cursor goes live even when nothing is kept', async () => {
    const fixture = await openHub({ maxCount: 0 })
    const cursor = await fixture.hub.locate(null)
    await fixture.publish({ topics: ['a'] })
    const sink = new ArraySink()
    fixture.hub.subscribe([], identity([]), cursor, sink)
    await fixture.settle()
    expect(sink.closedWith).toBeNull()
    expect(fixture.hub.gauges).toMatchObject({ subscribers: 1, replaying: 0 })
  })
})

describe('the end of a stream', () => {
  test('every end takes the reader out of the routing, once', async () => {
    const fixture = await openHub()
    const { subscriber, sink } = await fixture.subscribe([
      ['exact', 'a'],
      ['urlpattern', '/x/*'],
    ])
    expect(fixture.hub.gauges).toMatchObject({ subscribers: 1, topics: 1, patterns: 1 })
    fixture.hub.end(subscriber, { kind: 'client' })
    fixture.hub.end(subscriber, { kind: 'slow', queuedBytes: 1 })
    expect(sink.closedWith).toEqual({ kind: 'client' })
    expect(fixture.hub.gauges).toMatchObject({ subscribers: 0, topics: 0, patterns: 0 })
    expect(fixture.events.filter(({ kind }) => kind === 'unsubscribed')).toHaveLength(1)
  })

  test('a reader that is cut during a turn gets nothing more of it', async () => {
    const fixture = await openHub()
    const { subscriber, sink } = await fixture.subscribe([['exact', 'a']])
    await fixture.publish({ topics: ['a'] })
    fixture.hub.end(subscriber, { kind: 'client' })
    await fixture.settle()
    expect(sink.events).toEqual([])
  })

  test('a hub that is closing refuses publications and subscribers and ends its streams', async () => {
    const fixture = await openHub()
    const { sink } = await fixture.subscribe([['exact', 'a']])
    fixture.hub.stop()
    await expect(fixture.publish({ topics: ['a'] })).rejects.toMatchObject({ code: 'shutting-down' })
    await expect(fixture.hub.locate(null)).rejects.toMatchObject({ code: 'shutting-down' })
    await expect(fixture.hub.check()).rejects.toMatchObject({ code: 'shutting-down' })
    await fixture.hub.close()
    expect(sink.closedWith).toEqual({ kind: 'shutdown' })
  })
})
