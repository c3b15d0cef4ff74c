import { Database } from 'bun:sqlite'
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { metric, type RunningHub, startHub, until } from '../support/binary.ts'
import { post, publish } from '../support/publisher.ts'
import { type RawAnswer, type RawRequest, rawRequest } from '../support/raw-request.ts'
import { unnamed } from '../support/refusal-text.ts'
import { StreamClient } from '../support/stream-client.ts'
import { tokenFor } from '../support/tokens.ts'

/** Every row of the error table of section 5, over the wire. */

const path = '/.well-known/mercure'
const app = 'https://app.example.com'
const metadata = `resource_metadata="https://hub.example.com/.well-known/oauth-protected-resource${path}"`
const form = ['Content-Type', 'application/x-www-form-urlencoded'] as const
const exposed = 'Link, Mercure-Last-Event-ID, WWW-Authenticate, Retry-After'

let hub: RunningHub
let reader: string
let publisher: string
beforeAll(async () => {
  const limits = ['--limits-matchers', '2', '--limits-pattern', '100', '--limits-topics', '2']
  const sizes = ['--limits-field', '100', '--limits-body', '1000']
  const origins = ['--hub-cors-origins', app, '--hub-publish-origins', app]
  hub = await startHub({ flags: ['--transport', 'memory', ...limits, ...sizes, ...origins] })
  reader = await tokenFor({ subscribe: ['*'] })
  publisher = await tokenFor({ publish: ['a', '#x', '*'] })
})
afterAll(() => hub.dispose())

interface Row {
  readonly title: string
  readonly request: () => RawRequest | Promise<RawRequest>
  readonly status: number
  /** Null: no challenge is needed, so none is sent. */
  readonly challenge: string | null
  readonly text: string
}

const subscribing = (query: string): RawRequest => ({ target: `${path}?${query}`, fields: [bearer(reader)] })
const publishing = (body: string): RawRequest => ({
  method: 'POST',
  target: path,
  fields: [form, bearer(publisher)],
  body,
})
const bearer = (token: string) => ['Authorization', `Bearer ${token}`] as const
const noTopic = { method: 'POST', target: path, body: 'topic=a' }
const cookie = () => ['Cookie', `__Secure-mercure_access_token=${publisher}`] as const

const missing = { status: 401, challenge: `Bearer ${metadata}`, text: 'a token is required\n' }
const invalid = {
  status: 401,
  challenge: `Bearer error="invalid_token", ${metadata}`,
  text: 'the token was not accepted\n',
}
const malformed = {
  status: 400,
  challenge: `Bearer error="invalid_request", ${metadata}`,
  text: 'malformed credentials\n',
}
const plain = (status: number, text: string) => ({ status, challenge: null, text: `${text}\n` })

const rows: readonly Row[] = [
  {
    title: 'ERR-03 ERR-04 subscribing without a token',
    request: () => ({ target: `${path}?match=a` }),
    ...missing,
  },
  {
    title: 'ERR-03 ERR-04 publishing without a token',
    request: () => ({ ...noTopic, fields: [form] }),
    ...missing,
  },
  {
    title: 'ERR-05 subscribing with a token of nobody',
    request: () => ({ target: `${path}?match=a`, fields: [bearer(`${publisher.slice(0, -9)}AAAAAAAAA`)] }),
    ...invalid,
  },
  {
    title: 'ERR-05 subscribing with a token that has expired',
    request: async () => {
      const past = Date.now() - 10_000
      const token = await tokenFor({ subscribe: ['*'], now: past - 1000, expiresAt: past })
      return { target: `${path}?match=a`, fields: [bearer(token)] }
    },
    ...invalid,
  },
  {
    title: 'ERR-05 publishing with a token for subscribers',
    request: () => ({ ...noTopic, fields: [form, bearer(reader)] }),
    ...invalid,
  },
  {
    title: 'ERR-06 two Authorization fields',
    request: () => ({ ...noTopic, fields: [form, bearer(publisher), bearer(publisher)] }),
    ...malformed,
  },
  {
    title: 'ERR-06 another scheme',
    request: () => ({ ...noTopic, fields: [form, ['Authorization', `Basic ${publisher}`]] }),
    ...malformed,
  },
  {
    title: 'ERR-06 no token after the scheme',
    request: () => ({ ...noTopic, fields: [form, ['Authorization', 'Bearer']] }),
    ...malformed,
  },
  {
    title: 'AUT-17 publishing with the cookie and no origin',
    request: () => ({ ...noTopic, fields: [form, cookie(), ['Origin', '']] }),
    ...malformed,
    text: 'the origin may not publish\n',
  },
  {
    title: 'ERR-01 ERR-02 publishing on a topic that is not granted',
    request: async () => ({ ...noTopic, fields: [form, bearer(await tokenFor({ publish: ['b'] }))] }),
    status: 403,
    challenge: `Bearer error="insufficient_scope", ${metadata}`,
    text: 'the token does not grant this\n',
  },
  ...[
    ['SUB-11 no matcher', 'x=1', 'a matcher is missing: match, match_exact or match_urlpattern'],
    ['SUB-07 an unknown matcher name', 'match_regexp=a', 'unknown matcher parameter'],
    ['SUB-12 a matcher with a forbidden character', 'match=a%00', 'a matcher is not valid'],
    ['SUB-13 SUB-16 a malformed pattern', 'match_urlpattern=/(secret', 'a matcher is not valid'],
    ['SUB-12 a matcher that is not UTF-8', 'match=%FF', 'a field is not valid UTF-8'],
    ['SUB-30 too many matchers', 'match=a&match=b&match=c', 'too many matchers'],
    ['SUB-30 a matcher that is too long', `match=${'a'.repeat(101)}`, 'a matcher is too long'],
  ].map(([title = '', query = '', text = '']) => ({
    title,
    request: () => subscribing(query),
    ...plain(400, text),
  })),
  {
    title: 'SUB-20 a QUERY body of another type',
    request: () => ({ ...subscribing('match=a'), method: 'QUERY', body: '{}' }),
    ...plain(400, 'the body must be application/x-www-form-urlencoded'),
  },
  {
    title: 'PUB-01 a publication of another type',
    request: () => ({ ...noTopic, fields: [['Content-Type', 'application/json'], bearer(publisher)] }),
    ...plain(400, 'the body must be application/x-www-form-urlencoded'),
  },
  ...[
    ['PUB-10 no topic', 'data=x', 'the topic is missing'],
    ['PUB-11 a topic with a forbidden character', 'topic=a%0A', 'a topic is not allowed'],
    ['PUB-12 the wildcard as a topic', 'topic=*', 'a topic is not allowed'],
    ['PUB-13 a reserved topic', 'topic=mercure/subscriptions', 'the topic is reserved for the hub'],
    ['PUB-31 an id that starts with #', 'topic=a&id=%23x', 'the id is not allowed'],
    ['PUB-41 the reserved type', 'topic=a&type=mercure', 'the type is not allowed'],
    ['PUB-45 a retry that is no number', 'topic=a&retry=x', 'retry must be a number of milliseconds'],
    ['PUB-04 data that is not UTF-8', 'topic=a&data=%FF', 'a field is not valid UTF-8'],
  ].map(([title = '', body = '', text = '']) => ({
    title,
    request: () => publishing(body),
    ...plain(400, text),
  })),
  ...[
    ['PUB-60 a body over the limit', `topic=a&data=${'x'.repeat(1000)}`, 'the body is too large'],
    ['PUB-60 a field over the limit', `topic=${'a'.repeat(101)}`, 'a field is too long'],
    ['PUB-60 more topics than the limit', 'topic=a&topic=a&topic=a', 'too many topics'],
  ].map(([title = '', body = '', text = '']) => ({
    title,
    request: () => publishing(body),
    ...plain(413, text),
  })),
  {
    title: 'SUB-25 a QUERY body over the limit',
    request: () => ({
      ...subscribing('match=a'),
      method: 'QUERY',
      fields: [form, bearer(reader)],
      body: `x=${'x'.repeat(1000)}`,
    }),
    ...plain(413, 'the body is too large'),
  },
  { title: 'GEN-16 an unknown path', request: () => ({ target: '/nothing' }), ...plain(404, 'not found') },
  {
    title: 'GEN-16 the hub path with a trailing slash',
    request: () => ({ target: `${path}/?match=a` }),
    ...plain(404, 'not found'),
  },
  {
    title: 'GEN-16 a path below the hub',
    request: () => ({ target: `${path}/x?match=a` }),
    ...plain(404, 'not found'),
  },
  {
    title: 'GEN-22 a method that is not served',
    request: () => ({ method: 'PUT', target: path }),
    ...plain(405, 'the method is not allowed here'),
  },
]

describe('error responses', () => {
  for (const { title, request, status, challenge, text } of rows) {
    test(`${title} is answered ${status} and changes nothing`, async () => {
      const before = await totals(hub)
      const { fields = [], ...rest } = await request()
      const origin = fields.some(([name]) => name === 'Origin') ? [] : [['Origin', app] as const]
      const answer = await rawRequest(hub.origin, { ...rest, fields: [...fields, ...origin] })
      expect([answer.status, unnamed(answer.text)]).toEqual([status, text])
      expect(answer.text).toContain(`request ${answer.headers.get('x-request-id')}\n`)
      expect(answer.headers.get('www-authenticate')).toBe(challenge)
      expectCommonFields(answer, origin.length > 0)
      expect(await totals(hub)).toEqual(before)
    })
  }

  function expectCommonFields({ headers }: RawAnswer, isAllowed: boolean): void {
    expect(headers.get('content-type')).toBe('text/plain; charset=utf-8')
    expect(headers.get('vary')).toBe('Origin')
    expect(headers.get('access-control-allow-origin')).toBe(isAllowed ? app : null)
    expect(headers.get('access-control-allow-credentials')).toBe(isAllowed ? 'true' : null)
    expect(headers.get('access-control-expose-headers')).toBe(isAllowed ? exposed : null)
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.get('x-frame-options')).toBe('DENY')
    expect(headers.get('content-security-policy')).toContain("default-src 'none'")
  }

  async function totals(of: RunningHub): Promise<readonly number[]> {
    return [await metric(of, 'mercure_updates_total'), await metric(of, 'mercure_subscribers_total')]
  }
})

describe('limits and failures', () => {
  test('SUB-33 one subscriber more than the limit is answered 429 with Retry-After, also when all come at once', async () => {
    const own = await startHub({
      flags: ['--transport', 'memory', '--hub-anonymous', '--limits-subscribers', '3'],
    })
    const all = await Promise.all(Array.from({ length: 20 }, () => StreamClient.open(`${own.url}?match=a`)))
    const refused = all.filter(({ status }) => status === 429)
    expect(all.filter(({ status }) => status === 200).length).toBe(3)
    expect(refused.length).toBe(17)
    expect(refused.every(({ headers }) => headers.get('retry-after') === '30')).toBe(true)
    all.find(({ status }) => status === 200)?.close()
    await until('room', async () => (await metric(own, 'mercure_subscribers_connected')) === 2)
    expect((await StreamClient.open(`${own.url}?match=a`)).status).toBe(200)
    await own.dispose()
  })

  test('SUB-33 a holder over its limit of streams is answered 429, another holder is not', async () => {
    const own = await startHub({ flags: ['--transport', 'memory', '--limits-subscribers-per-token', '1'] })
    const [first, second] = await Promise.all(
      ['x', 'y'].map((subject) => tokenFor({ subscribe: ['*'], subject })),
    )
    const open = (token = '') => StreamClient.open(`${own.url}?match=a`, { Authorization: `Bearer ${token}` })
    const statuses = [(await open(first)).status, (await open(first)).status, (await open(second)).status]
    expect(statuses).toEqual([200, 429, 200])
    await own.dispose()
  })

  test('a holder that publishes too often is answered 429 with Retry-After', async () => {
    const own = await startHub({ flags: ['--transport', 'memory', '--limits-publish-rate', '2'] })
    const responses = await Promise.all(Array.from({ length: 8 }, () => post(own.url, { topic: 'a' })))
    const statuses = responses.map(({ status }) => status)
    expect(statuses.filter((status) => status === 200).length).toBeGreaterThanOrEqual(2)
    expect(statuses.filter((status) => status === 429).length).toBeGreaterThanOrEqual(5)
    const refused = responses.find(({ status }) => status === 429)
    expect(refused?.headers.get('retry-after')).toBe('1')
    expect(refused?.headers.get('www-authenticate')).toBeNull()
    await own.dispose()
  })

  test('PUB-54 SUB-34 a broken store answers 500 to publishers and 503 to subscribers with a cursor', async () => {
    const own = await startHub({ flags: ['--hub-anonymous'] })
    const id = await publish(own.url, { topic: 'a' })
    const database = new Database(join(own.directory, 'cinnabar.db'))
    const tables = database.query<{ name: string }, []>("SELECT name FROM sqlite_master WHERE type = 'table'")
    for (const { name } of tables.all()) if (!name.startsWith('sqlite_')) database.run(`DROP TABLE "${name}"`)
    database.close()
    const failed = await post(own.url, { topic: 'a' })
    expect([failed.status, unnamed(await failed.text())]).toEqual([500, 'the update could not be stored\n'])
    const before = await metric(own, 'mercure_subscribers_total')
    const answer = await rawRequest(own.origin, { target: `${path}?match=a&last_event_id=${id}` })
    expect([answer.status, unnamed(answer.text)]).toEqual([503, 'the store is not available\n'])
    expect(answer.headers.get('retry-after')).toBe('5')
    expect(await metric(own, 'mercure_subscribers_total')).toBe(before)
    await own.dispose()
  })
})
