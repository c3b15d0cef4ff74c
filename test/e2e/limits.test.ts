import { afterAll, describe, expect, test } from 'bun:test'
import { metric, type RunningHub, until } from '../support/binary.ts'
import { HubPool } from '../support/hub-pool.ts'
import { post } from '../support/publisher.ts'
import { rawRequest, utf8Bytes } from '../support/raw-request.ts'
import { StreamClient } from '../support/stream-client.ts'
import { tokenFor } from '../support/tokens.ts'

/** The limits, as a client meets them. */

const path = '/.well-known/mercure'
const pool = new HubPool(['--hub-anonymous', '--transport', 'memory'])
afterAll(() => pool.dispose())

const small = [
  ...['--limits-body', '1000', '--limits-topics', '3', '--limits-field', '50'],
  ...['--limits-matchers', '3', '--limits-pattern', '50', '--limits-details', '2', '--limits-id', '60'],
]

const subscribe = (hub: RunningHub, headers: Readonly<Record<string, string>> = {}, query = 'match=a') =>
  StreamClient.open(`${hub.url}?${query}`, headers)
const bearer = (token: string) => ({ Authorization: `Bearer ${token}` })
const connected = (hub: RunningHub) => metric(hub, 'mercure_subscribers_connected')

/** Opens so many that the limit is reached, expects the next to be refused, and a place when one has left. */
async function expectLimit(hub: RunningHub, limit: number, headers: Readonly<Record<string, string>> = {}) {
  const readers = await Promise.all(Array.from({ length: limit }, () => subscribe(hub, headers)))
  expect(readers.map(({ status }) => status)).toEqual(readers.map(() => 200))
  const refused = await subscribe(hub, headers)
  expect(refused.status).toBe(429)
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
  refused.close()
  readers.pop()?.close()
  await until('a place', async () => {
    const next = await subscribe(hub, headers)
    if (next.status !== 200) next.close()
    else readers.push(next)
    return next.status === 200
  })
  return readers
}

async function leave(hub: RunningHub, readers: readonly StreamClient[]): Promise<void> {
  for (const reader of readers) reader.close()
  await until('nobody', async () => (await connected(hub)) === 0)
}

describe('open streams', () => {
  test('SUB-33 over the total the answer is 429, and a stream that ends makes room', async () => {
    const hub = await pool.get(['--limits-subscribers', '3'])
    const readers = await expectLimit(hub, 3)
    expect(await connected(hub)).toBe(3)
    expect((await post(hub.url, { topic: 'a' })).status).toBe(200)
    await leave(hub, readers)
    await leave(hub, await expectLimit(hub, 3))
  })

  const behindProxy = ['--limits-subscribers-per-ip', '2', '--proxy-trusted', '127.0.0.1']

  test('SUB-33 an address has so many streams, whatever token it shows, and others are not held up', async () => {
    const hub = await pool.get(behindProxy)
    const first = await expectLimit(hub, 2, { 'X-Forwarded-For': '192.0.2.1' })
    const withToken = await subscribe(hub, {
      'X-Forwarded-For': '192.0.2.1',
      ...bearer(await tokenFor({ subscribe: ['*'] })),
    })
    expect(withToken.status).toBe(429)
    const other = await subscribe(hub, { 'X-Forwarded-For': '192.0.2.2' })
    expect(other.status).toBe(200)
    await leave(hub, [...first, other])
  })

  test('SUB-33 an IPv6 client has a /64, and is counted as one', async () => {
    const hub = await pool.get(behindProxy)
    const from = (address: string) => subscribe(hub, { 'X-Forwarded-For': address })
    const readers = [await from('2001:db8:0:1::1'), await from('2001:db8:0:1:ffff::2')]
    const refused = await from('2001:db8:0:1::3')
    const other = await from('2001:db8:0:2::1')
    expect([...readers, refused, other].map(({ status }) => status)).toEqual([200, 200, 429, 200])
    await leave(hub, [...readers, other])
  })

  test('SUB-33 the loopback of IPv6 is an address like others', async () => {
    const hub = await pool.get(['--limits-subscribers-per-ip', '2', '--listen', '[::1]:0'])
    const six = /http:\/\/\[::1\]:\d+/.exec(hub.log())?.[0]
    if (six === undefined) throw new Error('the hub does not listen on ::1')
    const statuses = async (origin: string) => {
      const answers: Response[] = []
      const controller = new AbortController()
      for (let n = 0; n < 3; n++)
        answers.push(await fetch(`${origin}${path}?match=a`, { signal: controller.signal }))
      return { statuses: answers.map(({ status }) => status), end: () => controller.abort() }
    }
    const counted = [await statuses(six), await statuses(hub.origin)]
    expect(counted.map((one) => one.statuses)).toEqual([
      [200, 200, 429],
      [200, 200, 429],
    ])
    for (const { end } of counted) end()
  })

  test('SUB-33 a token has so many streams, wherever they come from', async () => {
    const hub = await pool.get(['--limits-subscribers-per-token', '2'])
    const token = await tokenFor({ subscribe: ['*'], subject: 'https://example.com/users/1', id: 'one' })
    const readers = await expectLimit(hub, 2, bearer(token))
    const other = await tokenFor({ subscribe: ['*'], subject: 'https://example.com/users/2', id: 'two' })
    readers.push(await subscribe(hub, bearer(other)))
    readers.push(await subscribe(hub), await subscribe(hub), await subscribe(hub))
    expect(readers.map(({ status }) => status)).toEqual(readers.map(() => 200))
    await leave(hub, readers)
  })
})

describe('publications', () => {
  test('a token publishes in a burst up to its rate, then the answer is 429, then again', async () => {
    const hub = await pool.get(['--limits-publish-rate', '5'])
    const token = await tokenFor({ publish: ['*'], subject: 'https://example.com/users/fast', id: 'fast' })
    const answers: Response[] = []
    while (answers.at(-1)?.status !== 429) answers.push(await post(hub.url, { topic: 'a' }, token))
    expect(answers.length).toBeGreaterThan(5)
    expect(Number(answers.at(-1)?.headers.get('retry-after'))).toBeGreaterThan(0)
    const other = await tokenFor({ publish: ['*'], subject: 'https://example.com/users/slow', id: 'slow' })
    expect((await post(hub.url, { topic: 'a' }, other)).status).toBe(200)
    const start = performance.now()
    await until('the next', async () => (await post(hub.url, { topic: 'a' }, token)).status === 200)
    expect(performance.now() - start).toBeLessThan(2000)
  })

  const publications = [
    ['a body', { topic: 'a', data: 'x'.repeat(500) }, { topic: 'a', data: 'x'.repeat(1001) }],
    ['the topics', { topic: ['a', 'b', 'c'] }, { topic: ['a', 'b', 'c', 'd'] }],
    ['a topic', { topic: 'x'.repeat(50) }, { topic: 'x'.repeat(51) }],
    ['an id', { topic: 'a', id: 'x'.repeat(50) }, { topic: 'a', id: 'x'.repeat(51) }],
    ['an id in bytes', { topic: 'a', id: 'é'.repeat(30) }, { topic: 'a', id: 'é'.repeat(31) }],
    ['a type', { topic: 'a', type: 'x'.repeat(50) }, { topic: 'a', type: 'x'.repeat(51) }],
  ] as const
  for (const [what, within, over] of publications) {
    test(`PUB-02 ${what} within the limit is taken, over it the answer is 413`, async () => {
      const hub = await pool.get(small)
      expect((await post(hub.url, within)).status).toBe(200)
      expect((await post(hub.url, over)).status).toBe(413)
    })
  }

  test('M10 PUB-60 REC-02 REC-19 a reader goes on after the longest id there may be, however it sends it back', async () => {
    const hub = await pool.get()
    for (const char of ['x', 'é', '€', '\u{1F600}']) {
      const id = char.repeat(1024 / Buffer.byteLength(char))
      expect((await post(hub.url, { topic: 'long', id })).status).toBe(200)
      const next = await (await post(hub.url, { topic: 'long' })).text()
      const readers = [
        await subscribe(hub, { 'Last-Event-ID': id }, 'match=long'),
        await subscribe(hub, {}, `match=long&last_event_id=${encodeURIComponent(id)}`),
      ]
      for (const reader of readers) {
        expect(reader.headers.get('mercure-last-event-id')).toBe(utf8Bytes(id))
        await until('the next', () => reader.ids.includes(next))
        reader.close()
      }
      expect((await post(hub.url, { topic: 'long', id: `${id}${char}` })).status).toBe(413)
    }
  })

  test('M10 PUB-31 PUB-47 an id of blanks and a retry beyond 31 bits are refused', async () => {
    const hub = await pool.get()
    expect((await post(hub.url, { topic: 'a', id: '   ' })).status).toBe(400)
    expect((await post(hub.url, { topic: 'a', retry: '2147483648' })).status).toBe(400)
    expect((await post(hub.url, { topic: 'a', retry: '2147483647', id: ' x ' })).status).toBe(200)
  })

  test('PUB-02 a body without a length is measured as it comes', async () => {
    const hub = await pool.get(small)
    const chunk = `topic=a&data=${'x'.repeat(1001)}`
    const answer = await rawRequest(hub.origin, {
      method: 'POST',
      target: path,
      fields: [
        ['Content-Type', 'application/x-www-form-urlencoded'],
        ['Authorization', `Bearer ${await tokenFor({ publish: ['*'] })}`],
        ['Transfer-Encoding', 'chunked'],
      ],
      body: `${chunk.length.toString(16)}\r\n${chunk}\r\n0\r\n\r\n`,
    })
    expect(answer.status).toBe(413)
  })
})

describe('requests of subscribers', () => {
  const queries = [
    ['SUB-31 the matchers', 'match=a&match=b&match=c', 'match=a&match=b&match=c&match=d'],
    ['a matcher', `match=${'x'.repeat(50)}`, `match=${'x'.repeat(51)}`],
    ['a pattern', `match_urlpattern=${'x'.repeat(50)}`, `match_urlpattern=${'x'.repeat(51)}`],
  ] as const
  for (const [what, within, over] of queries) {
    test(`${what} within the limit are taken, over it the answer is 400`, async () => {
      const hub = await pool.get(small)
      const readers = [await subscribe(hub, {}, within), await subscribe(hub, {}, over)]
      expect(readers.map(({ status }) => status)).toEqual([200, 400])
      for (const reader of readers) reader.close()
    })
  }

  test('AUT-60 the details of a token within the limit are taken, over it the answer is 401', async () => {
    const hub = await pool.get(small)
    const granted = async (topics: readonly string[]) =>
      (await subscribe(hub, bearer(await tokenFor({ subscribe: topics })))).status
    expect(await granted(['a', 'b'])).toBe(200)
    expect(await granted(['a', 'b', 'c'])).toBe(401)
  })
})
