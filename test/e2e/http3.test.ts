import { afterAll, beforeAll, expect, test } from 'bun:test'
import { metric, type RunningHub, startHub, until } from '../support/binary.ts'
import { makeCertificate, shownFingerprint, temporaryFolder } from '../support/certificates.ts'
import { EventReader } from '../support/event-stream.ts'
import { publisherToken } from '../support/publisher.ts'
import { refusedHub } from '../support/refused-hub.ts'

/** HTTP/3, where it is on. */

const tls = { rejectUnauthorized: false }
let folder: Awaited<ReturnType<typeof temporaryFolder>>
let hub: RunningHub
beforeAll(async () => {
  folder = await temporaryFolder()
  const { flags } = await makeCertificate(folder.path)
  hub = await startHub({ flags: ['--hub-anonymous', '--transport', 'memory', '--http3', ...flags] })
})
afterAll(async () => {
  await hub.dispose()
  await folder.dispose()
})

interface Http3Reader {
  readonly response: Response
  readonly reader: EventReader
  readonly ended: Promise<void>
  cancel(): void
}

async function subscribe(topic: string): Promise<Http3Reader> {
  const controller = new AbortController()
  const { signal } = controller
  const response = await fetch(`${hub.url}?match=${topic}`, { protocol: 'http3', tls, signal })
  const reader = new EventReader()
  const read = async () => {
    const decoder = new TextDecoder()
    for await (const chunk of response.body ?? []) reader.push(decoder.decode(chunk, { stream: true }))
  }
  return { response, reader, ended: read().catch(() => {}), cancel: () => controller.abort() }
}

async function publish(topic: string): Promise<string> {
  const headers = { authorization: `Bearer ${await publisherToken()}` }
  const body = new URLSearchParams({ topic })
  const response = await fetch(hub.url, { method: 'POST', body, headers, protocol: 'http3', tls })
  expect(response.status).toBe(200)
  return await response.text()
}

test('GEN-14 updates are published and streamed over HTTP/3, in order', async () => {
  const readers = await Promise.all([1, 2, 3].map(() => subscribe('a')))
  const ids: string[] = []
  for (let n = 0; n < 20; n++) ids.push(await publish('a'))
  await until('every update', () => readers.every(({ reader }) => reader.events.length === 20))
  for (const { reader } of readers) expect(reader.events.map(({ id }) => id)).toEqual(ids)
  for (const { cancel } of readers) cancel()
})

test('SUB-53 SUB-54 a stream has no hop-by-hop field', async () => {
  const { response, cancel } = await subscribe('b')
  expect(response.headers.get('content-type')).toBe('text/event-stream')
  for (const field of ['connection', 'keep-alive', 'transfer-encoding', 'upgrade'])
    expect(response.headers.has(field)).toBe(false)
  cancel()
})

test('SUB-92 a stream that is cancelled ends alone', async () => {
  await until('nobody', async () => (await metric(hub, 'mercure_subscribers_connected')) === 0)
  const [first, second] = await Promise.all([subscribe('c'), subscribe('c')])
  await until('both', async () => (await metric(hub, 'mercure_subscribers_connected')) === 2)
  first.cancel()
  await until('the end', async () => (await metric(hub, 'mercure_subscribers_connected')) === 1)
  const id = await publish('c')
  await until('the update', () => second.reader.events[0]?.id === id)
  second.cancel()
})

test('the other versions are told where it is', async () => {
  const response = await fetch(`${hub.origin}/healthz`, { tls })
  expect(response.headers.get('alt-svc')).toContain(`h3=":${new URL(hub.origin).port}"`)
})

test('a new certificate waits for a restart, and a warning says so', async () => {
  const before = await shownFingerprint(hub.origin)
  await makeCertificate(folder.path)
  process.kill(hub.pid, 'SIGHUP')
  await until('the warning', () => hub.log().includes('the new certificate needs a restart'))
  expect(await shownFingerprint(hub.origin)).toBe(before)
  const { response, cancel } = await subscribe('d')
  expect(response.status).toBe(200)
  cancel()
})

test('without TLS it is refused', async () => {
  const { code, message } = await refusedHub(['--listen', '127.0.0.1:0', '--http3'])
  expect(code).toBe(78)
  expect(message).toContain('--http3: needs tls.cert_file and tls.key_file')
})
