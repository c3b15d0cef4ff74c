import { describe, expect, test } from 'bun:test'
import { LocalPresence } from '../../src/hub/presence.ts'
import type { Identity } from '../../src/protocol/grant.ts'
import { parseMatcher } from '../../src/protocol/matcher.ts'
import { MemoryTransport } from '../../src/transport/memory/transport.ts'
import { type ArraySink, HubFixture, identity, location } from '../support/hub.ts'

const unbounded = { maxCount: null, maxAgeMs: null, maxBytes: null }

/** A hub with presence, and somebody who watches all its subscription events. */
async function openHub() {
  const fixture = new HubFixture(
    new MemoryTransport({ retention: unbounded, clock: () => 0 }),
    {},
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
  const find = async () => (await fixture.hub.presence.find({ kind: 'all' })).map(({ match }) => match)
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
})
