import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2'
import { metric, type RunningHub, startHub, until } from '../support/binary.ts'
import { makeCertificate, temporaryFolder } from '../support/certificates.ts'
import { CurlStream } from '../support/curl.ts'
import { EventReader } from '../support/event-stream.ts'
import { publisherToken } from '../support/publisher.ts'

/** HTTP/2: many streams on one connection, with and without TLS. */

const common = ['--hub-anonymous', '--transport', 'memory']
let folder: Awaited<ReturnType<typeof temporaryFolder>>
let plain: RunningHub
let secure: RunningHub
beforeAll(async () => {
  folder = await temporaryFolder()
  const { flags } = await makeCertificate(folder.path)
  plain = await startHub({ flags: common })
  secure = await startHub({ flags: [...common, ...flags] })
})
afterAll(async () => {
  await plain.dispose()
  await secure.dispose()
  await folder.dispose()
})

/** One subscriber among others on a connection. */
class Http2Stream {
  readonly #stream: ClientHttp2Stream
  readonly #reader = new EventReader()
  headers: Readonly<Record<string, unknown>> = {}
  isClosed = false

  constructor(session: ClientHttp2Session, topic: string) {
    this.#stream = session.request({ ':path': `/.well-known/mercure?match=${topic}` })
    this.#stream.setEncoding('utf8')
    this.#stream.on('response', (headers) => {
      this.headers = headers
    })
    this.#stream.on('data', (text) => this.#reader.push(String(text)))
    this.#stream.on('close', () => {
      this.isClosed = true
    })
    this.#stream.on('error', () => {})
  }

  get isOpen(): boolean {
    return this.headers[':status'] === 200
  }

  get ids(): readonly string[] {
    return this.#reader.events.map(({ id }) => id)
  }

  cancel(): void {
    this.#stream.close(constants.NGHTTP2_CANCEL)
  }
}

const sessions: readonly (readonly [name: string, hub: () => RunningHub])[] = [
  ['ALPN over TLS', () => secure],
  ['prior knowledge without TLS', () => plain],
]

async function publish(topic: string, data = ''): Promise<string> {
  const bodies = sessions.map(async ([, hub]) => {
    const headers = { authorization: `Bearer ${await publisherToken()}` }
    const body = new URLSearchParams({ topic, data, id: `urn:test:${data}` })
    const tls = { rejectUnauthorized: false }
    return await (await fetch(hub().url, { method: 'POST', body, headers, tls })).text()
  })
  const [id = ''] = await Promise.all(bodies)
  return id
}

for (const [name, hub] of sessions) {
  describe(name, () => {
    const open = () => connect(hub().origin, { rejectUnauthorized: false })
    const connected = () => metric(hub(), 'mercure_subscribers_connected')

    test('SUB-53 SUB-54 a stream has no hop-by-hop field', async () => {
      const session = open()
      const reader = new Http2Stream(session, 'a')
      await until('the head', () => reader.isOpen)
      const names = Object.keys(reader.headers)
      expect(reader.headers['content-type']).toBe('text/event-stream')
      expect(reader.headers['cache-control']).toBe('private, no-cache, no-store, must-revalidate, max-age=0')
      for (const field of ['connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'proxy-connection'])
        expect(names).not.toContain(field)
      session.destroy()
      await until('its end', async () => (await connected()) === 0)
    })

    test('GEN-14 a hundred streams on one connection each get twenty updates in order', async () => {
      const session = open()
      const readers = Array.from({ length: 100 }, () => new Http2Stream(session, 'many'))
      await until('every head', () => readers.every(({ isOpen }) => isOpen))
      const ids: string[] = []
      for (let n = 0; n < 20; n++) ids.push(await publish('many', `${name.length}-${n}`))
      await until('every update', () => readers.every((reader) => reader.ids.length === 20))
      for (const reader of readers) expect(reader.ids).toEqual(ids)
      session.destroy()
      await until('their end', async () => (await connected()) === 0)
    })

    test('SUB-92 a stream that is cancelled ends alone, and the others get everything', async () => {
      const session = open()
      const readers = Array.from({ length: 10 }, () => new Http2Stream(session, 'cancel'))
      await until('every head', () => readers.every(({ isOpen }) => isOpen))
      const [first, ...others] = readers
      const ids = [await publish('cancel', `before-${name.length}`)]
      await until('the first', () => readers.every((reader) => reader.ids.length === 1))
      first?.cancel()
      await until('its end', async () => (await connected()) === 9)
      for (let n = 0; n < 5; n++) ids.push(await publish('cancel', `after-${name.length}-${n}`))
      await until('every update', () => others.every((reader) => reader.ids.length === 6))
      for (const reader of others) expect(reader.ids).toEqual(ids)
      expect(first?.ids).toEqual(ids.slice(0, 1))
      expect(others.some(({ isClosed }) => isClosed)).toBe(false)
      session.destroy()
      await until('their end', async () => (await connected()) === 0)
    })
  })
}

test('GEN-14 curl reads a stream with prior knowledge, and with HTTP/1.1 on the same port', async () => {
  const versions = ['--http2-prior-knowledge', '--http1.1']
  const readers = versions.map((version) => new CurlStream([version, `${plain.url}?match=curl`]))
  await until('the heads', () => readers.every(({ head }) => head !== ''))
  expect(readers.map(({ head }) => head.slice(0, 12).trim())).toEqual(['HTTP/2 200', 'HTTP/1.1 200'])
  const id = await publish('curl', 'curl')
  await until('the update', () => readers.every(({ ids }) => ids[0] === id))
  for (const reader of readers) reader.close()
})

test('SUB-91 at the end every HTTP/2 stream is told when to come back', async () => {
  const hub = await startHub({ flags: common })
  const readers = [1, 2, 3].map(() => new CurlStream(['--http2-prior-knowledge', `${hub.url}?match=a`]))
  await until('the heads', () => readers.every(({ head }) => head !== ''))
  expect(await hub.stop()).toBe(0)
  expect(await Promise.all(readers.map(({ ended }) => ended))).toEqual([0, 0, 0])
  expect(readers.every(({ lines }) => lines.some((line) => line.startsWith('retry: ')))).toBe(true)
  await hub.dispose()
})
