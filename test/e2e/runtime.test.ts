import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { connect } from 'node:http2'
import { type RunningHub, startHub } from '../support/binary.ts'
import { RawConnection, type RawRequest, rawRequest, requestBytes } from '../support/raw-request.ts'

/**
 * What Bun 1.4.5 decides before the hub sees a request, as docs/http.md says it. When one of these fails, the runtime has
 * changed: see whether the hub can do better now, and tell users.
 */

const path = '/.well-known/mercure'
const app = 'https://app.example.com'

let hub: RunningHub
beforeAll(async () => {
  hub = await startHub({ flags: ['--transport', 'memory', '--hub-anonymous', '--hub-cors-origins', app] })
})
afterAll(() => {
  // Nothing of it is a fault of the hub, nor a line of its log beside those on what it refused.
  const lines = hub.log().trim().split('\n')
  expect(lines.filter((line) => !line.includes('"requests refused"'))).toHaveLength(1)
  return hub.dispose()
})

const send = (request: RawRequest) => rawRequest(hub.origin, request)

/** What came on a connection until its end. */
async function received(bytes: Uint8Array | string): Promise<string> {
  const connection = await RawConnection.open(hub.origin)
  connection.send(bytes)
  await connection.closed()
  return connection.received
}

describe('today', () => {
  for (const method of ['FOO', 'get', 'Get', 'X-QUERY']) {
    test(`GEN-22 the method ${method}, which the runtime does not know, closes an HTTP/1.1 connection without an answer`, async () => {
      for (const target of [path, '/nothing', '/'])
        expect(await received(requestBytes(hub.origin, { method, target }))).toBe('')
    })

    test(`GEN-22 over HTTP/2 the method ${method} is answered 501`, async () => {
      const session = connect(hub.origin)
      const { promise, resolve, reject } = Promise.withResolvers<number>()
      const stream = session.request({ ':method': method, ':path': path })
      stream.on('response', (headers) => resolve(Number(headers[':status'])))
      stream.on('error', reject)
      expect(await promise).toBe(501)
      session.destroy()
    })
  }

  test('GEN-22 every method that the runtime knows is answered by the hub', async () => {
    for (const method of [
      'ACL',
      'COPY',
      'LINK',
      'MERGE',
      'NOTIFY',
      'PROPFIND',
      'PURGE',
      'SUBSCRIBE',
      'TRACE',
    ])
      expect([method, (await send({ method, target: path })).status]).toEqual([method, 405])
  })

  test('SEC-06 a request line with fields over 16 KiB is answered 431, without CORS', async () => {
    const long = (length: number) => 'x'.repeat(length)
    const origin = ['Origin', app] as const
    for (const request of [
      { target: `${path}?match=a`, fields: [['X', long(16_400)], origin] },
      { target: `${path}?match=a&x=${long(16_400)}`, fields: [origin] },
      { target: `${path}?match=a`, fields: [['Last-Event-ID', long(16_400)], origin] },
    ] as const) {
      const { status, text, headers } = await send(request)
      expect([status, text, headers.get('access-control-allow-origin')]).toEqual([431, '', null])
    }
    const fields = [['Last-Event-ID', long(15_000)], origin] as const
    const { status, headers } = await send({ target: `${path}?match=a`, fields })
    expect([status, headers.get('access-control-allow-origin')]).toEqual([200, app])
  })

  test('GEN-05 a byte of the target that is not UTF-8 reads as U+FFFD, where %FF is refused', async () => {
    expect((await send({ target: `${path}?match=%FF` })).status).toBe(400)
    expect((await send({ target: `${path}?match=\xff` })).status).toBe(200)
  })

  test('targets that are no path are refused, or are no path of the hub', async () => {
    for (const target of ['*', 'foo', '?match=a', '#'])
      expect(await received(`GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`)).toStartWith('HTTP/1.1 400')
    expect((await send({ method: 'CONNECT', target: 'hub.example.com:443' })).status).toBe(404)
    expect((await send({ target: `//${path}?match=a` })).status).toBe(404)
  })
})
