import { describe, expect, test } from 'bun:test'
import type { HubLimits } from '../../src/hub/event.ts'
import { LocalPresence } from '../../src/hub/presence.ts'
import type { Identity } from '../../src/protocol/grant.ts'
import { parseMatcher } from '../../src/protocol/matcher.ts'
import { MemoryTransport } from '../../src/transport/memory/transport.ts'
import { type ArraySink, HubFixture, identity, location } from '../support/hub.ts'

const unbounded = { maxCount: null, maxAgeMs: null, maxBytes: null }

/** A hub with presence, and somebody who watches all its subscription events. */
async function openHub(limits: Partial<HubLimits> = {}) {
  const fixture = new HubFixture(
    new MemoryTransport({ retention: unbounded, clock: () => 0 }),
    limits,
    new LocalPresence(),
  )
  await fixture.hub.open()
  const everything: Identity = {
    ...identity([]),
    grants: [
      { publish: false, subscribe: true, topics: [parseMatcher('exact', '*', location)], payload: null },
    ],
  }
  const watcher = await fixture.subscribe([['urlpattern', '/.well-known/mercure/subscriptions/:t/:m/:s']], {
    identity: everything,
  })
  await fixture.settle()
  const find = async () =>
    (await Array.fromAsync(fixture.hub.presence.find({ kind: 'all' }))).flat().map(({ match }) => match)
  return { fixture, watcher, find, everything }
}

/** What the watcher was told about others, as `match active`, in order. */
function told(sink: ArraySink): string[] {
  return sink.events
    .map(({ data }) => JSON.parse(data))
    .filter(({ match }) => !match.startsWith('/.well-known'))
    .map(({ match, active }) => `${match} ${active}`)
}

const holder = (name: string): Identity => ({ ...identity([]), holder: name })

describe('active subscriptions', () => {
  test('ACT-02 ACT-07 every matcher of a connection is announced, and ended with it', async () => {
    const { fixture, watcher, find } = await openHub()
    const { subscriber } = await fixture.subscribe([
      ['exact', 'a'],
      ['exact', 'b'],
    ])
    await fixture.settle()
    expect(told(watcher.sink)).toEqual(['a true', 'b true'])
    expect(await find()).toContain('a')
    fixture.hub.end(subscriber, { kind: 'client' })
    await fixture.settle()
    expect(told(watcher.sink)).toEqual(['a true', 'b true', 'a false', 'b false'])
    expect(await find()).not.toContain('a')
    const ids = watcher.sink.events.map(({ data }) => JSON.parse(data).subscriber)
    expect(new Set(ids.slice(1)).size).toBe(1)
  })

  test('ACT-10 the subscriber receives its own event when it asked for it and may', async () => {
    const { watcher } = await openHub()
    expect(watcher.sink.events.map(({ type }) => type)).toEqual(['mercure'])
  })

  test('C2 a known holder who reconnects is never seen gone', async () => {
    const { fixture, watcher, find } = await openHub()
    const first = await fixture.subscribe([['exact', 'a']], { identity: holder('x') })
    await fixture.settle()
    fixture.hub.end(first.subscriber, { kind: 'lifetime' })
    await fixture.settle()
    expect(told(watcher.sink)).toEqual(['a true'])
    expect(await find()).toContain('a')
    await fixture.subscribe([['exact', 'a']], { identity: holder('x') })
    await fixture.settle()
    expect(told(watcher.sink)).toEqual(['a true', 'a true', 'a false'])
  })

  test('ACT-11 a known holder who stays away is ended after the grace', async () => {
    const { fixture, watcher, find } = await openHub()
    const { subscriber } = await fixture.subscribe([['exact', 'a']], { identity: holder('x') })
    await fixture.settle()
    fixture.hub.end(subscriber, { kind: 'client' })
    await fixture.pass(1999)
    expect(told(watcher.sink)).toEqual(['a true'])
    await fixture.pass(1)
    expect(told(watcher.sink)).toEqual(['a true', 'a false'])
    expect(await find()).not.toContain('a')
  })

  test('another holder, or other matchers, do not stand for who left', async () => {
    const { fixture, watcher } = await openHub()
    const { subscriber } = await fixture.subscribe([['exact', 'a']], { identity: holder('x') })
    fixture.hub.end(subscriber, { kind: 'client' })
    await fixture.subscribe([['exact', 'a']], { identity: holder('y') })
    await fixture.subscribe([['exact', 'b']], { identity: holder('x') })
    await fixture.settle()
    expect(told(watcher.sink)).toEqual(['a true', 'a true', 'b true'])
  })

  test('ACT-11 a token that expires ends its subscriptions at once', async () => {
    const { fixture, watcher } = await openHub()
    const { subscriber } = await fixture.subscribe([['exact', 'a']], { identity: holder('x') })
    await fixture.settle()
    fixture.hub.end(subscriber, { kind: 'expired' })
    await fixture.settle()
    expect(told(watcher.sink)).toEqual(['a true', 'a false'])
  })

  test('ACT-11 a shutdown ends what is active and what is held back before the log is closed', async () => {
    const { fixture, find } = await openHub()
    const { subscriber } = await fixture.subscribe([['exact', 'a']], { identity: holder('x') })
    await fixture.subscribe([['exact', 'b']])
    await fixture.settle()
    fixture.hub.end(subscriber, { kind: 'client' })
    await fixture.hub.close()
    expect(await find()).toEqual([])
    expect(fixture.events.filter(({ kind }) => kind === 'announcement-failed')).toEqual([])
  })

  test('events wait like publications while readers are behind, and none is lost', async () => {
    const { fixture, watcher } = await openHub({ pendingBytes: 2000 })
    const { sink } = await fixture.subscribe([['exact', 'full']])
    await fixture.publish({ topics: ['full'], data: 'x'.repeat(3000) })
    const topics = Array.from({ length: 20 }, (_, at) => `t${at}`)
    await fixture.subscribe(topics.map((topic) => ['exact', topic] as const))
    await new Promise((resolve) => setImmediate(resolve))
    expect(fixture.hub.gauges.pendingEntries).toBeLessThan(10)
    expect(fixture.hub.gauges.announcingBytes).toBeGreaterThan(0)
    await fixture.settle()
    expect(told(watcher.sink)).toEqual(['full true', ...topics.map((topic) => `${topic} true`)])
    expect(sink.events).toHaveLength(1)
    expect(fixture.hub.gauges.announcingBytes).toBe(0)
  })

  test('no subscriber is let in while too much is still to be told, and the next one is when it was', async () => {
    const { fixture, watcher } = await openHub({ pendingBytes: 20_000 })
    await fixture.publish({ topics: ['a'], data: 'x'.repeat(21_000) })
    // Too short a turn to dispatch anything: the events of those who come and go wait.
    for (let n = 0; fixture.hub.gauges.announcingBytes <= 20_000; n++) {
      const { subscriber } = await fixture.subscribe([['exact', `t${n}`]])
      fixture.hub.end(subscriber, { kind: 'client' })
      expect(n).toBeLessThan(100)
    }
    await expect(fixture.subscribe([['exact', 'late']])).rejects.toMatchObject({ code: 'overloaded' })
    await fixture.settle()
    expect(fixture.hub.gauges.announcingBytes).toBe(0)
    await fixture.subscribe([['exact', 'late']])
    await fixture.settle()
    expect(told(watcher.sink).at(-1)).toBe('late true')
  })

  test('an end that is held back counts, and above the limit it is not held back', async () => {
    const { fixture, watcher } = await openHub({ pendingBytes: 1200 })
    const first = await fixture.subscribe([['exact', 'a']], { identity: holder('x') })
    const second = await fixture.subscribe([['exact', 'b']], { identity: holder('y') })
    await fixture.settle()
    const third = await fixture.subscribe([['exact', 'c']], { identity: holder('z') })
    await fixture.settle()
    for (const { subscriber } of [first, second]) fixture.hub.end(subscriber, { kind: 'client' })
    expect(fixture.hub.gauges.announcingBytes).toBeGreaterThan(1200)
    fixture.hub.end(third.subscriber, { kind: 'client' })
    await fixture.settle()
    expect(told(watcher.sink)).toEqual(['a true', 'b true', 'c true', 'c false'])
    await fixture.pass(2000)
    expect(told(watcher.sink).slice(4).toSorted()).toEqual(['a false', 'b false'])
    expect(fixture.hub.gauges.announcingBytes).toBe(0)
  })
})
