import { describe, expect, test } from 'bun:test'
import { Routing } from '../../src/hub/routing.ts'
import { anonymous, grantsWeight, type Identity } from '../../src/protocol/grant.ts'
import { type Matcher, parseMatcher } from '../../src/protocol/matcher.ts'
import { parseTopicUrl } from '../../src/protocol/url-pattern/pattern.ts'
import { MemoryTransport } from '../../src/transport/memory/transport.ts'
import { ArraySink, HubFixture, identity, location } from '../support/hub.ts'

/** Matchers that take long, and topics that come for the first time: no turn may be held by them. */

const unbounded = { maxCount: null, maxAgeMs: null, maxBytes: null }
/** Milliseconds that others may have to wait for a turn of the loop. */
const turnMsMax = 20
const topic = (name: string | number) => `https://example.com/${name}/${'x'.repeat(76)}`

async function arrange() {
  const fixture = new HubFixture(new MemoryTransport({ retention: unbounded, clock: () => 0 }), {
    remembered: 100_000,
  })
  await fixture.hub.open()
  /** A pattern that matches everything that ends with `end`, and takes as long as its weight may take. */
  const slow = (name: string, weight: number, end: string): Matcher => ({
    type: 'urlpattern',
    pattern: name,
    kind: 'pattern',
    weight,
    test: (text) => {
      fixture.now += (weight * text.length * 3) / 1e6
      return text.endsWith(end)
    },
  })
  const subscribe = async (
    matchers: readonly Matcher[],
    who: Identity = anonymous,
    from: string | null = null,
  ) => {
    const sink = new ArraySink()
    const cursor = await fixture.hub.locate(from)
    return { sink, subscriber: fixture.hub.subscribe(matchers, who, cursor, sink) }
  }
  /** Runs turns until the condition holds. Answers how long each of them was. */
  const turnsUntil = async (condition: () => boolean): Promise<readonly number[]> => {
    const turns: number[] = []
    while (!condition()) {
      const before = fixture.now
      fixture.turn()
      await new Promise((resolve) => setImmediate(resolve))
      turns.push(fixture.now - before)
    }
    return turns
  }
  return { fixture, slow, subscribe, turnsUntil }
}

const grantOf = (topics: readonly Matcher[]): Identity => {
  const grants = [{ publish: false, subscribe: true, topics, payload: null }]
  return { ...anonymous, grants, weight: grantsWeight(grants) }
}

describe('SEC-14 MAT-32 in turns of a few milliseconds', () => {
  test('a topic that comes for the first time finds its readers among very many patterns', async () => {
    const { fixture, slow, subscribe, turnsUntil } = await arrange()
    const wanted = await subscribe([slow('wanted', 5, 'x')])
    for (let n = 0; n < 100; n++) await subscribe([slow(`other ${n}`, 5000, 'y')])
    const late = await subscribe([slow('late', 5000, 'x')])
    const id = await fixture.publish({ topics: [topic(1)] })
    const before = fixture.now
    const turns = await turnsUntil(() => wanted.sink.ids.length > 0)
    expect(fixture.now - before).toBeGreaterThan(5 * turnMsMax)
    expect(Math.max(...turns)).toBeLessThan(turnMsMax)
    expect([wanted.sink.ids, late.sink.ids]).toEqual([[id], [id]])
  })

  test('updates that come together are searched for one by one, and keep their order', async () => {
    const { fixture, slow, subscribe, turnsUntil } = await arrange()
    const wanted = await subscribe([slow('wanted', 5, 'x'), parseMatcher('exact', 'short', location)])
    for (let n = 0; n < 60; n++) await subscribe([slow(`other ${n}`, 5000, 'y')])
    const ids = await Promise.all(
      ['short', topic(1), topic(2), 'short', topic(1), topic(3)].map((one) =>
        fixture.publish({ topics: [one] }),
      ),
    )
    const turns = await turnsUntil(() => wanted.sink.ids.length === ids.length)
    expect(Math.max(...turns)).toBeLessThan(turnMsMax)
    expect(wanted.sink.ids).toEqual(ids)
  })

  test('an update of a thousand topics is searched for like a thousand', async () => {
    const { fixture, slow, subscribe, turnsUntil } = await arrange()
    const wanted = await subscribe([slow('wanted', 2000, topic(999))])
    await fixture.publish({ topics: Array.from({ length: 1000 }, (_, n) => topic(n)) })
    const turns = await turnsUntil(() => wanted.sink.ids.length > 0)
    expect(Math.max(...turns)).toBeLessThan(turnMsMax)
  })

  test('who joins or leaves while it is searched gets nothing of it, and what comes next', async () => {
    const { fixture, slow, subscribe, turnsUntil } = await arrange()
    const patterns = Array.from({ length: 100 }, (_, n) => slow(`p${n}`, 5000, 'x'))
    const readers = await Promise.all(patterns.map((matcher) => subscribe([matcher])))
    await fixture.publish({ topics: [topic(1)] })
    fixture.turn()
    for (const { subscriber } of readers.slice(0, 50)) fixture.hub.end(subscriber, { kind: 'client' })
    const joined = await subscribe([slow('joined', 5000, 'x')])
    const again = await subscribe(patterns.slice(0, 1))
    const last = readers.at(-1)
    await turnsUntil(() => (last?.sink.ids.length ?? 0) > 0)
    await fixture.settle()
    expect(readers.map(({ sink }) => sink.ids.length)).toEqual(readers.map((_, n) => (n < 50 ? 0 : 1)))
    const id = await fixture.publish({ topics: [topic(1)] })
    await fixture.settle()
    expect([joined.sink.ids, again.sink.ids]).toEqual([[id], [id]])
    expect(readers.map(({ sink }) => sink.ids.length)).toEqual(readers.map((_, n) => (n < 50 ? 0 : 2)))
  })

  test('SUB-61 MAT-34 the grants of many tokens are asked', async () => {
    const { fixture, slow, subscribe, turnsUntil } = await arrange()
    const all = [parseMatcher('exact', '*', location)]
    const readers: Awaited<ReturnType<typeof subscribe>>[] = []
    for (let n = 0; n < 100; n++) {
      const grant = [slow(`no ${n}`, 4000, 'y'), slow(`yes ${n}`, 1000, n % 2 === 0 ? 'x' : 'y')]
      readers.push(await subscribe(all, grantOf(grant)))
    }
    for (const count of [1, 2]) {
      const topics = Array.from({ length: count * count }, (_, n) => topic(n))
      const ids = await Promise.all(
        Array.from({ length: count }, () => fixture.publish({ topics, private: true })),
      )
      const before = readers.map(({ sink }) => sink.ids.length)
      const turns = await turnsUntil(() => readers.at(-2)?.sink.ids.at(-1) === ids.at(-1))
      expect(Math.max(...turns)).toBeLessThan(turnMsMax)
      await fixture.settle()
      expect(readers.map(({ sink }, n) => sink.ids.length - (before[n] ?? 0))).toEqual(
        readers.map((_, n) => (n % 2 === 0 ? count : 0)),
      )
    }
  })

  test('REC-11 a reader with heavy matchers catches up', async () => {
    const { fixture, slow, subscribe, turnsUntil } = await arrange()
    const ids: string[] = []
    for (let n = 0; n < 200; n++) {
      ids.push(await fixture.publish({ topics: [topic(n)], private: n % 2 === 0 }))
    }
    ids.push(await fixture.publish({ topics: Array.from({ length: 30 }, (_, n) => topic(n)) }))
    await fixture.settle()
    const matchers = Array.from({ length: 10 }, (_, n) => slow(`p${n}`, 500, n === 9 ? 'x' : 'y'))
    const heavy = await subscribe(matchers, grantOf(matchers), 'earliest')
    const other = await subscribe([parseMatcher('exact', '*', location)], identity(['*']), 'earliest')
    const turns = await turnsUntil(() => heavy.subscriber.state === 'live')
    expect(Math.max(...turns)).toBeLessThan(turnMsMax)
    expect([heavy.sink.ids, other.sink.ids]).toEqual([ids, ids])
  })

  test('a reader that leaves while it is asked what it wants gets nothing more', async () => {
    const { fixture, slow, subscribe, turnsUntil } = await arrange()
    for (let n = 0; n < 200; n++) await fixture.publish({ topics: [topic(n)] })
    await fixture.settle()
    const heavy = await subscribe([slow('p', 5000, 'x')], anonymous, 'earliest')
    await turnsUntil(() => fixture.now > 30)
    fixture.hub.end(heavy.subscriber, { kind: 'client' })
    await fixture.settle()
    expect(heavy.sink.ids).toEqual([])
    expect(heavy.subscriber.isEnded).toBe(true)
  })
})

describe('routing in steps', () => {
  interface Reader {
    readonly name: number
    readonly matchers: readonly Matcher[]
  }

  const parseUrl = (text: string) => parseTopicUrl(text, location)
  const matcher = (name: number, onTest: () => void): Matcher => ({
    type: 'urlpattern',
    pattern: `p${name}`,
    kind: 'pattern',
    weight: 3000,
    test: () => {
      onTest()
      return name % 2 === 0
    },
  })

  test('MAT-36 what comes and goes between two steps changes nothing for the others', () => {
    const routing = new Routing<Reader>(100)
    const asked: number[] = []
    const readers = Array.from({ length: 40 }, (_, name) => ({
      name,
      matchers: [matcher(name, () => asked.push(name))],
    }))
    for (const reader of readers.slice(0, 30)) routing.add(reader)
    const work = routing.findInSteps(['/x'], parseUrl)
    for (let step = 0; step < 10; step++) expect(work.next().done).toBe(false)
    for (const reader of readers.slice(0, 25)) routing.remove(reader)
    for (const reader of readers.slice(30)) routing.add(reader)
    let result = work.next()
    while (result.done !== true) result = work.next()
    const found = result.value.flatMap((group) => [...group]).map(({ name }) => name)
    expect(found).toEqual([26, 28, 30, 32, 34, 36, 38])
    expect(new Set(asked).size).toBe(asked.length)
    expect(
      routing
        .find(['/x'], parseUrl)
        .flatMap((group) => [...group])
        .map(({ name }) => name),
    ).toEqual(found)
    expect(new Set(asked).size).toBe(asked.length)
  })

  test('SEC-16 a remembered topic holds nothing of patterns that nobody asks for any more', async () => {
    const routing = new Routing<Reader>(100_000)
    const gone: WeakRef<Matcher>[] = []
    const kept = { name: 0, matchers: [matcher(0, () => {})] }
    routing.add(kept)
    for (let name = 2; name < 200; name += 2) {
      const reader = { name, matchers: [matcher(name, () => {})] }
      routing.add(reader)
      routing.find([`/${name}`], parseUrl)
      routing.remove(reader)
      for (const each of reader.matchers) gone.push(new WeakRef(each))
    }
    await new Promise((resolve) => setImmediate(resolve))
    Bun.gc(true)
    expect(gone.filter((one) => one.deref() !== undefined).length).toBeLessThan(10)
  })

  test('SEC-16 long topics are remembered for what they hold', () => {
    const routing = new Routing<Reader>(1000)
    routing.add({ name: 1, matchers: [matcher(1, () => {})] })
    for (let n = 0; n < 100; n++) routing.find([`/${n}${'x'.repeat(4000)}`], parseUrl)
    expect(routing.size.remembered).toBeLessThanOrEqual(1000)
    expect(routing.size.remembered).toBeGreaterThan(900)
  })
})
