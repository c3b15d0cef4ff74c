import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { metric, type RunningHub, startHub, until } from '../support/binary.ts'
import { HubPool } from '../support/hub-pool.ts'
import { publish } from '../support/publisher.ts'
import { RawConnection, type RawRequest, requestBytes } from '../support/raw-request.ts'
import { StreamClient } from '../support/stream-client.ts'
import { audience, forge, secretOf } from '../support/tokens.ts'

/** How long a stream lives, what it says in silence, and who ends it. */

/** Opened first and looked at last: its stream ends soon, and its connection some seconds later. */
let idle: RawConnection
beforeAll(async () => {
  const hub = await pool.get(['--hub-connection-lifetime', '1s', '--limits-idle', '5s'])
  idle = await openStream(hub)
})

const pool = new HubPool(['--hub-anonymous', '--transport', 'memory'])
afterAll(() => pool.dispose())

const path = '/.well-known/mercure'

async function openStream(hub: RunningHub, fields: RawRequest['fields'] = []): Promise<RawConnection> {
  const connection = await RawConnection.open(hub.origin)
  connection.send(requestBytes(hub.origin, { target: `${path}?match=a`, fields }))
  expect((await connection.answer()).status).toBe(200)
  return connection
}

/** A field with a token that expires then, in milliseconds since the epoch, to the fraction of a second. */
function expiring(expiresAt: number): readonly [string, string] {
  const claims = { iss: 'https://a.example', aud: audience, exp: expiresAt / 1000 }
  return [
    'Authorization',
    `Bearer ${forge({ alg: 'HS256', typ: 'at+jwt' }, claims, secretOf('issuer-a/subscriber'))}`,
  ]
}

/** Opens a stream with a token that expires then, and resolves with when it ended. */
async function endedAt(hub: RunningHub, expiresAt: number): Promise<number> {
  const connection = await openStream(hub, [expiring(expiresAt)])
  await connection.ended()
  connection.close()
  return Date.now()
}

const connected = (hub: RunningHub) => metric(hub, 'mercure_subscribers_connected')

describe('expiry', () => {
  test('SUB-87 SUB-90 AUT-34 AUT-36 a stream ends when its token expires, to the fraction of a second', async () => {
    const hub = await pool.get()
    const base = Date.now()
    const expiries = [base + 700, base + 1250, base + 1500]
    const ends = await Promise.all(expiries.map((expiresAt) => endedAt(hub, expiresAt)))
    for (const [at, end] of ends.entries()) {
      const late = end - (expiries[at] ?? 0)
      expect(late).toBeGreaterThanOrEqual(-2)
      expect(late).toBeLessThan(400)
    }
    expect(await connected(hub)).toBe(0)
  })

  test('SUB-88 a token that expires in the year 2100 does not end its stream', async () => {
    const hub = await pool.get(['--hub-connection-lifetime', '0'])
    const connection = await openStream(hub, [expiring(4_102_444_800_000)])
    // A stream that overflowing timers end is gone before another one has come and expired.
    await endedAt(hub, Date.now() + 300)
    const id = await publish(hub.url, { topic: 'a' })
    await until('the update', () => connection.events.some((event) => event.id === id))
    expect(connection.isClosed).toBe(false)
    connection.close()
  })
})

describe('lifetime', () => {
  test('SUB-89 every connection ends between 80 % and 100 % of the lifetime, not all at once', async () => {
    const hub = await pool.get(['--hub-connection-lifetime', '2s'])
    const start = performance.now()
    const connections = await Promise.all(Array.from({ length: 40 }, () => openStream(hub)))
    const ends = await Promise.all(
      connections.map(async (connection) => {
        await connection.ended()
        connection.close()
        return performance.now() - start
      }),
    )
    expect(Math.min(...ends)).toBeGreaterThanOrEqual(1590)
    expect(Math.max(...ends)).toBeLessThan(2600)
    expect(Math.max(...ends) - Math.min(...ends)).toBeGreaterThan(150)
  })

  test('SUB-92 a client that goes away is noticed, however it goes', async () => {
    const hub = await pool.get()
    const before = await connected(hub)
    const readers = await Promise.all(
      Array.from({ length: 20 }, () => StreamClient.open(`${hub.url}?match=a`)),
    )
    expect(await connected(hub)).toBe(before + 20)
    for (const reader of readers) reader.close()
    await until('their end', async () => (await connected(hub)) === before)
    const controller = new AbortController()
    const response = await fetch(`${hub.url}?match=a`, { signal: controller.signal })
    expect(response.status).toBe(200)
    controller.abort()
    await until('its end', async () => (await connected(hub)) === before)
  })
})

describe('silence', () => {
  test('SUB-85 a comment comes after silence, and none while updates come', async () => {
    const hub = await pool.get(['--hub-heartbeat', '1s'])
    const reader = await StreamClient.open(`${hub.url}?match=a`)
    const comments = () => reader.lines.filter((line) => line.startsWith(':')).length
    await until('the first bytes', () => reader.lines.length > 0)
    const opening = comments()
    const busyUntil = performance.now() + 1500
    while (performance.now() < busyUntil) await publish(hub.url, { topic: 'a' })
    expect(comments()).toBe(opening)
    const quietSince = performance.now()
    await until('a comment', () => comments() === opening + 1)
    expect(performance.now() - quietSince).toBeGreaterThan(700)
    await until('another comment', () => comments() === opening + 2)
    reader.close()
  })

  test('SUB-86 the reconnection time that is configured opens the stream', async () => {
    const hub = await pool.get(['--hub-retry', '2s'])
    const reader = await StreamClient.open(`${hub.url}?match=a`)
    await until('the first line', () => reader.lines.length > 0)
    expect(reader.lines[0]).toBe('retry: 2000')
    reader.close()
  })
})

test('SUB-65 SEC-14 a reader that takes nothing is cut, comes back with its cursor, and holds nobody up', async () => {
  await using hub = await startHub({ flags: ['--hub-anonymous', '--transport', 'memory'] })
  const [slow, swift] = await Promise.all([1, 2].map(() => StreamClient.open(`${hub.url}?match=a`)))
  if (slow === undefined || swift === undefined) throw new Error('two readers')
  const first = await publish(hub.url, { topic: 'a' })
  await until('the first update', () => slow.events.length === 1)
  slow.pause()
  const ids: string[] = []
  for (let n = 0; n < 40; n++) ids.push(await publish(hub.url, { topic: 'a', data: 'x'.repeat(500_000) }))
  await until('the cut', async () => (await metric(hub, 'cinnabar_slow_readers_total')) === 1)
  await until('all of it', () => swift.events.length === 41)
  expect(swift.ids).toEqual([first, ...ids])
  expect(await connected(hub)).toBe(1)
  await until('no bytes that wait', async () => (await metric(hub, 'cinnabar_subscriber_buffer_bytes')) === 0)
  expect(hub.log()).not.toContain('"level":"error"')
  for (const line of hub.log().trimEnd().split('\n')) expect(() => JSON.parse(line)).not.toThrow()
  slow.close()
  const again = await StreamClient.open(`${hub.url}?match=a&last_event_id=${first}`)
  await until('what it missed', () => again.events.length === 40)
  expect(again.ids).toEqual(ids)
})

test('SEC-14 a reader that stops reading fills no more of the kernel than its buffer allows', async () => {
  await using hub = await startHub({
    flags: ['--hub-anonymous', '--transport', 'memory', '--limits-subscriber-buffer', '256KiB'],
  })
  const slow = await StreamClient.open(`${hub.url}?match=a`)
  await until('the first bytes', () => slow.lines.length > 0)
  slow.pause()
  let waiting = 0
  // The reader's own kernel takes a part of it, the hub's kernel 1 MiB; without a limit that would be more than 2.
  for (let sent = 0; waiting === 0 && sent < 2_000_000; sent += 100_000) {
    await publish(hub.url, { topic: 'a', data: 'x'.repeat(100_000) })
    waiting = await metric(hub, 'cinnabar_subscriber_buffer_bytes')
  }
  expect(waiting).toBeGreaterThan(0)
  slow.close()
})

test('a connection whose stream has ended waits a while for another request and is closed', async () => {
  expect(idle.received).toEndWith('\r\n0\r\n\r\n')
  await until('its end', () => idle.isClosed)
})
