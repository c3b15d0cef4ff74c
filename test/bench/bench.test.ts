import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { EventCounter, Tally } from '../../src/bench/client/events.ts'
import { Latency } from '../../src/bench/client/latency.ts'
import { LocalProcess } from '../../src/bench/client/process.ts'
import { stamped, stampedMs } from '../../src/bench/client/stamp.ts'
import { mercureTarget } from '../../src/bench/client/target.ts'
import { barPlot, linePlot } from '../../src/bench/plot.ts'
import { runBench } from '../../src/cli/bench/command.ts'
import { commandIo } from '../support/command-io.ts'

describe('arguments', () => {
  test('--help goes to the standard output and ends with 0', async () => {
    const { io, out } = commandIo()
    expect(await runBench(['--help'], io)).toBe(0)
    expect(out()).toStartWith('Usage: cinnabar bench fanout|publish|connections|replay|memory')
  })

  test.each([
    [[], 'an argument is missing'],
    [['fan-out'], 'it measures fanout, publish, connections, replay, memory'],
    [['fanout', '--subscribers', '0'], '--subscribers is not a number from 1'],
    [['fanout', '--subscribers', '10', '--topics', '3'], '--topics does not divide --subscribers'],
    [['fanout', '--duration', '3'], '--duration'],
    [['fanout', '--size', '5'], '--size is at least 12'],
    [['replay', '--updates', '10', '--last', '10'], '--last is not less than --updates'],
    [['publish', '--hub', 'ftp://hub.example'], '--hub is not an http or https URL'],
    [['publish', '--pid', '1'], '--pid cannot be looked at'],
    [['memory', '--hub', 'http://hub.example'], 'with --pid'],
    [['publish', '--subscribe-token', 'a b'], '--subscribe-token'],
  ])('%j ends with 2', async (argv, message) => {
    const { io, err } = commandIo()
    expect(await runBench(argv, io)).toBe(2)
    expect(err()).toContain(message)
  })
})

describe('a hub that nobody has written here', () => {
  let server: ReturnType<typeof fakeHub>
  beforeEach(() => {
    server = fakeHub()
  })
  afterEach(() => server.stop())

  const bench = async (argv: readonly string[]) => {
    const { io, out, err } = commandIo()
    const code = await runBench([...argv, '--hub', server.url, '--json'], io)
    return { code, err: err(), figures: code === 0 ? JSON.parse(out()) : null }
  }

  test('fanout counts every delivery and takes its time', async () => {
    const { code, figures } = await bench([
      ...['fanout', '--subscribers', '20', '--duration', '200ms', '--warmup', '0'],
    ])
    expect(code).toBe(0)
    expect(figures.deliveries).toBe(20 * figures.published)
    expect(figures).toMatchObject({
      kind: 'fanout',
      subscribers: 20,
      deliveries_missing: 0,
      streams_ended: 0,
    })
    expect(figures.delivery_p50_ms).toBeGreaterThan(0)
    expect(figures.delivery_p50_ms).toBeLessThanOrEqual(figures.delivery_p99_ms)
    expect(server.seen.queries).toContain('match')
  })

  test('fanout over topics delivers each update to the subscribers of its topic only', async () => {
    const { figures } = await bench([
      ...['fanout', '--subscribers', '20', '--topics', '10', '--duration', '100ms', '--warmup', '0'],
      ...['--publishers', '5'],
    ])
    expect(figures.deliveries).toBe(2 * figures.published)
  })

  test('fanout at a rate publishes no more than that', async () => {
    const { figures } = await bench([
      ...['fanout', '--subscribers', '2', '--rate', '100', '--duration', '300ms', '--warmup', '0'],
    ])
    expect(figures.published).toBeGreaterThan(0)
    expect(figures.published).toBeLessThanOrEqual(31)
  })

  test('M18 publishers that are more than the rate needs do the rate, and end with the time', async () => {
    const { figures } = await bench([
      ...['publish', '--publishers', '50', '--rate', '20', '--duration', '500ms', '--warmup', '200ms'],
    ])
    // Due at 0, 50, … 450 ms, less what a slow machine is late for.
    expect(figures.published).toBeLessThanOrEqual(10)
    expect(figures.published).toBeGreaterThanOrEqual(8)
    expect(figures.publishes_per_second).toBeWithin(12, 20.1)
  })

  test('--legacy asks for topics with the parameter of the 0.x generation', async () => {
    await bench(['connections', '--subscribers', '1', '--duration', '1ms', '--legacy'])
    expect(server.seen.queries).toEqual(['topic'])
  })

  test('the token goes with publications, and another one with subscriptions', async () => {
    const argv = ['fanout', '--subscribers', '1', '--duration', '50ms', '--warmup', '0', '--token', 'pub']
    await bench([...argv, '--subscribe-token', 'sub'])
    expect([...server.seen.tokens].sort()).toEqual(['GET Bearer sub', 'POST Bearer pub'])
    server.seen.tokens.clear()
    await bench([...argv, '--subscribe-token', ''])
    expect([...server.seen.tokens].sort()).toEqual(['GET null', 'POST Bearer pub'])
  })

  test('publish counts what was accepted', async () => {
    const { figures } = await bench([
      ...['publish', '--publishers', '3', '--duration', '100ms', '--warmup', '0'],
    ])
    expect(figures.published).toBe(server.seen.published)
    expect(figures.publishes_per_second).toBeGreaterThan(0)
  })

  test('connections come, and all of them leave', async () => {
    const { figures } = await bench(['connections', '--subscribers', '150', '--duration', '1ms'])
    expect(figures).toMatchObject({ connections: 150, connections_not_closed: 0 })
    expect(server.seen.open).toBe(0)
  })

  test('replay asks for what comes after the update before the last ones', async () => {
    const { figures } = await bench(['replay', '--updates', '300', '--last', '100', '--rounds', '2'])
    expect(figures).toMatchObject({ updates: 300, replayed: 100, rounds: 2 })
    expect(figures.first_event_ms).toBeLessThanOrEqual(figures.last_event_ms)
  })

  test('an interrupted run ends early with what it knows', async () => {
    const interruption = new AbortController()
    const { io, out } = commandIo({ interrupted: interruption.signal })
    const running = runBench(['publish', '--duration', '1h', '--hub', server.url, '--json'], io)
    await server.publishedAtLeast(10)
    interruption.abort()
    expect(await running).toBe(0)
    expect(JSON.parse(out()).kind).toBe('publish')
  })

  test('a refusal ends with 1 and says what it means', async () => {
    server.status = 401
    for (const kind of ['fanout', 'publish', 'connections', 'replay']) {
      const { code, err } = await bench([kind])
      expect(code).toBe(1)
      expect(err).toContain('the hub answers 401')
    }
  })

  test('no hub at all ends with 1', async () => {
    server.stop()
    for (const kind of ['fanout', 'publish']) {
      const { code, err } = await bench([kind])
      expect(code).toBe(1)
      expect(err).toContain('does not answer')
    }
  })

  test('--plot writes the course of the run', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'cinnabar-bench-'))
    const file = join(folder, 'run.svg')
    await bench(['connections', '--subscribers', '5', '--duration', '300ms', '--plot', file])
    const svg = await Bun.file(file).text()
    await rm(folder, { recursive: true })
    expect(svg).toStartWith('<svg')
    expect(svg).toContain('5 idle subscribers')
  })
})

describe('counting events', () => {
  test('it counts the same wherever the stream is cut and however long its events are', () => {
    const event = fc.record({
      id: fc.string({ unit: fc.constantFrom('a', 'd', 't', ':', '-'), minLength: 1, maxLength: 8 }),
      data: fc.string({ unit: fc.constantFrom('x', 'data:', ' '), minLength: 1, maxLength: 30 }),
      comment: fc.constantFrom('', ':\n', ':\n\n', 'retry: 1\n\n'),
    })
    fc.assert(
      fc.property(
        fc.array(event),
        fc.array(fc.nat(400), { maxLength: 20 }),
        fc.nat(40),
        (events, cuts, size) => {
          const lines = events.map(({ id, data, comment }) => `${comment}id: ${id}\ndata: ${data}\n\n`)
          const bytes = Buffer.from(lines.join(''))
          const counter = new EventCounter(size)
          const places = [...cuts.filter((cut) => cut < bytes.length), bytes.length].sort((a, b) => a - b)
          let [from, seen] = [0, 0]
          for (const to of places) {
            seen += counter.count(bytes, from, to, null)
            from = to
          }
          // A stride is believed where the data is as long as was said; shorter data has none here.
          const isAsLong = events.every(({ data }) => data.length >= size)
          if (isAsLong) expect(seen).toBe(events.length)
        },
      ),
    )
  })

  test('it tells where the value of each event begins', () => {
    const bytes = Buffer.from('id: 1\ndata: first\n\nid: 2\ndata: other\n\n')
    const starts: string[] = []
    new EventCounter(5).count(bytes, 0, bytes.length, (at) => starts.push(bytes.toString('utf8', at, at + 6)))
    expect(starts).toEqual([' first', ' other'])
  })

  test('a data line at the very start of the stream counts', () => {
    const bytes = Buffer.from('data: x\n\n')
    expect(new EventCounter(1).count(bytes, 0, bytes.length, null)).toBe(1)
  })
})

test('waiting for events ends when they are there, when none come, and when the run is interrupted', async () => {
  const tally = new Tally()
  const { signal } = new AbortController()
  const reached = tally.reach(2, 60_000, signal)
  tally.add(1, 1)
  tally.add(1, 2)
  await reached
  expect(tally).toMatchObject({ events: 2, firstAt: 1, lastAt: 2 })
  await tally.reach(3, 1, signal)
  await tally.reach(3, 60_000, AbortSignal.abort())
})

test('percentiles are within 3 % of the sorted values', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(10_000_000), { minLength: 1 }),
      fc.constantFrom(0.5, 0.95, 0.99, 1),
      (times, share) => {
        const latency = new Latency()
        for (const time of times) latency.record(time)
        const sorted = times.toSorted((left, right) => left - right)
        const exact = sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN
        expect(Math.abs(latency.percentile(share) * 1000 - exact)).toBeLessThanOrEqual(0.032 * exact)
        expect(latency.max * 1000).toBeCloseTo(sorted.at(-1) ?? Number.NaN)
      },
    ),
  )
})

test('a stamp is read back to the microsecond and fills the data', () => {
  const data = stamped(1234.567, 200)
  expect(data).toHaveLength(200)
  expect(stampedMs(Buffer.from(`data: ${data}`), 6)).toBe(1234.567)
})

test('processor time and memory are summed over the processes, whatever their names are', () => {
  const files: Record<string, string> = {
    '/proc/1/stat': '1 (a hub) x) S 0 1 1 0 -1 4 0 0 0 0 200 50 0 0 20 0 1 0 5',
    '/proc/2/stat': '2 (bun) S 0 1 1 0 -1 4 0 0 0 0 1 1 0 0 20 0 1 0 5',
    '/proc/1/status': 'Name:\ta\nVmRSS:\t    10 kB\n',
    '/proc/2/status': 'Name:\tb\nVmRSS:\t     5 kB\n',
  }
  const local = new LocalProcess(['1', '2'], (path) => files[path] ?? '')
  expect(local.cpuUs()).toBe(2_520_000)
  expect(local.residentBytes()).toBe(15 * 1024)
})

test('a topic is encoded in the query, beside what the hub URL has already', () => {
  const target = mercureTarget({
    url: new URL('http://hub.example/hub?a=b'),
    publishFields: {},
    subscribeFields: { Authorization: 'Bearer t' },
    isLegacy: false,
  })
  expect(target.subscription('https://example.com/?x&y', 'urn:uuid:1').split('\r\n')).toEqual([
    'GET /hub?a=b&match=https%3A%2F%2Fexample.com%2F%3Fx%26y HTTP/1.1',
    'Host: hub.example',
    'Accept: text/event-stream',
    'Authorization: Bearer t',
    'Last-Event-ID: urn:uuid:1',
    '',
    '',
  ])
})

describe('plots', () => {
  test('a title cannot break out of the picture', () => {
    const svg = linePlot({ title: '<script>&', xLabel: 'x', yLabel: 'y', series: [] })
    expect(svg).toContain('&lt;script>&amp;')
  })

  test('bars have a height in proportion, and a missing value has none', () => {
    const groups = [{ name: 'g', values: [10, 5, Number.NaN] }]
    const svg = barPlot({ title: 't', yLabel: 'y', bars: ['a', 'b', 'c'], groups })
    const heights = [...svg.matchAll(/height="([\d.]+)" fill="#(?!fff)/g)].map(([, height]) => Number(height))
    expect(heights).toHaveLength(2)
    expect(heights[0]).toBeCloseTo(2 * (heights[1] ?? 0), 1)
  })
})

/** As little of a hub as there can be: it keeps everything and tells everybody who asked. */
function fakeHub() {
  const seen = { queries: [] as string[], tokens: new Set<string>(), published: 0, open: 0 }
  const kept: { id: string; topic: string; data: string }[] = []
  const readers = new Set<{ topic: string; write(text: string): void }>()
  const waiting: { count: number; resolve: () => void }[] = []
  const event = ({ id, data }: { id: string; data: string }) => `id: ${id}\ndata: ${data}\n\n`

  async function publish(request: Request): Promise<Response> {
    const form = new URLSearchParams(await request.text())
    const update = {
      id: `urn:x:${kept.length}`,
      topic: form.get('topic') ?? '',
      data: form.get('data') ?? '',
    }
    kept.push(update)
    seen.published++
    for (const reader of readers) if (reader.topic === update.topic) reader.write(event(update))
    for (const { count, resolve } of waiting) if (seen.published >= count) resolve()
    return new Response(update.id)
  }

  function subscribe(request: Request): Response {
    const [[name, topic] = ['', '']] = new URL(request.url).searchParams
    seen.queries.push(name)
    const cursor = kept.findIndex(({ id }) => id === request.headers.get('last-event-id'))
    let reader: { topic: string; write(text: string): void } | null = null
    const source: UnderlyingDefaultSource<string> = {
      start: (controller) => {
        seen.open++
        reader = { topic, write: (text) => controller.enqueue(text) }
        readers.add(reader)
        controller.enqueue(':\n')
        if (cursor === -1) return
        for (const update of kept.slice(cursor + 1))
          if (update.topic === topic) controller.enqueue(event(update))
      },
      cancel: () => {
        seen.open--
        if (reader !== null) readers.delete(reader)
      },
    }
    const headers = { 'Content-Type': 'text/event-stream' }
    return new Response(new ReadableStream(source).pipeThrough(new TextEncoderStream()), { headers })
  }

  const hub = {
    url: '',
    seen,
    status: 200,
    stop: () => void server.stop(true),
    publishedAtLeast: (count: number) => new Promise<void>((resolve) => waiting.push({ count, resolve })),
  }
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    idleTimeout: 0,
    fetch: (request) => {
      seen.tokens.add(`${request.method} ${request.headers.get('authorization')}`)
      if (hub.status !== 200) return new Response('', { status: hub.status })
      return request.method === 'POST' ? publish(request) : subscribe(request)
    },
  })
  hub.url = `http://127.0.0.1:${server.port}/hub`
  return hub
}
