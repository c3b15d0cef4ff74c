import { describe, expect, test } from 'bun:test'
import { type Sample, sampleNames } from '../../../src/admin/console/answers.ts'
import { Feeds } from '../../../src/admin/console/feeds.ts'
import { HotTopics } from '../../../src/admin/console/hot-topics.ts'
import { Reservoir } from '../../../src/admin/console/reservoir.ts'
import { Meter, quantile, Series } from '../../../src/admin/console/series.ts'
import type { ConsoleSources } from '../../../src/admin/console/sources.ts'
import type { StreamOwner } from '../../../src/stream/event-stream.ts'
import { Counters } from '../../../src/telemetry/counters.ts'
import { NoticeBoard } from '../../../src/telemetry/notice-board.ts'
import { HubFixture, location } from '../../support/hub.ts'
import { SharedLog, SharedLogNode } from '../../support/shared-log.ts'

describe('a fair sample', () => {
  test('takes each item with the same chance, and counts all', () => {
    let state = 1
    const random = () => {
      state = (state * 48_271) % 2_147_483_647
      return state / 2_147_483_647
    }
    const chosen = Array.from({ length: 100 }, () => 0)
    const reservoir = new Reservoir<number>(10, random)
    for (let round = 0; round < 2000; round++) {
      for (let item = 0; item < 100; item++) {
        const place = reservoir.next()
        if (place !== null) reservoir.put(place, item)
      }
      const { seen, items } = reservoir.take()
      expect([seen, items.length]).toEqual([100, 10])
      for (const item of items) chosen[item] = (chosen[item] ?? 0) + 1
    }
    // 200 each on average, with a deviation of 13.
    for (const count of chosen) expect(count).toBeWithin(130, 271)
  })

  test('holds everything where that is little', () => {
    const reservoir = new Reservoir<string>(3, () => 0.5)
    for (const item of ['a', 'b']) reservoir.put(reservoir.next() ?? -1, item)
    expect(reservoir.take()).toEqual({ seen: 2, items: ['a', 'b'] })
    expect(reservoir.take()).toEqual({ seen: 0, items: [] })
  })
})

describe('the hottest topics', () => {
  test('are found among many that come once, in bounded memory', () => {
    const topics = new HotTopics(100)
    for (let at = 0; at < 20_000; at++) {
      topics.add(`rare/${at}`, 10)
      if (at % 10 === 0) topics.add('hot', 100)
      if (at % 20 === 0) topics.add('warm', 50)
    }
    const [first, second] = topics.hottest(2)
    expect([first?.topic, second?.topic]).toEqual(['hot', 'warm'])
    expect(first?.count).toBeWithin(2000, 2400)
    expect((first?.bytes ?? 0) / (first?.updates ?? 1)).toBe(100)
    expect([topics.size.counted, topics.updates]).toEqual([100, 23_000])
  })
})

describe('quantiles', () => {
  test('lie within the bucket, as the durations of the interval are spread', () => {
    const { publishTimes } = new Counters()
    const before = publishTimes.cumulative
    expect(quantile(before, before, 0.5)).toBe(0)
    for (let at = 0; at < 100; at++) publishTimes.observe(at < 90 ? 0.0007 : 0.02)
    const after = publishTimes.cumulative
    expect(quantile(before, after, 0.5)).toBeWithin(0.5, 1.01)
    expect(quantile(before, after, 0.99)).toBeWithin(10, 25.01)
    publishTimes.observe(60)
    expect(quantile(after, publishTimes.cumulative, 0.5)).toBe(10_000)
  })
})

describe('the series', () => {
  test('keeps the last hour, oldest first', () => {
    const series = new Series()
    const sample = (value: number) => Object.fromEntries(sampleNames.map((name) => [name, value])) as Sample
    for (let at = 0; at < 400; at++) series.add(sample(at), at * 10_000)
    const { until, series: held } = series.view()
    expect(until).toBe(3_990_000)
    expect([held['rows']?.length, held['rows']?.[0], held['refused']?.at(-1)]).toEqual([360, 40, 399])
  })

  test('has rates of the time since the sample before', async () => {
    const counters = new Counters()
    const meter = new Meter(counters, 0)
    counters.updates = 50
    counters.answered('publish', 200)
    counters.answered('publish', 401)
    const { hub } = new HubFixture(new SharedLogNode(new SharedLog(10)))
    const snapshot = {
      hub: hub.gauges,
      history: null,
      waitingBytes: 1,
      residentBytes: 2,
      loopLagSeconds: 0.5,
    }
    expect(meter.take(snapshot, 10_000)).toMatchObject({ published: 5, refused: 0.1, lag: 500, resident: 2 })
    expect(meter.take(snapshot, 20_000)).toMatchObject({ published: 0, refused: 0 })
  })
})

describe('what runs', () => {
  test('the hub has no tap and no timer runs while nobody looks', () => {
    let tap: unknown = null
    const timers = new Set<() => void>()
    let now = 0
    const hub = {
      set tap(value: unknown) {
        tap = value
      },
    }
    const sources = {
      hub,
      location,
      counters: new Counters(),
      random: Math.random,
      wall: () => 0,
      settings: () => ({ token: 'x', payloads: 'public', actions: true, publicUrls: [] }),
      loop: {
        now: () => now,
        delay: (_: number, run: () => void) => {
          timers.add(run)
          return () => void timers.delete(run)
        },
      },
      openStream: (_: Headers, owner: StreamOwner) => {
        owners.push(owner)
        return {}
      },
    } as unknown as ConsoleSources
    const owners: StreamOwner[] = []
    const feeds = new Feeds(sources)
    expect([tap, timers.size]).toEqual([null, 0])
    feeds.open(new URLSearchParams(''))
    expect([tap, timers.size]).toEqual([null, 1])
    feeds.open(new URLSearchParams('updates'))
    expect([typeof tap, timers.size]).toEqual(['function', 1])
    for (const owner of owners) owner.onClosed({ kind: 'client' })
    expect([tap, timers.size, feeds.size]).toEqual([null, 0, 0])
    feeds.hotTopics()
    expect([typeof tap, timers.size]).toEqual(['function', 1])
    now = 10_001
    const [tick] = timers
    timers.clear()
    tick?.()
    expect([tap, timers.size]).toEqual([null, 0])
  })
})

describe('the notices', () => {
  test('are the last hundred, newest first', () => {
    const board = new NoticeBoard(() => 7)
    for (let at = 0; at < 150; at++) board.add('info', `${at}`)
    expect([board.notices.length, board.notices[0]?.text, board.notices.at(-1)?.text]).toEqual([
      100,
      '149',
      '50',
    ])
  })
})
