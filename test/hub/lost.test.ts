import { describe, expect, test } from 'bun:test'
import { LocalPresence } from '../../src/hub/presence.ts'
import { ArraySink, HubFixture, identity } from '../support/hub.ts'
import { SharedLog, SharedLogNode } from '../support/shared-log.ts'

/** A hub on one node of a log that another node writes to as well. */
async function openHub(kept = Number.POSITIVE_INFINITY, isPresent = false) {
  const log = new SharedLog(kept)
  const [node, other] = [new SharedLogNode(log), new SharedLogNode(log)]
  const fixture = new HubFixture(node, { pageEntries: 3 }, isPresent ? new LocalPresence() : null)
  await fixture.hub.open()
  const elsewhere = new HubFixture(other)
  await elsewhere.hub.open()
  let written = 0
  /** Updates `e1`, `e2`, … that the other node stores. */
  const write = (count: number) => {
    for (let n = 0; n < count; n++)
      void elsewhere.publish({ id: `e${++written}`, topics: ['a'] }).catch(() => {})
  }
  const read = (lastEventId: string | null = null) => fixture.subscribe([['exact', 'a']], { lastEventId })
  return { log, node, fixture, write, read }
}

/** To end one of them takes a tenth of a millisecond. */
function slowDown(fixture: HubFixture, readers: readonly { readonly sink: ArraySink }[]): void {
  for (const { sink } of readers) {
    const close = sink.close.bind(sink)
    sink.close = (reason) => {
      fixture.now += 0.1
      close(reason)
    }
  }
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => `e${from + at}`)

describe('REC-07 a tail that loses its place', () => {
  test('a reader that comes back after a skip gets what was skipped', async () => {
    const { node, fixture, write, read } = await openHub()
    write(10)
    node.advance(10)
    write(10)
    node.skip(10)
    const { sink, cursor } = await read('e12')
    expect(cursor.lastEventId).toBe('e12')
    write(1)
    node.advance(1)
    await fixture.settle()
    expect(sink.ids).toEqual(range(13, 21))
  })

  test('every stream ends, and gets nothing of what comes after the loss', async () => {
    const { node, fixture, write, read } = await openHub()
    write(3)
    node.advance(3)
    const live = await read()
    const behind = await read('e1')
    write(2)
    node.advance(1)
    node.skip(1)
    write(1)
    node.advance(1)
    await fixture.settle()
    expect([live.sink.closedWith, behind.sink.closedWith]).toEqual([{ kind: 'lost' }, { kind: 'lost' }])
    expect([...live.sink.ids, ...behind.sink.ids]).not.toContain('e6')
    expect(fixture.hub.gauges).toMatchObject({ subscribers: 0, replaying: 0, pendingEntries: 0, topics: 0 })
    expect(fixture.events.filter(({ kind }) => kind === 'unsubscribed')).toHaveLength(2)
  })

  test('entries that were not dispatched yet are dropped, and those who wait for them go on', async () => {
    const { node, fixture, write } = await openHub()
    write(2)
    node.advance(2)
    const settled = fixture.hub.settled()
    node.skip(0)
    await settled
    expect(fixture.hub.gauges).toMatchObject({ pendingEntries: 0, pendingBytes: 0 })
  })

  test('a log that was replaced begins anew: new readers get what is stored in it', async () => {
    const { log, node, fixture, write, read } = await openHub()
    write(5)
    node.advance(5)
    const before = await read()
    log.replace()
    node.advance(0)
    const { sink, cursor } = await read()
    expect(before.sink.closedWith).toEqual({ kind: 'lost' })
    expect(cursor.after as number).toBe(0)
    write(2)
    node.advance(2)
    await fixture.settle()
    expect(sink.ids).toEqual(['e6', 'e7'])
    expect((await read('e3')).cursor.lastEventId).toBe('earliest')
  })

  test('a cursor that was found in the log before is not used in the one after', async () => {
    const { log, node, fixture, write } = await openHub()
    write(5)
    node.advance(5)
    const cursor = await fixture.hub.locate('e4')
    log.replace()
    node.advance(0)
    const sink = new ArraySink()
    fixture.hub.subscribe([], identity([]), cursor, sink)
    expect(sink.closedWith).toEqual({ kind: 'lost' })
  })

  test('a cursor that is looked for while the place is lost is looked for again', async () => {
    const { log, node, fixture, write } = await openHub()
    write(5)
    node.advance(5)
    const locating = fixture.hub.locate('e4')
    log.replace()
    node.advance(0)
    expect(await locating).toMatchObject({ lastEventId: 'earliest' })
  })

  test('a page that was read before the loss is not what is read after it', async () => {
    const { log, node, fixture, write, read } = await openHub()
    write(6)
    node.advance(6)
    const before = await read('earliest')
    log.replace()
    write(6)
    node.advance(0)
    const after = await read('earliest')
    await fixture.settle()
    expect(before.sink.closedWith).toEqual({ kind: 'lost' })
    expect(after.sink.ids).toEqual(range(7, 12))
  })

  test('thousands of streams end in slices, and none of them gets anything meanwhile', async () => {
    const { node, fixture, write, read } = await openHub()
    write(1)
    node.advance(1)
    const readers = await Promise.all(Array.from({ length: 300 }, () => read()))
    slowDown(fixture, readers)
    node.skip(0)
    const ended = readers.filter(({ sink }) => sink.closedWith !== null).length
    expect(ended).toBeLessThan(300)
    write(1)
    node.advance(1)
    await fixture.settle()
    expect(readers.every(({ sink }) => sink.closedWith?.kind === 'lost' && sink.ids.length === 0)).toBe(true)
  })

  test('ACT-11 the subscriptions of those who were ended are over', async () => {
    const { node, fixture, read } = await openHub(Number.POSITIVE_INFINITY, true)
    await read()
    await fixture.settle()
    expect((await Array.fromAsync(fixture.hub.presence.find({ kind: 'all' }))).flat()).toHaveLength(1)
    node.advance(node.lag)
    node.skip(0)
    node.advance(node.lag)
    await fixture.settle()
    expect((await Array.fromAsync(fixture.hub.presence.find({ kind: 'all' }))).flat()).toHaveLength(0)
  })

  test('a hub that closes meanwhile ends those whose turn had not come', async () => {
    const { node, fixture, read } = await openHub()
    const readers = await Promise.all(Array.from({ length: 300 }, () => read()))
    slowDown(fixture, readers)
    node.skip(0)
    await fixture.hub.close()
    expect(readers.every(({ sink }) => sink.closedWith?.kind === 'lost')).toBe(true)
  })
})
