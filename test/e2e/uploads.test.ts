import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { connect } from 'node:http2'
import { join } from 'node:path'
import { metric, type RunningHub, residentBytes, startHub, until } from '../support/binary.ts'
import { makeCertificate, temporaryFolder } from '../support/certificates.ts'
import { post, publish, publisherToken } from '../support/publisher.ts'
import { RawConnection, type RawRequest, requestBytes } from '../support/raw-request.ts'
import { unnamed } from '../support/refusal-text.ts'

/** Bodies that come slowly, or never: what they may hold, and for how long. */

const path = '/.well-known/mercure'
const form = ['Content-Type', 'application/x-www-form-urlencoded'] as const
const common = ['--transport', 'memory', '--hub-anonymous']

let authorization: readonly [string, string]
let folder: Awaited<ReturnType<typeof temporaryFolder>>
beforeAll(async () => {
  authorization = ['Authorization', `Bearer ${await publisherToken()}`]
  folder = await temporaryFolder()
})
afterAll(() => folder.dispose())

const start = (...flags: readonly string[]) => startHub({ flags: [...common, ...flags] })

/** Begins a request with a body that is longer than what is sent of it. */
async function begin(hub: RunningHub, request: Partial<RawRequest>, length: number): Promise<RawConnection> {
  const connection = await RawConnection.open(hub.origin)
  const { fields = [form, authorization], method = 'POST', target = path, body = '' } = request
  const declared = ['Content-Length', String(length)] as const
  connection.send(requestBytes(hub.origin, { method, target, fields: [...fields, declared], body }))
  return connection
}

const bodyBytes = (hub: RunningHub) => metric(hub, 'cinnabar_body_bytes')

describe('what bodies may hold in sum', () => {
  const half = `topic=a&data=${'x'.repeat(256 * 1024)}`

  test('S7 a body over it is answered 503 with Retry-After, and there is room again when others are gone', async () => {
    await using hub = await start('--limits-bodies', '1MiB', '--limits-body', '512KiB')
    const others: RawConnection[] = []
    for (let n = 0; n < 3; n++) others.push(await begin(hub, { body: half }, 500_000))
    await until('three halves', async () => (await bodyBytes(hub)) >= 3 * half.length)
    const late = await begin(hub, { body: half }, 500_000)
    const { status, text, headers } = await late.answer()
    expect([status, unnamed(text)]).toEqual([503, 'too many bodies are being received\n'])
    expect(headers.get('retry-after')).toBe('5')
    expect(await bodyBytes(hub)).toBeLessThanOrEqual(1024 * 1024)
    // There is still room for small ones.
    expect((await post(hub.url, { topic: 'a' })).status).toBe(200)
    for (const connection of [...others, late]) connection.close()
    await until('room', async () => (await bodyBytes(hub)) === 0)
    expect((await post(hub.url, { topic: 'a', data: 'x'.repeat(500_000) })).status).toBe(200)
  })

  test('S7 hundreds of half-sent bodies of 1 MiB hold no more than the limit', async () => {
    await using hub = await start('--limits-bodies', '16MiB')
    const before = await residentBytes(hub.pid)
    const body = `topic=a&data=${'x'.repeat(1_000_000)}`
    const connections: RawConnection[] = []
    for (let n = 0; n < 200; n += 20)
      connections.push(
        ...(await Promise.all(Array.from({ length: 20 }, () => begin(hub, { body }, 1024 * 1024)))),
      )
    const answered = () => connections.filter(({ received }) => received.startsWith('HTTP/1.1 503')).length
    await until('the refusals', () => answered() >= 200 - 17)
    expect(await bodyBytes(hub)).toBeLessThanOrEqual(16 * 1024 * 1024)
    expect((await residentBytes(hub.pid)) - before).toBeLessThan(100 * 1024 * 1024)
    expect((await post(hub.url, { topic: 'a' })).status).toBe(200)
  })

  test('S7 who only declares a body takes nothing', async () => {
    await using hub = await start('--limits-bodies', '1MiB', '--limits-body', '1MiB')
    for (let n = 0; n < 50; n++) await begin(hub, {}, 1024 * 1024)
    expect((await post(hub.url, { topic: 'a', data: 'x'.repeat(900_000) })).status).toBe(200)
    expect(await bodyBytes(hub)).toBe(0)
  })

  test('S7 bodies of subscribers leave publishers their half', async () => {
    await using hub = await start('--limits-bodies', '1MiB')
    const query = { method: 'QUERY', fields: [form], body: `match=a&x=${'x'.repeat(200_000)}` }
    for (let n = 0; n < 2; n++) await begin(hub, query, 1_000_000)
    await until('two of them', async () => (await bodyBytes(hub)) >= 400_000)
    expect((await (await begin(hub, query, 1_000_000)).answer()).status).toBe(503)
    expect((await post(hub.url, { topic: 'a', data: 'x'.repeat(500_000) })).status).toBe(200)
  })

  test('PUB-02 S7 a token that is not accepted is told so before', async () => {
    await using hub = await start('--limits-bodies', '100KiB')
    for (let n = 0; n < 2; n++) await begin(hub, { body: 'x'.repeat(49_000) }, 90_000)
    await until('both', async () => (await bodyBytes(hub)) >= 98_000)
    const without = await begin(hub, { fields: [form], body: 'x'.repeat(49_000) }, 90_000)
    expect((await without.answer()).status).toBe(401)
    expect((await (await begin(hub, { body: 'x'.repeat(49_000) }, 90_000)).answer()).status).toBe(503)
  })
})

// They wait for seconds, so they wait together.
describe.concurrent('how long a body may take', () => {
  const idle = ['--limits-idle', '1s']
  const parts = 40
  const whole = `topic=a&data=${'x'.repeat(parts * 1000 - 'topic=a&data='.length)}`

  for (const [title, length, body] of [
    ['that never begins', 1000, ''],
    ['that is small and stops', 1000, 'topic=a'],
    ['that is large and never begins', 500_000, ''],
    ['that is large and stops', 500_000, 'x'.repeat(100_000)],
  ] as const) {
    test(`S7 one ${title} is answered 408`, async () => {
      await using hub = await start(...idle)
      const connection = await begin(hub, { body }, length)
      const answer = await connection.answer()
      expect([answer.status, unnamed(answer.text)]).toEqual([408, 'the body came too slowly\n'])
      await until('room', async () => (await bodyBytes(hub)) === 0)
      expect(await metric(hub, 'mercure_updates_total')).toBe(0)
    }, 20_000)
  }

  test('S7 a chunked one that stops is answered 408', async () => {
    await using hub = await start(...idle)
    const connection = await RawConnection.open(hub.origin)
    const fields = [form, authorization, ['Transfer-Encoding', 'chunked'] as const]
    connection.send(requestBytes(hub.origin, { method: 'POST', target: path, fields }))
    connection.send('7\r\ntopic=a\r\n')
    expect((await connection.answer()).status).toBe(408)
  }, 20_000)

  test('S7 one that comes byte by byte is answered 408 in the end', async () => {
    await using hub = await start(...idle)
    const connection = await begin(hub, { body: 'topic=a&data=' }, 500_000)
    const trickle = setInterval(() => connection.send('x'), 100)
    expect((await connection.answer()).status).toBe(408)
    clearInterval(trickle)
  }, 20_000)

  test('S7 a slow one that moves lives, well over the idle timeout, and its connection goes on', async () => {
    await using hub = await start('--limits-idle', '4s')
    const connection = await begin(hub, {}, whole.length)
    // 4 KB a second: a quarter of what the runtime asks for.
    for (let sent = 0; sent < parts; sent++) {
      connection.send(whole.slice(sent * 1000, (sent + 1) * 1000))
      // A pace, not a wait: the upload is to be slow.
      await Bun.sleep(250)
    }
    const { status, text } = await connection.answer()
    expect([status, text]).toEqual([200, expect.stringContaining('urn:uuid:')])
    connection.send(requestBytes(hub.origin, { target: '/healthz' }))
    await until('another answer', () => connection.received.endsWith('ok\n'))
    // The idle timeout holds again.
    await until('its end', () => connection.isClosed, 15_000)
  }, 40_000)

  test('S7 over HTTP/2 a byte and a PING now and then keep no body open', async () => {
    await using hub = await start(...idle)
    const { status, ms } = await trickleOverHttp2(hub)
    expect(status).toBe(408)
    expect(ms).toBeLessThan(10_000)
    expect(await bodyBytes(hub)).toBe(0)
  }, 30_000)

  test('S7 over HTTP/2 a slow one that moves lives', async () => {
    await using hub = await start('--limits-idle', '2s')
    const child = Bun.spawn(
      [
        ...['curl', '-s', '--http2-prior-knowledge', '--limit-rate', '8K', '-o', '/dev/null'],
        ...[
          '-w',
          '%{http_code} %{http_version}',
          '-H',
          authorization.join(': '),
          '--data-binary',
          '@-',
          hub.url,
        ],
      ],
      { stdin: new Blob([whole]), stdout: 'pipe', stderr: 'ignore' },
    )
    expect(await new Response(child.stdout).text()).toBe('200 2')
  }, 30_000)

  test('S7 over TLS and a Unix socket it is the same', async () => {
    const socket = join(folder.path, 'hub.sock')
    const { flags } = await makeCertificate(folder.path)
    await using hub = await start(...idle, ...flags, '--listen', `unix:${socket}`)
    for (const place of [[`${hub.origin}${path}`], [`https://localhost${path}`, '--unix-socket', socket]]) {
      // Fewer bytes than it declares.
      const fields = ['-H', 'Content-Length: 99', '-H', authorization.join(': ')]
      const child = Bun.spawn(
        ['curl', '-sk', '--http1.1', '-m', '10', '-d', 'topic=a', ...fields, ...place],
        {
          stdio: ['ignore', 'pipe', 'ignore'],
        },
      )
      expect(unnamed(await new Response(child.stdout).text())).toBe('the body came too slowly\n')
    }
  }, 20_000)
})

/** A POST whose body gets one byte every 200 ms, and the connection a PING with each. */
async function trickleOverHttp2(hub: RunningHub): Promise<{ readonly status: number; readonly ms: number }> {
  const session = connect(hub.origin)
  session.on('error', () => {})
  const start = performance.now()
  const [name, value] = authorization
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': form[1],
    'content-length': '100000',
    [name.toLowerCase()]: value,
  })
  stream.on('error', () => {})
  const trickle = setInterval(() => {
    stream.write('x')
    session.ping(() => {})
  }, 200)
  const { promise, resolve } = Promise.withResolvers<number>()
  stream.on('response', (headers) => resolve(Number(headers[':status'])))
  session.on('close', () => resolve(0))
  const status = await promise
  clearInterval(trickle)
  session.destroy()
  return { status, ms: performance.now() - start }
}

test('a publication while others upload is not held up', async () => {
  await using hub = await start()
  for (let n = 0; n < 20; n++) await begin(hub, { body: 'topic=a' }, 100_000)
  const ids = await Promise.all(Array.from({ length: 10 }, () => publish(hub.url, { topic: 'a' })))
  expect(new Set(ids).size).toBe(10)
})
