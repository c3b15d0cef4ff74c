import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type RunningHub, startHub, until } from '../support/binary.ts'
import { post, publish } from '../support/publisher.ts'
import { rawRequest } from '../support/raw-request.ts'
import { unnamed } from '../support/refusal-text.ts'
import { StreamClient } from '../support/stream-client.ts'
import { secretIssuers, tokenFor } from '../support/tokens.ts'

/**
 * Requirements of the protocol contract that need no more than a few requests each, seen on the executable,
 * one test for each that has none of its own elsewhere.
 */
let hub: RunningHub
beforeAll(async () => {
  hub = await startHub({
    flags: [
      '--hub-anonymous',
      '--transport',
      'memory',
      '--limits-matchers',
      '5',
      '--limits-pattern',
      '200',
      '--limits-body',
      '2000',
    ],
  })
})
afterAll(() => hub.dispose())

const status = async (query: string, headers: Record<string, string> = {}) => {
  const { hostname, port, pathname } = new URL(hub.url)
  const fields = Object.entries(headers)
  return (await rawRequest(`http://${hostname}:${port}`, { target: `${pathname}?${query}`, fields })).status
}
const form = ['Content-Type', 'application/x-www-form-urlencoded'] as const
const query = (target: string, body: string, type: readonly (readonly [string, string])[] = [form]) =>
  rawRequest(hub.origin, { method: 'QUERY', target: `/.well-known/mercure${target}`, fields: type, body })

/** What a reader of the matchers gets of the updates, in order. */
async function received(
  matchers: string,
  publications: readonly Record<string, string | readonly string[]>[],
) {
  const reader = await StreamClient.open(`${hub.url}?${matchers}&match=end-of-test`)
  for (const fields of publications) await publish(hub.url, fields)
  const last = await publish(hub.url, { topic: 'end-of-test' })
  await until('the end', () => reader.ids.includes(last))
  reader.close()
  return reader.events.slice(0, -1)
}

describe('topics, matchers and fields on the wire', () => {
  test('GEN-07 MAT-10 nothing is normalized: not the form of letters, not their case, not their blanks', async () => {
    const topics = ['caf\u00e9', 'cafe\u0301', 'CAF\u00c9', ' caf\u00e9', 'caf%C3%A9']
    const events = await received(
      `match=${encodeURIComponent('caf\u00e9')}`,
      topics.map((topic, at) => ({ topic, data: String(at) })),
    )
    expect(events.map(({ data }) => data)).toEqual(['0'])
  })

  test('GEN-10 GEN-13 another hub path moves everything below it, and relative references with it', async () => {
    const other = await startHub({
      flags: [
        '--hub-path',
        '/realtime/hub',
        '--hub-anonymous',
        '--hub-resource-identifier',
        'https://hub.example.com/realtime/hub',
      ],
    })
    const url = `${other.origin}/realtime/hub`
    const token = await tokenFor({ publish: ['*'], audience: 'https://hub.example.com/realtime/hub' })
    const reader = await StreamClient.open(`${url}?match_urlpattern=/realtime/foo`)
    const id = await publish(url, { topic: 'foo' }, token)
    await until('the relative topic', () => reader.ids.includes(id))
    expect((await post(url, { topic: 'hub/x' }, token)).status).toBe(400)
    expect((await post(url, { topic: '/.well-known/mercure' }, token)).status).toBe(200)
    expect((await fetch(`${other.origin}/.well-known/mercure?match=a`)).status).toBe(404)
    reader.close()
    await other.dispose()
  })

  test('GEN-20 SUB-06 GET subscribes with any mix of matchers, POST publishes', async () => {
    const mix = 'match=a&match_exact=b&match_urlpattern=/c/:id&match=a'
    const events = await received(mix, [
      { topic: 'b' },
      { topic: '/c/1' },
      { topic: 'x' },
      { topic: ['y', 'a'] },
    ])
    expect(events).toHaveLength(3)
  })

  test.each(['Match', 'matches', 'match_', 'match_Exact', 'matchurlpattern', 'match[]', 'MATCH_EXACT'])(
    'SUB-07 the reserved name %s makes the whole request fail',
    async (name) => {
      expect(await status(`match=a&${name}=b`)).toBe(400)
    },
  )

  test('SUB-09 SUB-10 SUB-18 other parameters are ignored, credentials among them', async () => {
    const token = await tokenFor({ subscribe: ['*'] })
    expect(
      await status(`match=a&topic=b&foo=bar&%EF%BB%BFmatch=c&access_token=${token}&authorization=${token}`),
    ).toBe(200)
    const strict = await startHub({ flags: ['--transport', 'local'] })
    expect((await fetch(`${strict.url}?match=a&access_token=${token}&authorization=${token}`)).status).toBe(
      401,
    )
    await strict.dispose()
  })

  test('SUB-11 SUB-12 SUB-13 SUB-16 a request without a good matcher is refused and told nothing of the inside', async () => {
    const wrong = [
      '',
      'foo=bar',
      'match=',
      'match=%00',
      'match=%E2%80%8D',
      'match_urlpattern=%7Bunclosed',
      'match=%FF',
    ]
    for (const target of wrong) {
      const { hostname, port } = new URL(hub.origin)
      const answer = await rawRequest(`http://${hostname}:${port}`, {
        target: `/.well-known/mercure?${target}`,
      })
      expect(answer.status).toBe(400)
      expect(unnamed(answer.text)).toMatch(/^[a-z][a-z _,:A-Z0-9-]{0,80}\n$/)
      expect(answer.text).not.toMatch(/Error|RegExp|\/src|\bat /)
    }
  })

  test('SUB-20 SUB-21 SUB-25 the body of a QUERY is a form within the limit and adds to the query', async () => {
    expect((await query('?match=a', 'match=b')).status).toBe(200)
    expect(
      (await query('', 'match=b', [['Content-Type', 'Application/X-WWW-Form-URLEncoded; charset=x']])).status,
    ).toBe(200)
    expect((await query('?match=a', 'match=b', [['Content-Type', 'text/plain']])).status).toBe(400)
    expect((await query('?match=a', 'match=b', [])).status).toBe(400)
    expect((await query('?match=a', `match=${'x'.repeat(2001)}`)).status).toBe(413)
  })

  test('SUB-30 SEC-06 too many and too long matchers are 400', async () => {
    expect(await status(Array.from({ length: 5 }, (_, at) => `match=${at}`).join('&'))).toBe(200)
    expect(await status(Array.from({ length: 6 }, (_, at) => `match=${at}`).join('&'))).toBe(400)
    expect(await status(`match=${'x'.repeat(200)}`)).toBe(200)
    expect(await status(`match=${'x'.repeat(201)}`)).toBe(400)
  })

  test('MAT-21 paths keep their case, schemes and hosts do not', async () => {
    const pattern = `match_urlpattern=${encodeURIComponent('https://EXAMPLE.com/Books/:id')}`
    const events = await received(pattern, [
      { topic: 'https://example.COM/Books/1', data: 'host' },
      { topic: 'https://example.com/books/1', data: 'path' },
    ])
    expect(events.map(({ data }) => data)).toEqual(['host'])
  })

  test('MAT-23 an absolute pattern with an opaque path is not resolved against the hub', async () => {
    const events = await received(`match_urlpattern=${encodeURIComponent('tenant:*')}`, [
      { topic: 'tenant:acme/orders/new' },
    ])
    expect(events).toHaveLength(1)
  })
})

describe('publications on the wire', () => {
  const statusOf = async (fields: Record<string, string | readonly string[]>, token?: string) =>
    (await post(hub.url, fields, token)).status

  test('PUB-05 PUB-10 PUB-11 every topic is checked, unknown fields are not', async () => {
    expect(await statusOf({ topic: ['a', 'a'], other: 'x', 'private ': 'x' })).toBe(200)
    expect(await statusOf({ data: 'x' })).toBe(400)
    expect(await statusOf({ topic: ['a', 'b\n'] })).toBe(400)
    expect(await statusOf({ topic: ['a', '*'] })).toBe(400)
    expect(await statusOf({ topic: ['a', 'mercure/x'] })).toBe(400)
  })

  test('PUB-15 PUB-19 SEC-02 what only contains the hub path is not reserved, what resolves to it is', async () => {
    expect(await statusOf({ topic: 'foo/.well-known/mercure/bar' })).toBe(200)
    expect(await statusOf({ topic: '/.well-known/mercure-dashboard' })).toBe(200)
    expect(await statusOf({ topic: '/x/../.well-known/mercure/subscriptions' })).toBe(400)
    expect(await statusOf({ topic: 'a', type: 'mercure' })).toBe(400)
  })

  test('PUB-21 data may hold control and format characters', async () => {
    const data = 'a\0b\u200Dc\u0007'
    const events = await received('match=d', [{ topic: 'd', data }])
    expect(events.map((event) => event.data)).toEqual([data])
  })

  test.each(['on', '', '0', 'false', 'off'])('PUB-25 private=%j marks the update private', async (value) => {
    expect(await received('match=p', [{ topic: 'p', private: value }])).toEqual([])
  })

  test('PUB-31 PUB-35 ids are used as they are, may repeat, and may not be the reserved ones', async () => {
    const events = await received('match=i', [
      { topic: 'i', id: 'again' },
      { topic: 'i', id: 'again' },
      { topic: 'i', id: 'Earliest' },
    ])
    expect(events.map(({ id }) => id)).toEqual(['again', 'again', 'Earliest'])
    for (const id of ['#x', 'earliest', 'a\nb', 'a\u200Db'])
      expect(await statusOf({ topic: 'i', id })).toBe(400)
  })

  test('PUB-33 PUB-34 an id of the hub is a random IRI', async () => {
    const ids = [await publish(hub.url, { topic: 'i' }), await publish(hub.url, { topic: 'i', id: '' })]
    for (const id of ids)
      expect(id).toMatch(/^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(ids[0]).not.toBe(ids[1])
  })

  test('PUB-40 PUB-41 PUB-45 type and retry are checked, and empty ones are absent', async () => {
    expect(await statusOf({ topic: 'a', type: '', retry: '' })).toBe(200)
    expect(await statusOf({ topic: 'a', type: 'Mercure', retry: '0010' })).toBe(200)
    for (const type of ['a\nb', 'a\u0085', 'mercure']) expect(await statusOf({ topic: 'a', type })).toBe(400)
    for (const retry of ['-1', '+1', '1.5', '1e3', ' 1', '\u0661'])
      expect(await statusOf({ topic: 'a', retry })).toBe(400)
  })

  test('PUB-50 AUT-70 every topic needs a grant, be it of another detail, and nothing goes out without', async () => {
    const reader = await StreamClient.open(`${hub.url}?match=one&match=two`)
    const both = await tokenFor({ publish: ['one', 'two'] })
    const one = await tokenFor({ publish: ['one'] })
    expect(await statusOf({ topic: ['one', 'two'] }, one)).toBe(403)
    expect(await statusOf({ topic: 'one' }, await tokenFor({ subscribe: ['one'], role: 'publisher' }))).toBe(
      403,
    )
    const id = await publish(hub.url, { topic: ['one', 'two'] }, both)
    await until('the granted one', () => reader.ids.includes(id))
    expect(reader.ids).toEqual([id])
    reader.close()
  })
})

describe('tokens on the wire', () => {
  test('SUB-42 SEC-04 an invalid token is refused on an anonymous hub too', async () => {
    const token = await tokenFor({ subscribe: ['a'], audience: 'https://other.example/' })
    expect(await status('match=a', { Authorization: `Bearer ${token}` })).toBe(401)
    expect(await status('match=a')).toBe(200)
  })

  test('AUT-02 the scheme is read in any case, with one or more blanks', async () => {
    const token = await tokenFor({ subscribe: ['a'] })
    expect(await status('match=a', { Authorization: `bEaReR   ${token}` })).toBe(200)
    expect(await status('match=a', { Authorization: `Bearer${token}` })).toBe(400)
  })

  test('AUT-05 a token in the URL or in the form authorizes nothing', async () => {
    const token = await tokenFor({ publish: ['*'] })
    const url = `${hub.url}?access_token=${token}&authorization=${token}`
    const body = new URLSearchParams({ topic: 'a', access_token: token, authorization: token })
    expect((await fetch(url, { method: 'POST', body })).status).toBe(401)
  })

  test('ERR-01 ERR-02 ERR-04 ERR-05 ERR-06 the challenge says what is wrong, points to the metadata, and no more', async () => {
    const metadata =
      'resource_metadata="https://hub.example.com/.well-known/oauth-protected-resource/.well-known/mercure"'
    const expired = await tokenFor({ publish: ['*'], expiresAt: Date.now() - 1000 })
    const foreign = await tokenFor({ publish: ['*'], issuer: 'https://unknown.example' })
    const [one, two] = [
      await post(hub.url, { topic: 'a' }, expired),
      await post(hub.url, { topic: 'a' }, foreign),
    ]
    for (const response of [one, two]) {
      expect(response.status).toBe(401)
      expect(response.headers.get('www-authenticate')).toBe(`Bearer error="invalid_token", ${metadata}`)
    }
    expect(unnamed(await one.text())).toBe(unnamed(await two.text()))
    const scope = await post(hub.url, { topic: 'b' }, await tokenFor({ publish: ['a'] }))
    expect(scope.headers.get('www-authenticate')).toBe(`Bearer error="insufficient_scope", ${metadata}`)
    const malformed = await fetch(hub.url, { method: 'POST', headers: { Authorization: 'Basic eA==' } })
    expect([malformed.status, malformed.headers.get('www-authenticate')]).toEqual([
      400,
      `Bearer error="invalid_request", ${metadata}`,
    ])
    expect((await fetch(hub.url)).headers.get('www-authenticate')).toBeNull()
  })

  test('SEC-13 AUT-27 publishers and subscribers have different keys', async () => {
    expect(secretIssuers[0]?.publisher?.key).not.toBe(secretIssuers[0]?.subscriber?.key)
    const token = await tokenFor({ publish: ['*'], role: 'subscriber' })
    expect((await post(hub.url, { topic: 'a' }, token)).status).toBe(401)
  })
})

describe('cursors on the wire', () => {
  test('REC-01 REC-03 REC-06 SUB-52 a cursor is taken from the field, the query and the body, and answered', async () => {
    const first = await publish(hub.url, { topic: 'cursor', data: '1' })
    await publish(hub.url, { topic: 'cursor', data: '2' })
    const field = async (target: string, headers = {}) =>
      (
        await rawRequest(hub.origin, {
          target: `/.well-known/mercure?${target}`,
          fields: Object.entries(headers),
        })
      ).headers.get('mercure-last-event-id')
    expect(await field('match=cursor')).toBeNull()
    expect(await field('match=cursor', { 'Last-Event-ID': first })).toBe(first)
    expect(await field(`match=cursor&last_event_id=${first}`)).toBe(first)
    expect(await field('match=cursor&last_event_id=')).toBe('earliest')
    const answer = await query('', `match=cursor&last_event_id=${first}`)
    expect(answer.headers.get('mercure-last-event-id')).toBe(first)
    const reader = await StreamClient.open(`${hub.url}?match=cursor&last_event_id=earliest`)
    await until('the past', () => reader.events.length === 2)
    expect(reader.headers.get('mercure-last-event-id')).toBe('earliest')
    reader.close()
  })

  test('REC-11 REC-17 SEC-07 a replay is authorized again, and names no id that was not asked for', async () => {
    const open = await publish(hub.url, { topic: 'replay' })
    const secret = await publish(hub.url, { topic: 'replay', private: 'on' })
    const token = await tokenFor({ subscribe: ['replay'] })
    const may = await StreamClient.open(`${hub.url}?match=replay&last_event_id=${open}`, {
      Authorization: `Bearer ${token}`,
    })
    const mayNot = await StreamClient.open(`${hub.url}?match=replay&last_event_id=${open}`)
    const unknown = await StreamClient.open(`${hub.url}?match=replay&last_event_id=unknown`)
    const last = await publish(hub.url, { topic: 'replay' })
    await until('the last', () => [may, mayNot, unknown].every(({ ids }) => ids.includes(last)))
    expect([may.ids, mayNot.ids, unknown.ids]).toEqual([[secret, last], [last], [last]])
    expect(unknown.headers.get('mercure-last-event-id')).toBe('earliest')
    for (const reader of [may, mayNot, unknown]) reader.close()
  })
})

describe('hardening on the wire', () => {
  test('SEC-17 every answer carries the fields, streams and errors included', async () => {
    const targets = ['?match=a', '', '/none']
    for (const target of targets) {
      const { headers } = await rawRequest(hub.origin, { target: `/.well-known/mercure${target}` })
      expect(headers.get('x-content-type-options')).toBe('nosniff')
      expect(headers.get('x-frame-options')).toBe('DENY')
      expect(headers.get('content-security-policy')).toContain("default-src 'none'")
    }
  })

  test('SUB-56 nothing is compressed, so that nothing waits for a flush', async () => {
    const reader = await StreamClient.open(`${hub.url}?match=a`, { 'Accept-Encoding': 'gzip, br' })
    expect(reader.headers.get('content-encoding')).toBeNull()
    reader.close()
  })

  test('SEC-05 SEC-10 tokens that expire end their streams, and cookies publish from listed origins only', async () => {
    const token = await tokenFor({ subscribe: ['a'], expiresAt: Date.now() + 700 })
    const { events } = await endOf(token)
    expect(events).toEqual([])
    const publisher = await tokenFor({ publish: ['*'] })
    const cookie = { Cookie: `__Secure-mercure_access_token=${publisher}`, Origin: 'https://evil.example' }
    const body = new URLSearchParams({ topic: 'a' })
    expect((await fetch(hub.url, { method: 'POST', headers: cookie, body })).status).toBe(400)
  })
})

/** A whole stream, from its head to the end that the hub puts to it. */
async function endOf(token: string): Promise<{ readonly events: readonly string[] }> {
  const response = await fetch(`${hub.url}?match=a`, { headers: { Authorization: `Bearer ${token}` } })
  const text = await response.text()
  return { events: text.split('\n').filter((line) => line.startsWith('id:')) }
}
