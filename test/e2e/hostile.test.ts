import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { metric, type RunningHub, residentBytes, startHub, until } from '../support/binary.ts'
import { publish } from '../support/publisher.ts'
import { RawConnection, rawRequest, requestBytes } from '../support/raw-request.ts'
import { StreamClient } from '../support/stream-client.ts'

/** Clients that mean no good. Whatever they send, the hub answers, forgets them and serves the others. */

const path = '/.well-known/mercure'
const form = ['Content-Type', 'application/x-www-form-urlencoded'] as const

let hub: RunningHub
beforeAll(async () => {
  hub = await startHub({ flags: ['--hub-anonymous', '--transport', 'memory'] })
})
afterAll(() => hub.dispose())

const connected = () => metric(hub, 'mercure_subscribers_connected')

/** A subscription and a publication still work, and nothing went wrong inside. */
async function expectHealthy(): Promise<void> {
  const reader = await StreamClient.open(`${hub.url}?match=healthy`)
  const id = await publish(hub.url, { topic: 'healthy' })
  await until('the update', () => reader.ids.includes(id))
  reader.close()
  await until('nobody connected', async () => (await connected()) === 0)
  expect(hub.log()).not.toMatch(/"level":"error"|unexpected|unhandled/)
}

/** Sends the bytes, says that this was all, and resolves with what came back before the end. */
async function exchange(bytes: Uint8Array | string): Promise<string> {
  const connection = await RawConnection.open(hub.origin)
  connection.send(bytes)
  // A stream does not end by itself, and Bun answers some broken requests by waiting for the rest.
  connection.halfClose()
  await Promise.race([connection.closed(), connection.ended(), connection.answer().catch(() => null)])
  connection.close()
  return connection.received
}

/** Every answer is a refusal or a stream, never a fault of the hub. */
function expectNoFault(received: string): void {
  for (const [, status] of received.matchAll(/HTTP\/1\.1 (\d+)/g)) expect(Number(status)).not.toBe(500)
}

describe('malformed requests', () => {
  const lines: readonly string[] = [
    'GET\r\n\r\n',
    'GET / HTTP/9.9\r\nHost: x\r\n\r\n',
    '\r\n\r\n\r\n',
    '\x00\x01\x02\x03\r\n\r\n',
    `GET ${path}?match=a HTTP/1.1\r\n\r\n`,
    `GET ${path}?match=a HTTP/1.1\r\nHost\r\n\r\n`,
    `GET ${path}?match=a HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n`,
    `GET ${path}?match=a\x01 HTTP/1.1\r\nHost: x\r\n\r\n`,
    `GET ${path}?match=%ZZ%&%=%&=%FF HTTP/1.1\r\nHost: x y/?#@:99999\r\n\r\n`,
    `GET ${path} HTTP/1.1\r\nHost: a"b\\\xff\r\n\r\n`,
    `QUERY ${path} HTTP/1.1\r\nHost: /?#\r\n\r\n`,
    `GET ${path}?match=a HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n`,
    `GET http://evil.example/x?match=a HTTP/1.1\r\nHost: x\r\n\r\n`,
    `GET //${path}?match=a HTTP/1.1\r\nHost: x\r\n\r\n`,
    'OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n',
    'CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n',
    `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n`,
    `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 2\r\n\r\n`,
    `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    `POST ${path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n`,
    `POST ${path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
    `GET ${path}?match=a HTTP/1.1\r\nHost: x\r\nLast-Event-ID: \xff\xfe\xed\xa0\x80\r\n\r\n`,
    `GET ${path}?match=a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${'.'.repeat(60)}\r\n\r\n`,
    `GET ${path}?match=a HTTP/1.1\r\nHost: x\r\nCookie: __Secure-mercure_access_token=%00;;;==\r\n\r\n`,
    `GET ${path}?match=a HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n`,
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nrubbish that is no frame at all',
  ]
  for (const line of lines) {
    test(`${JSON.stringify(line.slice(0, 70))} is refused or served, and harms nobody`, async () => {
      expectNoFault(await exchange(line))
    })
  }

  test('SEC-06 headers beyond every limit are refused with 431, and so is a request line', async () => {
    const field = [['X', 'y'.repeat(200_000)]] as const
    expect((await rawRequest(hub.origin, { target: `${path}?match=a`, fields: field })).status).toBe(431)
    const many = Array.from({ length: 2000 }, (_, n) => [`X-${n}`, 'y'] as const)
    expect((await rawRequest(hub.origin, { target: `${path}?match=a`, fields: many })).status).toBe(431)
    const target = `${path}?match=${'a'.repeat(200_000)}`
    expect((await rawRequest(hub.origin, { target })).status).toBe(431)
    await expectHealthy()
  })

  test('random bytes never bring out a fault', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 400 }), async (bytes) => {
        expectNoFault(await exchange(bytes))
      }),
      { numRuns: 300 },
    )
    await expectHealthy()
  })

  test('random requests never bring out a fault', async () => {
    const latin1 = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString('latin1'))
    const value = latin1.map((text) => text.replace(/[\r\n\0]/g, '_'))
    const name = fc.constantFrom(
      ...['Host', 'Authorization', 'Cookie', 'Origin', 'Referer', 'Last-Event-ID', 'Content-Type'],
      ...['Forwarded', 'X-Forwarded-For', 'Accept', 'Expect', 'Access-Control-Request-Method'],
    )
    const query = fc.array(
      fc.oneof(value, fc.constantFrom('match=', 'match_urlpattern=', '&', '%', 'last_event_id=')),
    )
    const request = fc.record({
      method: fc.constantFrom('GET', 'HEAD', 'QUERY', 'POST', 'OPTIONS', 'PUT'),
      query: query.map((parts) => parts.join('').replace(/[ \x00-\x20\x7f]/g, '+')),
      fields: fc.array(fc.tuple(name, value), { maxLength: 6 }),
      body: fc.oneof(
        latin1,
        value.map((text) => `topic=${text}&data=${text}`),
      ),
    })
    await fc.assert(
      fc.asyncProperty(request, async ({ method, query: search, fields, body }) => {
        const target = `${path}?${search}`
        expectNoFault(
          await exchange(requestBytes(hub.origin, { method, target, fields: [form, ...fields], body })),
        )
      }),
      { numRuns: 500 },
    )
    await expectHealthy()
  })

  test('random URL patterns from anybody are refused or served', async () => {
    const piece = fc.constantFrom(
      ...['/', ':a', '(', ')', '{', '}', '*', '?', '+', '\\', '[', 'https://', '.', 'x', '%', '|'],
    )
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { minLength: 1, maxLength: 30 }), async (pieces) => {
        const target = `${path}?match_urlpattern=${encodeURIComponent(pieces.join(''))}`
        const { status } = await rawRequest(hub.origin, { target })
        expect([200, 400]).toContain(status)
      }),
      { numRuns: 300 },
    )
    await expectHealthy()
  })
})

describe('connections', () => {
  test('half-open connections and half-sent requests hold nobody up', async () => {
    const beginnings = [
      '',
      'GET',
      `GET ${path}?match=a HTTP/1.1\r\nHost: x`,
      `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nto`,
    ]
    const connections = await Promise.all(Array.from({ length: 400 }, () => RawConnection.open(hub.origin)))
    for (const [at, connection] of connections.entries())
      connection.send(beginnings[at % beginnings.length] ?? '')
    await expectHealthy()
    for (const connection of connections) connection.close()
  })

  test('a subscriber that says it will send nothing more is still served, or let go', async () => {
    const connection = await RawConnection.open(hub.origin)
    connection.send(requestBytes(hub.origin, { target: `${path}?match=a` }))
    await connection.answer()
    connection.halfClose()
    connection.close()
    await expectHealthy()
  })

  test('requests sent one after the other without waiting are answered in order', async () => {
    const connection = await RawConnection.open(hub.origin)
    const statuses = () =>
      [...connection.received.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status))
    const requests = ['PUT', 'OPTIONS', 'POST', 'GET', 'PUT'].map((method) =>
      requestBytes(hub.origin, { method, target: path }),
    )
    connection.send(Buffer.concat(requests))
    await until('five answers', () => statuses().length === 5)
    expect(statuses()).toEqual([405, 204, 401, 400, 405])
    connection.close()
  })

  test('SUB-92 20,000 subscribers that vanish at once leave nothing behind', async () => {
    await dropRound(4000)
    const warm = await residentBytes(hub.pid)
    await dropRound(20_000)
    await until('memory', async () => (await residentBytes(hub.pid)) <= warm * 1.1 + 15 * 1024 * 1024)
    expect(await connected()).toBe(0)
    expect(await metric(hub, 'cinnabar_subscriber_buffer_bytes')).toBe(0)
    await expectHealthy()
  }, 60_000)

  /** In batches, half of them when they have an answer and half without waiting for one. */
  async function dropRound(count: number): Promise<void> {
    const before = await metric(hub, 'mercure_subscribers_total')
    for (let done = 0; done < count; done += 200) {
      await Promise.all(Array.from({ length: 200 }, (_, at) => subscribeAndReset(at % 2 === 0)))
    }
    expect(await metric(hub, 'mercure_subscribers_total')).toBeGreaterThanOrEqual(before + count / 2)
    await until('their end', async () => (await connected()) === 0)
  }

  async function subscribeAndReset(isPatient: boolean): Promise<void> {
    const { hostname, port } = new URL(hub.origin)
    const answered = Promise.withResolvers<void>()
    const done = () => answered.resolve()
    const handlers = { data: done, close: done, error: done }
    const socket = await Bun.connect({ hostname, port: Number(port), socket: handlers })
    socket.write(requestBytes(hub.origin, { target: `${path}?match=a&match_urlpattern=/b/:c` }))
    if (isPatient) await answered.promise
    socket.terminate()
  }
})
