import { describe, expect, test } from 'bun:test'
import { metric, residentBytes, startHub, until } from '../support/binary.ts'
import { publish } from '../support/publisher.ts'
import { RawConnection, requestBytes } from '../support/raw-request.ts'
import { unnamed } from '../support/refusal-text.ts'
import { StreamClient } from '../support/stream-client.ts'
import { tokenFor } from '../support/tokens.ts'

const target = '/.well-known/mercure'
const form = ['Content-Type', 'application/x-www-form-urlencoded'] as const

/** Matchers of some length, as the body of a QUERY. */
const matchers = (count: number, length: number, name = 'x') =>
  Array.from(
    { length: count },
    (_, at) => `match=${encodeURIComponent(`${name}${at}`.padEnd(length, '€'))}`,
  ).join('&')

describe('S2 subscription events of a crowd with long matchers', () => {
  test('a connection whose events would be too large is refused, and nothing is stored', async () => {
    await using hub = await startHub({ flags: ['--hub-anonymous', '--hub-subscriptions'] })
    const connection = await RawConnection.open(hub.origin)
    const request = { method: 'QUERY', target, fields: [form], body: matchers(25, 4090) }
    connection.send(requestBytes(hub.origin, request))
    const { status, text } = await connection.answer()
    connection.close()
    expect([status, unnamed(text)]).toEqual([400, 'the matchers are too long to be announced\n'])
    expect(await metric(hub, 'cinnabar_history_rows')).toBe(0)
  })

  test('H4 whoever comes and goes pushes no update out of the past, and takes a tenth of it', async () => {
    await using hub = await startHub({
      flags: ['--hub-anonymous', '--hub-subscriptions', '--history-max-count', '1000'],
    })
    const published: string[] = []
    for (let n = 0; n < 950; n++) published.push(await publish(hub.url, { topic: 'a', id: `e${n}` }))
    for (let round = 0; round < 20; round++) {
      const connection = await RawConnection.open(hub.origin)
      const request = { method: 'QUERY', target, fields: [form], body: matchers(100, 10, `${round}-`) }
      connection.send(requestBytes(hub.origin, request))
      expect((await connection.answer()).status).toBe(200)
      connection.close()
    }
    await until('all told', async () => (await metric(hub, 'mercure_subscribers_connected')) === 0)
    await until('all stored', async () => (await metric(hub, 'cinnabar_announcing_bytes')) === 0)
    expect(await metric(hub, 'cinnabar_history_rows')).toBe(1000)
    const reader = await StreamClient.open(`${hub.url}?match=a&last_event_id=earliest`)
    await until('the past', () => reader.ids.at(-1) === 'e949')
    expect(reader.ids).toEqual(published.slice(-900))
    reader.close()
  })

  test('connections that come and go leave memory within its limit, and all of them are told', async () => {
    await using hub = await startHub({
      flags: ['--hub-anonymous', '--hub-subscriptions', '--limits-memory', '256MiB'],
    })
    const request = { method: 'QUERY', target, fields: [form], body: matchers(2, 4090) }
    const bytes = requestBytes(hub.origin, request)
    const visit = async () => {
      const connection = await RawConnection.open(hub.origin)
      connection.send(bytes)
      const { status } = await connection.answer()
      connection.close()
      return status
    }
    let peak = 0
    const statuses: number[] = []
    for (let round = 0; round < 40; round++) {
      statuses.push(...(await Promise.all(Array.from({ length: 20 }, visit))))
      peak = Math.max(peak, await residentBytes(hub.pid))
    }
    expect(peak).toBeLessThan(256 * 1024 * 1024)
    // Those who come while too much is still to be told are asked to come later.
    expect(statuses.filter((status) => status !== 200 && status !== 503)).toEqual([])
    expect(statuses).toContain(200)
    await until('all told', async () => (await metric(hub, 'cinnabar_announcing_bytes')) === 0)
    expect(await visit()).toBe(200)
  })

  test('the list of very many subscriptions comes in pieces, and the others have their turn', async () => {
    await using hub = await startHub({
      flags: [
        '--hub-anonymous',
        '--hub-subscriptions',
        '--limits-announcement',
        '0',
        '--history-max-count',
        '10',
      ],
    })
    const connections: RawConnection[] = []
    for (let n = 0; n < 60; n++) {
      const connection = await RawConnection.open(hub.origin)
      connections.push(connection)
      const request = { method: 'QUERY', target, fields: [form], body: matchers(100, 250, `${n}-`) }
      connection.send(requestBytes(hub.origin, request))
      expect((await connection.answer()).status).toBe(200)
      await until('all told', async () => (await metric(hub, 'cinnabar_announcing_bytes')) === 0)
    }
    const token = await tokenFor({ role: 'subscriber', subscribe: ['*'] })
    const headers = { authorization: `Bearer ${token}` }
    const response = await fetch(`${hub.origin}${target}/subscriptions`, { headers })
    expect(response.headers.get('content-length')).toBeNull()
    const { subscriptions } = (await response.json()) as {
      subscriptions: { match: string; active: boolean }[]
    }
    expect(subscriptions).toHaveLength(6000)
    expect(new Set(subscriptions.map(({ match }) => match)).size).toBe(6000)
    const head = await fetch(`${hub.origin}${target}/subscriptions`, { method: 'HEAD', headers })
    expect([head.status, head.headers.get('etag'), await head.text()]).toEqual([
      200,
      response.headers.get('etag'),
      '',
    ])
    for (const connection of connections) connection.close()
  })
})
