import { afterAll, describe, expect, test } from 'bun:test'
import { metric, type RunningHub, until } from '../support/binary.ts'
import { CurlStream } from '../support/curl.ts'
import { HubPool } from '../support/hub-pool.ts'
import { RawConnection, rawRequest, requestBytes } from '../support/raw-request.ts'
import { StreamClient } from '../support/stream-client.ts'
import { tokenFor } from '../support/tokens.ts'

/** Many at once: a limit of open streams holds however close together they come, and forgets nobody. */

const path = '/.well-known/mercure'
const pool = new HubPool(['--hub-anonymous', '--transport', 'memory'])
afterAll(() => pool.dispose())

const target = `${path}?match=a&match_urlpattern=/a/:b`
const times = <T>(count: number, make: (n: number) => T): T[] =>
  Array.from({ length: count }, (_, n) => make(n))
let tokens = 0
/** A token that the hub has not seen: it is verified while others come. */
const newToken = () => tokenFor({ subscribePatterns: ['/a/:b'], subject: `${++tokens}`, id: `${tokens}` })
const connected = (hub: RunningHub) => metric(hub, 'mercure_subscribers_connected')
const nobody = (hub: RunningHub) => until('nobody', async () => (await connected(hub)) === 0)
const bearer = (token: string) => ({ Authorization: `Bearer ${token}` })

/** So many are let in at once, and not more. They leave again. */
async function expectRoomFor(hub: RunningHub, limit: number, token: string | null): Promise<void> {
  const fields = token === null ? {} : bearer(token)
  const readers = await Promise.all(times(200, () => StreamClient.open(`${hub.origin}${target}`, fields)))
  const statuses = Map.groupBy(readers, ({ status }) => status)
  expect([...statuses.keys()].toSorted()).toEqual([200, 429])
  expect(statuses.get(200)).toHaveLength(limit)
  expect(await connected(hub)).toBe(limit)
  for (const reader of readers) reader.close()
  await nobody(hub)
}

describe('S4 SUB-33 200 requests at once', () => {
  const limits: readonly (readonly [what: string, flags: readonly string[], hasToken: boolean])[] = [
    ['with a new token, in total', ['--limits-subscribers', '5'], true],
    ['of anybody, in total', ['--limits-subscribers', '5'], false],
    ['with a new token, from one address', ['--limits-subscribers-per-ip', '5'], true],
    ['of anybody, from one address', ['--limits-subscribers-per-ip', '5'], false],
    ['with a new token, of that token', ['--limits-subscribers-per-token', '5'], true],
  ]
  for (const [what, flags, hasToken] of limits) {
    test(`${what}, are let in up to the limit`, async () => {
      const hub = await pool.get(flags)
      await expectRoomFor(hub, 5, hasToken ? await newToken() : null)
    })
  }

  test('over HTTP/2 are let in up to the limit, and leave room again', async () => {
    const hub = await pool.get(['--limits-subscribers', '5'])
    const streams = times(
      40,
      () => new CurlStream(['--http2-prior-knowledge', '-m', '20', `${hub.origin}${target}`]),
    )
    await until('answers', () => streams.every(({ head }) => head !== ''))
    expect(streams.filter(({ head }) => head.startsWith('HTTP/2 200'))).toHaveLength(5)
    expect(streams.filter(({ head }) => head.startsWith('HTTP/2 429'))).toHaveLength(35)
    for (const stream of streams) stream.close()
    await nobody(hub)
    await expectRoomFor(hub, 5, null)
  })
})

test('S14 SUB-33 SEC-04 another spelling of a signature is no other token for its limit, but none at all', async () => {
  const hub = await pool.get(['--limits-subscribers-per-token', '1'])
  // Without a subject the token itself is the holder.
  const token = await tokenFor({ subscribe: ['a'], subject: undefined, id: 'spelled' })
  const first = await StreamClient.open(`${hub.origin}${target}`, bearer(token))
  const spelled = [...'AEIMQUYcgkosw048BFJNRVZdhlptx159'].map((last) => token.slice(0, -1) + last)
  const statuses = await Promise.all(
    spelled.map(
      async (one) => (await rawRequest(hub.origin, { target, fields: Object.entries(bearer(one)) })).status,
    ),
  )
  expect([first.status, ...statuses]).toEqual([200, ...spelled.map((one) => (one === token ? 429 : 401))])
  first.close()
  await nobody(hub)
})

describe('S4 SUB-33 what was counted and came to nothing leaves room', () => {
  const flags = ['--limits-subscribers', '5']

  test('HEAD, which opens no stream', async () => {
    const hub = await pool.get(flags)
    for (const token of [null, await newToken()]) {
      const fields = token === null ? [] : Object.entries(bearer(token))
      const answers = await Promise.all(
        times(100, () => rawRequest(hub.origin, { method: 'HEAD', target, fields })),
      )
      // More than five may be under way together.
      for (const { status } of answers) expect([200, 429]).toContain(status)
      await expectRoomFor(hub, 5, token)
    }
  })

  test('refusals after it was counted', async () => {
    const hub = await pool.get(flags)
    const bad = `${path}?match_urlpattern=/:a/:a`
    const heavy = `${path}?match_urlpattern=/(a{6000})`
    for (const wrong of [bad, heavy, bad, heavy, bad, heavy, bad]) {
      expect((await rawRequest(hub.origin, { target: wrong })).status).toBe(400)
    }
    await expectRoomFor(hub, 5, null)
  })

  const moments: readonly (readonly [
    what: string,
    moment: (connection: RawConnection) => Promise<unknown>,
  ])[] = [
    ['before they could be answered', async () => {}],
    ['with their answer on its way', (connection) => connection.answer().catch(() => null)],
  ]
  for (const [what, moment] of moments) {
    test(`connections that are gone ${what}`, async () => {
      const hub = await pool.get(flags)
      const fields = Object.entries(bearer(await newToken()))
      for (let round = 0; round < 10; round++) {
        const connections = await Promise.all(times(20, () => RawConnection.open(hub.origin)))
        for (const [n, connection] of connections.entries()) {
          // Compiled in several turns, between which the connection may be gone.
          const patterns = times(60, (at) => `match_urlpattern=/${round}/${n}/${at}/:x(\\d%2b)`).join('&')
          connection.send(requestBytes(hub.origin, { target: `${path}?${patterns}`, fields }))
        }
        await Promise.all(connections.map((connection) => moment(connection)))
        for (const connection of connections) connection.close()
      }
      await nobody(hub)
      await until('room', async () => {
        const reader = await StreamClient.open(`${hub.origin}${target}`)
        reader.close()
        return reader.status === 200
      })
      await nobody(hub)
      await expectRoomFor(hub, 5, null)
      await until('no weight', async () => (await metric(hub, 'cinnabar_pattern_weight')) === 0)
    })
  }

  test('HTTP/2 streams that are reset before they could be answered', async () => {
    const hub = await pool.get(flags)
    for (let round = 0; round < 3; round++) {
      const token = await newToken()
      const streams = times(
        10,
        () =>
          new CurlStream([
            '--http2-prior-knowledge',
            '-H',
            `Authorization: Bearer ${token}`,
            `${hub.origin}${target}`,
          ]),
      )
      for (const stream of streams) stream.close()
      await Promise.all(streams.map(({ ended }) => ended))
    }
    await nobody(hub)
    await until('room', async () => {
      const readers = await Promise.all(times(5, () => StreamClient.open(`${hub.origin}${target}`)))
      for (const reader of readers) reader.close()
      return readers.every(({ status }) => status === 200)
    })
    await nobody(hub)
    await expectRoomFor(hub, 5, null)
  })
})
