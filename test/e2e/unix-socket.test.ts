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
beforeEach(async () => {
  folder = await temporaryFolder()
  path = join(folder.path, 'hub.sock')
})
afterEach(async () => {
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
