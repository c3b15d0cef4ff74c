import { describe, expect, test } from 'bun:test'
import { openAuthenticator } from '../../src/auth/authenticate.ts'
import type { Dialect } from '../../src/http/dialect.ts'
import { Edge, type EdgeOptions } from '../../src/http/edge.ts'
import { RequestIds } from '../../src/http/request/request-id.ts'
import { Uploads } from '../../src/http/request/uploads.ts'
import { SubscriberCount } from '../../src/http/subscriber-count.ts'
import { MatcherPool } from '../../src/hub/matcher-pool.ts'
import { finish } from '../../src/protocol/work.ts'
import { AccessLog } from '../../src/serve/access-log.ts'
import {
  type EdgeParts,
  edgeOptions,
  publishRate,
  subscriberLimits,
  uploadLimits,
} from '../../src/serve/edge-options.ts'
import { processLoop } from '../../src/serve/loop.ts'
import { EventStream } from '../../src/stream/event-stream.ts'
import { OpenStreams } from '../../src/stream/open-streams.ts'
import { Log } from '../../src/telemetry/log.ts'
import { MemoryTransport } from '../../src/transport/memory/transport.ts'
import { HubFixture, location } from '../support/hub.ts'
import { settingsOf } from '../support/settings.ts'
import { forge, secretIssuers, tokenFor } from '../support/tokens.ts'
import { unlimited } from '../transport/contract.ts'

/** An edge on a hub without listeners. Each look at its clock takes a millisecond. */
async function arrange(flags: readonly string[] = []) {
  const common = ['--hub-anonymous', '--hub-resource-identifier', location.url, ...flags]
  const settings = settingsOf(common)
  const { hub } = new HubFixture(new MemoryTransport({ retention: unlimited, clock: () => 0 }))
  await hub.open()
  const lines: string[] = []
  const log = new Log({
    write: (line) => lines.push(line),
    format: 'json',
    level: 'info',
    clock: () => new Date(0),
  })
  const refusals: (readonly [code: string, request: string])[] = []
  const answers: Parameters<EdgeOptions['onAnswer']>[] = []
  const problems: unknown[] = []
  const still = { ...processLoop, now: () => 7000 }
  const parts: EdgeParts = {
    location,
    hub,
    streams: new OpenStreams({ loop: still, wall: () => 0, heartbeatMs: 0 }),
    counts: new SubscriberCount(subscriberLimits(settings)),
    matchers: new MatcherPool(location, settings.limits.patternWeightTotal),
    drive: finish,
    rate: publishRate(settings),
    uploads: new Uploads(uploadLimits(settings), processLoop),
    authenticator: await openAuthenticator({
      issuers: secretIssuers,
      hub: location,
      limits: settings.limits,
      clock: Date.now,
      cacheEntries: 10,
      cacheBytes: 1_000_000,
    }),
    generations: [],
    earlierTokens: { isOne: () => false, onRefused: () => {} },
    health: { alive: () => new Response('ok'), ready: async () => new Response(null, { status: 503 }) },
    version: null,
    onUnexpected: (error) => problems.push(error),
    onMisdirected: () => {},
    onAnswer: (...answer) => answers.push(answer),
    tracer: null,
    onRefused: ({ code }, { id }) => refusals.push([code, id]),
    requestIds: new RequestIds('test'),
    access: new AccessLog(log),
    explainsRefusals: false,
  }
  let now = 0
  /** With further flags, as after a reload. */
  const made = (...more: readonly string[]): EdgeOptions => ({
    ...edgeOptions(settingsOf([...common, ...more]), parts),
    loop: { ...processLoop, now: () => now++ },
  })
  const current = { options: made() }
  const { counts, matchers } = parts
  return {
    edge: new Edge(() => current.options),
    lines,
    refusals,
    answers,
    problems,
    current,
    made,
    counts,
    matchers,
    hub,
  }
}

const get = () => new Request(`${location.url}?match=a`)

/** The lines of the log, without their times. */
const linesOf = (lines: readonly string[]) =>
  lines.map((line) => {
    const { time, level, ...fields } = JSON.parse(line)
    return fields
  })

describe('the name of a request', () => {
  test('is in the field and the body of its refusal, and the log has it', async () => {
    const { edge, refusals } = await arrange()
    const response = edge.unknown(get(), null)
    expect([response.headers.get('x-request-id'), await response.text()]).toEqual([
      'test-1',
      'not found\nrequest test-1\n',
    ])
    edge.unknown(get(), null)
    expect(refusals).toEqual([
      ['not-found', 'test-1'],
      ['not-found', 'test-2'],
    ])
  })

  test('is in the fields of a stream', async () => {
    const { edge } = await arrange()
    const stream = await edge.subscribe(get(), null)
    const response = stream instanceof EventStream ? stream.toResponse() : stream
    expect(response.headers.get('x-request-id')).toBe('test-1')
  })

  test('is that of the proxy, where it is trusted and the name is fit for a log', async () => {
    const { edge, made, current } = await arrange()
    const idOf = (given: string) => {
      const request = new Request(location.url, { headers: { 'X-Request-Id': given } })
      return edge.unknown(request, null).headers.get('x-request-id')
    }
    expect(idOf('from-a-client')).toBe('test-1')
    current.options = made('--proxy-trusted', 'unix')
    expect(idOf('from-a-proxy')).toBe('from-a-proxy')
    for (const odd of ['two words', 'x'.repeat(129), '"quoted"', '']) expect(idOf(odd)).toStartWith('test-')
  })

  test('the answer to a developer says why; to others it does not (ERR-05)', async () => {
    const { edge, made, current } = await arrange()
    const claims = { iss: 'https://stranger.example' }
    const stranger = forge({ alg: 'HS256', typ: 'at+jwt' }, claims, 'x'.repeat(32))
    const invalid = () =>
      edge.subscribe(
        new Request(`${location.url}?match=a`, { headers: { Authorization: `Bearer ${stranger}` } }),
        null,
      )
    const bodyOf = async () => {
      const response = await invalid()
      return response instanceof Response ? await response.text() : ''
    }
    expect(await bodyOf()).toBe('the token was not accepted\nrequest test-1\n')
    current.options = { ...made(), explainsRefusals: true }
    expect(await bodyOf()).toBe(
      'the token was not accepted: the token was refused (issuer): iss is "https://stranger.example": not exactly a trusted issuer\nrequest test-2\n',
    )
  })
})

describe('log.access', () => {
  test('writes a line for each answer, and for the end of a stream, without queries', async () => {
    const { edge, lines } = await arrange(['--log-access'])
    const stream = await edge.subscribe(get(), null)
    if (!(stream instanceof EventStream)) throw new Error('no stream')
    stream.close({ kind: 'lifetime' })
    const token = await tokenFor({ publish: ['*'] })
    const headers = { Authorization: `Bearer ${token}` }
    const body = new URLSearchParams({ topic: 'a', data: 'secret' })
    const published = await edge.publish(new Request(location.url, { method: 'POST', headers, body }), null)
    expect(published.headers.get('x-request-id')).toBe('test-2')
    edge.unknown(new Request(`http://hub.example.com/${'x'.repeat(300)}?authorization=secret`), null)
    const path = '/.well-known/mercure'
    const common = { message: 'request', address: 'a Unix socket', ms: 1 }
    expect(linesOf(lines)).toEqual([
      { ...common, method: 'GET', path, route: 'subscribe', status: 200, request: 'test-1' },
      { message: 'stream ended', reason: 'lifetime', ms: expect.any(Number), request: 'test-1' },
      { ...common, method: 'POST', path, route: 'publish', status: 200, request: 'test-2' },
      {
        ...common,
        method: 'GET',
        path: `/${'x'.repeat(199)}…`,
        route: 'other',
        status: 404,
        request: 'test-3',
      },
    ])
    expect(lines.join('')).not.toContain('secret')
  })

  test('is off by default, and has no line of health checks', async () => {
    const { edge, lines, made, current } = await arrange()
    edge.unknown(get(), null)
    expect(lines).toEqual([])
    current.options = made('--log-access')
    edge.alive()
    await edge.ready()
    expect(lines).toEqual([])
  })
})

describe('every answer is reported once, with its route, its status and its time', () => {
  test('streams and publications', async () => {
    const { edge, answers } = await arrange()
    const token = await tokenFor({ publish: ['*'] })
    await edge.subscribe(get(), null)
    await edge.subscribeHead(get(), null)
    const headers = { Authorization: `Bearer ${token}` }
    const form = new URLSearchParams({ topic: 'a' })
    await edge.publish(new Request(location.url, { method: 'POST', headers, body: form }), null)
    expect(answers).toEqual([
      ['subscribe', 200, 1],
      ['subscribe', 200, 1],
      ['publish', 200, 1],
    ])
  })

  test('refusals, and what is served nowhere', async () => {
    const { edge, answers } = await arrange(['--hub-public-urls', 'https://other.example'])
    await edge.subscribe(get(), null)
    await edge.otherOnHub(new Request(location.url, { method: 'DELETE' }), null)
    edge.unknown(get(), null)
    expect(answers).toEqual([
      ['subscribe', 421, 1],
      ['other', 421, 1],
      ['other', 404, 1],
    ])
  })

  test('health, whose origin does not matter', async () => {
    const { edge, answers } = await arrange(['--hub-public-urls', 'https://other.example'])
    edge.alive()
    await edge.ready()
    expect(answers).toEqual([
      ['health', 200, 1],
      ['health', 503, 1],
    ])
  })

  test('what nobody foresaw, which is handed on once', async () => {
    const { edge, answers, problems, current } = await arrange()
    const problem = new Error('unforeseen')
    const authenticate = () => {
      throw problem
    }
    current.options = { ...current.options, authenticator: { authenticate } }
    const headers = { Authorization: `Bearer ${'x'.repeat(50)}` }
    await edge.subscribe(new Request(get(), { headers }), null)
    edge.failed(get(), null, problem)
    expect(answers).toEqual([
      ['subscribe', 500, 1],
      ['other', 500, 1],
    ])
    expect(problems).toEqual([problem, problem])
  })
})

test('a request meets the options of its beginning, whatever is reloaded before its answer', async () => {
  const { edge, current, made } = await arrange(['--hub-cors-origins', 'https://old.example'])
  const headers = { Origin: 'https://old.example', Authorization: `Bearer ${'x'.repeat(50)}` }
  const answer = edge.subscribe(new Request(get(), { headers }), null)
  current.options = made('--hub-cors-origins', 'https://new.example')
  const response = await answer
  expect(response).toBeInstanceOf(Response)
  if (!(response instanceof Response)) return
  const allowed = response.headers.get('access-control-allow-origin')
  expect([response.status, allowed]).toEqual([401, 'https://old.example'])
})

describe('the dialect of a request', () => {
  /** An edge where a dialect of its own, which names its cursor field otherwise, is asked before that of 1.0. */
  async function bilingual() {
    const { edge, current, answers } = await arrange()
    const [own] = current.options.dialects
    if (own === undefined) throw new Error('no dialect')
    let asked = 0
    const earlier: Dialect = {
      ...own,
      recognizes: ({ url }) => {
        asked++
        return url.includes('earlier')
      },
      cursorFields: () => ({ 'Earlier-Last-Event-ID': 'x' }),
    }
    current.options = { ...current.options, dialects: [earlier, own] }
    const fields = async (query: string) => {
      const head = new Request(`${location.url}?${query}`, { method: 'HEAD' })
      const { headers } = await edge.subscribeHead(head, null)
      return ['earlier-last-event-id', 'mercure-last-event-id'].map((name) => headers.get(name))
    }
    return { fields, answers, askedTimes: () => asked }
  }

  test('is the first that recognizes it, and 1.0 when no other does', async () => {
    const { fields } = await bilingual()
    expect(await fields('match=earlier&last_event_id=earliest')).toEqual(['x', null])
    expect(await fields('match=a&last_event_id=earliest')).toEqual([null, 'earliest'])
  })

  test('is chosen once for each request', async () => {
    const { fields, askedTimes, answers } = await bilingual()
    await fields('match=a')
    await fields('match=earlier')
    expect([askedTimes(), answers.length]).toEqual([2, 2])
  })
})

describe('SUB-33 a stream is counted from the moment that it may be had', () => {
  const heavy = () => new Request(`${location.url}?match=a&match_urlpattern=/(a{100})`)

  test('and not any more when its connection is gone before the answer', async () => {
    const { edge, counts, matchers, hub } = await arrange(['--limits-subscribers', '1'])
    const stream = await edge.subscribe(heavy(), null)
    expect([counts.total, matchers.weight]).toEqual([1, 104])
    expect(await edge.subscribe(heavy(), null)).toMatchObject({ status: 429 })
    if (!(stream instanceof EventStream)) throw new Error('no stream')
    stream.cancel()
    stream.cancel()
    expect([counts.total, matchers.weight, hub.subscriberCount]).toEqual([0, 0, 0])
    expect(await edge.subscribe(heavy(), null)).toBeInstanceOf(EventStream)
  })

  test('and not any more when the hub ends it as it begins', async () => {
    const { edge, counts, matchers, hub } = await arrange()
    const stream = await edge.subscribe(heavy(), null)
    if (!(stream instanceof EventStream)) throw new Error('no stream')
    hub.stop()
    stream.pull({ write: (chunk: Uint8Array) => chunk.length, flush: () => 0, end: () => 0, close: () => {} })
    expect([counts.total, matchers.weight, hub.subscriberCount]).toEqual([0, 0, 0])
    stream.cancel()
    expect(counts.total).toBe(0)
  })

  test('HEAD and refusals leave nothing behind', async () => {
    const { edge, counts, matchers, hub } = await arrange()
    expect(await edge.subscribeHead(heavy(), null)).toMatchObject({ status: 200 })
    const bad = new Request(`${location.url}?match_urlpattern=/:a/:a`)
    expect(await edge.subscribe(bad, null)).toMatchObject({ status: 400 })
    hub.stop()
    expect(await edge.subscribe(heavy(), null)).toMatchObject({ status: 503 })
    expect([counts.total, matchers.weight]).toEqual([0, 0])
  })

  test('a limit of connections comes before anything is compiled, and after what costs nothing', async () => {
    const { edge } = await arrange(['--limits-subscribers', '1'])
    await edge.subscribe(heavy(), null)
    const status = async (query: string) => {
      const answer = await edge.subscribe(new Request(`${location.url}?${query}`), null)
      return answer instanceof Response ? answer.status : 0
    }
    expect(await status('match_urlpattern=/:a/:a')).toBe(429)
    expect([await status('match='), await status('matches=a'), await status('')]).toEqual([400, 400, 400])
  })
})

test('a stream whose connection is gone before its answer was open for no time', async () => {
  const { edge, lines } = await arrange(['--log-access'])
  const stream = await edge.subscribe(get(), null)
  if (!(stream instanceof EventStream)) throw new Error('a stream was asked for')
  stream.cancel()
  const ended = linesOf(lines).filter(({ message }) => message === 'stream ended')
  expect(ended).toEqual([expect.objectContaining({ reason: 'client', ms: 0 })])
})
