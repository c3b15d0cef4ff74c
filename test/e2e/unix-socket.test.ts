import { afterEach, beforeEach, expect, test } from 'bun:test'
import { existsSync, statSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type RunningHub, startHub, until } from '../support/binary.ts'
import { temporaryFolder } from '../support/certificates.ts'
import { CurlStream } from '../support/curl.ts'
import { publish } from '../support/publisher.ts'
import { refusedHub } from '../support/refused-hub.ts'

/** Unix sockets: the way in for a reverse proxy on the same machine. */

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let path: string
const hubs: RunningHub[] = []
const readers: CurlStream[] = []
beforeEach(async () => {
  folder = await temporaryFolder()
  path = join(folder.path, 'hub.sock')
})
afterEach(async () => {
  for (const reader of readers.splice(0)) reader.close()
  for (const hub of hubs.splice(0)) await hub.dispose()
  await folder.dispose()
})

/** Listens on the socket beside a port, where the tests publish. */
async function start(...flags: string[]): Promise<RunningHub> {
  const common = ['--hub-anonymous', '--transport', 'memory', '--listen', `unix:${path}`]
  const hub = await startHub({ flags: [...common, ...flags] })
  hubs.push(hub)
  return hub
}

function subscribe(): CurlStream {
  return new CurlStream(['--unix-socket', path, 'http://hub/.well-known/mercure?match=a'])
}

test('GEN-20 a stream and its updates travel over a Unix socket', async () => {
  const hub = await start()
  expect(hub.log()).toContain(`unix:${path}`)
  const reader = subscribe()
  await until('the head', () => reader.head.startsWith('HTTP/1.1 200'))
  const ids = [await publish(hub.url, { topic: 'a' }), await publish(hub.url, { topic: 'a' })]
  await until('both', () => reader.events.length === 2)
  expect(reader.ids).toEqual(ids)
  reader.close()
})

/** The status of a subscription over the socket. A stream is left open until the end of the test. */
async function statusOf(...fields: readonly string[]): Promise<number> {
  const args = fields.flatMap((field) => ['-H', field])
  const reader = new CurlStream(['--unix-socket', path, ...args, 'http://hub/.well-known/mercure?match=a'])
  await until('the head', () => reader.head !== '')
  readers.push(reader)
  return Number(reader.head.split(' ')[1])
}

test('M2 GEN-15 a proxy in front of the socket is believed where `unix` is trusted, and only there', async () => {
  const publicUrl = ['--hub-public-urls', 'https://hub.example.com']
  const fields = ['Host: hub.example.com', 'X-Forwarded-Proto: https', 'X-Forwarded-For: 192.0.2.1']
  await start(...publicUrl)
  expect(await statusOf(...fields)).toBe(421)
  await hubs.pop()?.dispose()
  const hub = await start(...publicUrl, '--proxy-trusted', 'unix')
  expect(await statusOf(...fields)).toBe(200)
  expect(await statusOf('Host: hub.example.com')).toBe(421)
  // Peers of the port are not those of the socket.
  const headers = { 'X-Forwarded-Proto': 'https', 'X-Forwarded-Host': 'hub.example.com' }
  expect((await fetch(`${hub.url}?match=a`, { headers })).status).toBe(421)
})

test('M2 SUB-33 S5 behind a proxy on the socket streams are counted by the address of the client', async () => {
  await start('--proxy-trusted', 'unix', '--limits-subscribers-per-ip', '1')
  const address = (value: string) => `X-Forwarded-For: ${value}`
  expect(await statusOf(address('192.0.2.1'))).toBe(200)
  expect(await statusOf(address('192.0.2.1'))).toBe(429)
  expect(await statusOf(address('198.51.100.9, 192.0.2.1'))).toBe(429)
  expect(await statusOf(address('192.0.2.2'))).toBe(200)
  const statuses: number[] = []
  for (const forged of ['198.51.100.1', '198.51.100.2', '198.51.100.3'])
    statuses.push(await statusOf(address('192.0.2.3'), `Forwarded: for=${forged}`))
  expect(statuses).toEqual([200, 429, 429])
})

test('its owner and its group may connect, nobody else', async () => {
  await start()
  expect((statSync(path).mode & 0o777).toString(8)).toBe('660')
})

test('SUB-91 the stream is drained at the end, and the file is gone', async () => {
  const hub = await start()
  const reader = subscribe()
  await until('the head', () => reader.head !== '')
  expect(await hub.stop()).toBe(0)
  expect(await reader.ended).toBe(0)
  expect(existsSync(path)).toBe(false)
})

test('the socket of a hub that was killed is replaced', async () => {
  const killed = await start()
  await killed.stop('SIGKILL')
  expect(existsSync(path)).toBe(true)
  await start()
  const reader = subscribe()
  await until('the head', () => reader.head.startsWith('HTTP/1.1 200'))
  reader.close()
})

test('a socket that is in use is refused and left alone', async () => {
  await start()
  const { code, message } = await refusedHub(['--listen', `unix:${path}`])
  expect([code, message]).toEqual([1, `listen: unix:${path} is in use by another process\n`])
  const reader = subscribe()
  await until('the head', () => reader.head.startsWith('HTTP/1.1 200'))
  reader.close()
})

test('a file that is no socket is refused and left alone', async () => {
  await writeFile(path, 'kept')
  const { code, message } = await refusedHub(['--listen', `unix:${path}`])
  expect([code, message]).toEqual([1, `listen: unix:${path} is a file that is no socket\n`])
  expect(await Bun.file(path).text()).toBe('kept')
})

test('sockets of a service manager are refused loudly, not ignored', async () => {
  const { code, message } = await refusedHub(['--listen', '127.0.0.1:0'], { LISTEN_FDS: '1' })
  expect(code).toBe(78)
  expect(message).toContain('socket activation is not supported')
})
