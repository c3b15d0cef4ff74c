import { afterAll, describe, expect, test } from 'bun:test'
import { metric, type RunningHub, residentBytes, until } from '../support/binary.ts'
import { CurlStream } from '../support/curl.ts'
import { HubPool } from '../support/hub-pool.ts'
import { longestWait } from '../support/longest-wait.ts'
import { post, publish } from '../support/publisher.ts'
import { rawRequest } from '../support/raw-request.ts'
import { unnamed } from '../support/refusal-text.ts'
import { StreamClient } from '../support/stream-client.ts'
import { tokenFor } from '../support/tokens.ts'

/** Patterns that are each within their bounds: what they are together, and whom they hold up. */

const path = '/.well-known/mercure'
const form = ['Content-Type', 'application/x-www-form-urlencoded'] as const
const pool = new HubPool(['--hub-anonymous', '--transport', 'memory'])
afterAll(() => pool.dispose())

/** Milliseconds that a health check may wait, on a machine that does other things too. Seconds without slices. */
const WAIT_MS_MAX = 400

const asPatterns = (patterns: readonly string[]) =>
  patterns.map((pattern) => `match_urlpattern=${encodeURIComponent(pattern)}`).join('&')
const times = <T>(count: number, make: (n: number) => T): T[] =>
  Array.from({ length: count }, (_, n) => make(n))
/** 1,600 instructions each, most of which are under way at once. */
const counting = (n: number) => `*://*/((?:.?){795}(?:.?){795}(?:.?){795}Q${n})`
/** The same without a counter, and more text. */
const written = (n: number) => `*://*/(${'.?'.repeat(1900)}Q${n})`
/** About as heavy as one request may be. */
const heaviest = (n: number) => `*://*/(${'[^a]?.?'.repeat(500)}(?:.?.?){500}Q${n})`

const query = (hub: RunningHub, body: string, method = 'QUERY') =>
  rawRequest(hub.origin, { method, target: path, fields: [form], body })

async function nobody(hub: RunningHub): Promise<void> {
  await until('nobody', async () => (await metric(hub, 'mercure_subscribers_connected')) === 0)
}

describe('S1 SEC-03 SEC-14 MAT-32 a hundred patterns of one request, each within its bound', () => {
  const kinds: readonly (readonly [what: string, pattern: (n: number) => string])[] = [
    ['that count', counting],
    ['that are written out', written],
    ['of stars', (n) => `/${n}${'*a'.repeat(2000)}`],
    ['of groups', (n) => `/${n}${times(700, (at) => `/:a${at}`).join('')}`],
    ['of optional braces', (n) => `/${n}${'{a}?'.repeat(900)}`],
    ['of choices', (n) => `/(${times(700, (at) => `${at}x`).join('|')}|${n})`],
    [
      'of classes',
      (n) => `/(${times(550, (at) => `[${String.fromCharCode(97 + (at % 26))}-z]?`).join('')}${n})`,
    ],
  ]
  for (const [what, pattern] of kinds) {
    test(`${what} are refused in sum, and hold nobody up`, async () => {
      const hub = await pool.get()
      const body = asPatterns(times(100, pattern))
      const answers = Promise.all(times(10, () => query(hub, body)))
      expect(await longestWait(hub, answers)).toBeLessThan(WAIT_MS_MAX)
      for (const { status, text } of await answers) {
        expect([status, unnamed(text)]).toEqual([400, 'the URL patterns are too complex in sum\n'])
      }
    })
  }

  test('in the query of GET and HEAD, over HTTP/2 too, are refused likewise', async () => {
    const hub = await pool.get()
    const target = `${path}?${asPatterns(times(100, counting))}`
    const answers = Promise.all(
      times(20, (n) => rawRequest(hub.origin, { method: n % 2 === 0 ? 'HEAD' : 'GET', target })),
    )
    expect(await longestWait(hub, answers)).toBeLessThan(WAIT_MS_MAX)
    expect((await answers).map(({ status }) => status)).toEqual(times(20, () => 400))
    const stream = new CurlStream(['--http2-prior-knowledge', `${hub.origin}${target}`])
    await stream.ended
    expect(stream.head).toStartWith('HTTP/2 400')
  })

  test('are no reason to refuse a hundred ordinary ones', async () => {
    const hub = await pool.get()
    const ordinary = times(25, (n) => [
      `https://example.com/users/${n}/*`,
      `https://example.com/orders/${n}/:item(\\d+)`,
      `/books/${n}{/:chapter}?`,
      `/files/${n}/:id([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})`,
    ]).flat()
    expect((await query(hub, asPatterns(ordinary))).status).toBe(200)
    await nobody(hub)
  })

  test('of 9,000, where so many are allowed, are compiled while others are served', async () => {
    const hub = await pool.get(['--limits-matchers', '10000', '--limits-pattern-weight', '100000'])
    const body = asPatterns(times(9000, (n) => `https://example.com/users/${n}/:item(\\d+)`))
    const answer = query(hub, body)
    expect(await longestWait(hub, answer)).toBeLessThan(WAIT_MS_MAX)
    expect((await answer).status).toBe(200)
    await nobody(hub)
  })
})

describe('S1 SEC-03 SEC-14 the patterns of all connections', () => {
  test('have a limit in sum, which keeps no ordinary reader out, and room again when they are gone', async () => {
    const hub = await pool.get(['--limits-pattern-weight-total', '60000'])
    await publish(hub.url, { topic: 'warm' })
    const before = await residentBytes(hub.pid)
    const readers: StreamClient[] = []
    const statuses: number[] = []
    for (let n = 0; n < 20; n++) {
      const reader = await StreamClient.open(`${hub.url}?${asPatterns([heaviest(n)])}`)
      statuses.push(reader.status)
      readers.push(reader)
    }
    expect(statuses.filter((status) => status === 200).length).toBeGreaterThan(10)
    expect(statuses.filter((status) => status === 429).length).toBeGreaterThan(4)
    const refused = await rawRequest(hub.origin, { target: `${path}?${asPatterns([heaviest(99)])}` })
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '30'])
    // What another has adds nothing.
    const shared = await StreamClient.open(`${hub.url}?${asPatterns([heaviest(0)])}`)
    const ordinary = await StreamClient.open(`${hub.url}?${asPatterns(['/books/:id(\\d+)', '/users/1/*'])}`)
    expect([shared.status, ordinary.status]).toEqual([200, 200])
    expect(await metric(hub, 'cinnabar_pattern_weight')).toBeGreaterThan(50_000)
    expect((await residentBytes(hub.pid)) - before).toBeLessThan(30 * 1024 * 1024)
    for (const reader of [...readers, shared, ordinary]) reader.close()
    await nobody(hub)
    await until('no weight', async () => (await metric(hub, 'cinnabar_pattern_weight')) === 0)
    const again = await StreamClient.open(`${hub.url}?${asPatterns([heaviest(99)])}`)
    expect(again.status).toBe(200)
    again.close()
    await nobody(hub)
  })

  test('a topic that comes for the first time holds nobody up, short or long, and reaches its readers', async () => {
    const hub = await pool.get(['--sqlite-path', 'first-time.db'])
    const readers = await Promise.all(
      times(50, (n) => StreamClient.open(`${hub.url}?${asPatterns([heaviest(n)])}`)),
    )
    expect(readers.map(({ status }) => status)).toEqual(readers.map(() => 200))
    const reader = await StreamClient.open(`${hub.url}?match_urlpattern=https://example.com/*`)
    const topics = ['a', 'b'.repeat(40), 'c'.repeat(400), 'd'.repeat(4000)].map(
      (end) => `https://example.com/${end}`,
    )
    const published = Promise.all([...topics, ...topics].map((topic) => publish(hub.url, { topic })))
    const delivered = published.then((ids) => until('delivery', () => reader.ids.length === ids.length))
    expect(await longestWait(hub, delivered)).toBeLessThan(WAIT_MS_MAX)
    const many = post(hub.url, { topic: times(300, (n) => `https://example.com/${'e'.repeat(100)}/${n}`) })
    const arrived = many.then(() => until('delivery', () => reader.ids.length === 2 * topics.length + 1))
    expect(await longestWait(hub, arrived)).toBeLessThan(WAIT_MS_MAX)
    for (const one of [...readers, reader]) one.close()
    await nobody(hub)
  }, 60_000)

  test('a reader with heavy patterns that catches up holds nobody up', async () => {
    const hub = await pool.get(['--sqlite-path', 'past.db'])
    const ids = await Promise.all(
      times(300, (n) => publish(hub.url, { topic: `https://example.com/${'x'.repeat(80)}/${n}` })),
    )
    const matching = `${asPatterns([written(1)])}&match_urlpattern=https://example.com/*`
    const readers = Promise.all(
      times(3, (n) => StreamClient.open(`${hub.url}?${matching}&match=${n}&last_event_id=earliest`)),
    )
    const caughtUp = readers.then((all) =>
      until('the past', () => all.every((reader) => reader.ids.length >= ids.length)),
    )
    expect(await longestWait(hub, caughtUp)).toBeLessThan(WAIT_MS_MAX)
    for (const reader of await readers) reader.close()
    await nobody(hub)
  }, 60_000)
})

describe('S1 SEC-03 SEC-14 MAT-34 the patterns of tokens', () => {
  const bearer = (token: string) => ({ Authorization: `Bearer ${token}` })

  test('AUT-60 are refused in sum, and hold nobody up', async () => {
    const hub = await pool.get()
    const tokens = await Promise.all(
      times(20, (n) => tokenFor({ subscribePatterns: times(100, counting), id: `${n}` })),
    )
    const answers = Promise.all(
      tokens.map((token) =>
        rawRequest(hub.origin, { target: `${path}?match=a`, fields: [['Authorization', `Bearer ${token}`]] }),
      ),
    )
    expect(await longestWait(hub, answers)).toBeLessThan(WAIT_MS_MAX)
    expect((await answers).map(({ status }) => status)).toEqual(tokens.map(() => 401))
  })

  test('SUB-61 of many readers are asked about a private update while others are served', async () => {
    const hub = await pool.get()
    const tokens = await Promise.all(
      times(40, (n) =>
        tokenFor({
          subscribePatterns: [heaviest(n)],
          subscribe: n % 2 === 0 ? ['readable'] : [],
          id: `${n}`,
          subject: `${n}`,
        }),
      ),
    )
    const readers = await Promise.all(
      tokens.map((token) => StreamClient.open(`${hub.url}?match=*`, bearer(token))),
    )
    expect(readers.map(({ status }) => status)).toEqual(readers.map(() => 200))
    const topics = ['readable', ...times(40, (n) => `https://example.com/${'p'.repeat(100)}/${n}`)]
    const id = publish(hub.url, { topic: topics, private: 'on' })
    const delivered = id.then((one) => until('delivery', () => readers[38]?.ids.includes(one) === true))
    expect(await longestWait(hub, delivered)).toBeLessThan(WAIT_MS_MAX)
    await until('all', () => readers.filter(({ ids }) => ids.length === 1).length === 20)
    for (const reader of readers) reader.close()
    await nobody(hub)
  }, 60_000)

  test('PUB-50 of a publisher are asked about a thousand topics while others are served', async () => {
    const hub = await pool.get()
    const token = await tokenFor({ publishPatterns: [written(1), 'https://example.com/*'] })
    const topics = times(1000, (n) => `https://example.com/${'t'.repeat(80)}/${n}`)
    const granted = post(hub.url, { topic: topics }, token)
    expect(await longestWait(hub, granted)).toBeLessThan(WAIT_MS_MAX)
    const refused = post(hub.url, { topic: [...topics.slice(1), 'https://example.org/'] }, token)
    expect(await longestWait(hub, refused)).toBeLessThan(WAIT_MS_MAX)
    expect([(await granted).status, (await refused).status]).toEqual([200, 403])
  }, 60_000)

  test('ACT-09 AUT-80 choose the payloads of subscriptions while others are served', async () => {
    const hub = await pool.get(['--hub-subscriptions', '--limits-announcement', '0'])
    const token = await tokenFor({
      subscribePatterns: [heaviest(1)],
      subscribe: ['*'],
      payload: { name: 'x' },
    })
    const matchers = times(100, (n) => `match=https://example.com/${'m'.repeat(3000)}/${n}`).join('&')
    const answer = rawRequest(hub.origin, {
      method: 'QUERY',
      target: path,
      fields: [form, ['Authorization', `Bearer ${token}`]],
      body: matchers,
    })
    expect(await longestWait(hub, answer)).toBeLessThan(WAIT_MS_MAX)
    expect((await answer).status).toBe(200)
    await nobody(hub)
  }, 60_000)

  test('ACT-23 are asked about a long path of the subscription API while others are served', async () => {
    const hub = await pool.get(['--hub-subscriptions'])
    const patterns = times(60, (n) => `/:a/(.*(?:.?.?){9}Q${n})`)
    const target = `${path}/subscriptions/exact/${'x'.repeat(7000)}`
    const tokens = await Promise.all(
      times(8, (n) => tokenFor({ subscribePatterns: patterns, id: `path ${n}`, subject: `${n}` })),
    )
    const ask = (token: string) =>
      rawRequest(hub.origin, { target, fields: [['Authorization', `Bearer ${token}`]] })
    // Verified before, so that the grants alone are asked.
    for (const token of tokens) expect((await ask(token)).status).toBe(403)
    const answers = Promise.all(tokens.map(ask))
    expect(await longestWait(hub, answers)).toBeLessThan(WAIT_MS_MAX)
    expect((await answers).map(({ status }) => status)).toEqual(tokens.map(() => 403))
  }, 30_000)

  test('SEC-16 that are remembered take what the cache may take', async () => {
    const hub = await pool.get(['--limits-pattern-weight-total', '10000000'])
    const ask = async (n: number) => {
      const token = await tokenFor({ subscribePatterns: [written(n)], id: `cached ${n}`, subject: `${n}` })
      const answer = await rawRequest(hub.origin, {
        method: 'HEAD',
        target: `${path}?match=a`,
        fields: [['Authorization', `Bearer ${token}`]],
      })
      expect(answer.status).toBe(200)
    }
    for (let n = 0; n < 60; n++) await ask(n)
    const warm = await residentBytes(hub.pid)
    for (let n = 60; n < 400; n++) await ask(n)
    expect((await residentBytes(hub.pid)) - warm).toBeLessThan(64 * 1024 * 1024)
  }, 60_000)
})
