import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { metric, type RunningHub, startHub, until } from '../support/binary.ts'
import { post, publish } from '../support/publisher.ts'
import { refusedHub } from '../support/refused-hub.ts'
import { StreamClient } from '../support/stream-client.ts'
import { audience, tokenFor } from '../support/tokens.ts'

/** Why requests are refused, as an operator finds it: in the log, in the answer, in the metrics. */

const linesOf = (hub: RunningHub, message: string) =>
  hub
    .log()
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line))
    .filter((line) => line.message === message)

describe('a token for another hub', () => {
  let hub: RunningHub
  beforeAll(async () => {
    hub = await startHub({ flags: ['--transport', 'memory'] })
  })
  afterAll(() => hub.dispose())

  test('is refused with the name of the request, and the log has the audience that was expected and that was seen', async () => {
    const token = await tokenFor({ publish: ['*'], audience: 'https://other.example.com' })
    const response = await post(hub.url, { topic: 'books', data: 'a secret' }, token)
    const request = response.headers.get('x-request-id') ?? ''
    expect([response.status, await response.text()]).toEqual([
      401,
      `the token was not accepted\nrequest ${request}\n`,
    ])
    expect(request).toMatch(/^[0-9a-f]{8}-[0-9a-z]+$/)
    await until('the line', () => linesOf(hub, 'requests refused').length > 0)
    expect(linesOf(hub, 'requests refused')).toMatchObject([
      {
        level: 'info',
        count: 1,
        reason: 'invalid-token (audience)',
        status: 401,
        address: '127.0.0.1',
        issuer: '"https://a.example"',
        expected: JSON.stringify(audience),
        seen: '"https://other.example.com"',
        request,
      },
    ])
    // The second waits for its minute.
    await post(hub.url, { topic: 'books', data: 'a secret' }, token)
    expect(linesOf(hub, 'requests refused')).toHaveLength(1)
    for (const part of [token, ...token.split('.'), 'a secret']) expect(hub.log()).not.toContain(part)
  })

  test('is counted by reason and by status', async () => {
    const page = await (await fetch(`${hub.adminUrl}/metrics`)).text()
    expect(page).toContain('cinnabar_refusals_total{reason="invalid-token"} 2\n')
    expect(page).toContain('cinnabar_token_failures_total{reason="audience"} 2\n')
    expect(page).toContain('cinnabar_http_responses_total{route="publish",status="401"} 2\n')
  })
})

test('log.access has a line for each request and for the end of a stream, and no token whatever it is sent with', async () => {
  const legacy = ['--hub-legacy', '8', '--hub-legacy-issuer', 'https://a.example']
  const hub = await startHub({
    flags: ['--log-access', '--log-level', 'debug', '--hub-anonymous', ...legacy],
  })
  const token = await tokenFor({ subscribe: ['*'] })
  const reader = await StreamClient.open(`${hub.url}?match=books&authorization=${token}`, {
    Cookie: `mercureAuthorization=${token}`,
  }).catch(() => null)
  const plain = await StreamClient.open(`${hub.url}?match=books&last_event_id=earliest`)
  expect(plain.headers.get('x-request-id')).toMatch(/^[0-9a-f]{8}-/)
  const id = await publish(hub.url, { topic: 'books', data: 'a secret' })
  await until('the update', () => plain.ids.includes(id))
  plain.close()
  reader?.close()
  await until('the end of the stream', () => linesOf(hub, 'stream ended').length > 0)
  const [ended] = linesOf(hub, 'stream ended')
  expect(ended).toMatchObject({ reason: 'client', request: plain.headers.get('x-request-id') })
  expect(linesOf(hub, 'request')).toContainEqual(
    expect.objectContaining({ method: 'POST', path: '/.well-known/mercure', route: 'publish', status: 200 }),
  )
  for (const part of [...token.split('.'), 'a secret', 'last_event_id']) expect(hub.log()).not.toContain(part)
  await hub.dispose()
})

test('a developer’s hub says in its answer why it refuses', async () => {
  const hub = await startHub({ flags: ['--dev'], hasIssuers: false, hasAudience: false })
  const response = await fetch(hub.url.replace('127.0.0.1', 'localhost'), {
    method: 'POST',
    body: new URLSearchParams({ topic: 'books' }),
    headers: { authorization: `Bearer ${await tokenFor({ publish: ['*'] })}` },
  })
  expect(await response.text()).toStartWith(
    'the token was not accepted: the token was refused (issuer): iss is "https://a.example"',
  )
  await hub.dispose()
})

test('the metrics tell of the process, its build, its disk and whether it is ready', async () => {
  const hub = await startHub()
  expect(await metric(hub, 'cinnabar_ready')).toBe(1)
  expect(await metric(hub, 'cinnabar_disk_free_bytes')).toBeGreaterThan(0)
  expect(await metric(hub, 'process_open_fds')).toBeGreaterThan(5)
  expect(await metric(hub, 'process_max_fds')).toBeGreaterThan(100)
  expect(await metric(hub, 'process_cpu_seconds_total')).toBeGreaterThan(0)
  const startedAt = await metric(hub, 'process_start_time_seconds')
  expect(Math.abs(Date.now() / 1000 - startedAt)).toBeLessThan(60)
  expect(await metric(hub, 'process_resident_memory_bytes')).toBeGreaterThan(1e7)
  await until('a retention run', async () => (await metric(hub, 'cinnabar_retention_runs')) > 0)
  const page = await (await fetch(`${hub.adminUrl}/metrics`)).text()
  expect(page).toMatch(/^cinnabar_build_info\{version="\d+\.\d+\.\d+",commit="[^"]+",/m)
  await hub.dispose()
})

test('keys that are none end the start with 78, as check does', async () => {
  const issuer = {
    id: 'https://a.example',
    publisher: { key: '-----BEGIN PUBLIC KEY-----', algorithm: 'ES256' },
  }
  const flags = ['--issuers', JSON.stringify([issuer]), '--hub-resource-identifier', audience]
  const { code, message } = await refusedHub(flags)
  expect(message).toContain('issuers[0]')
  expect(code).toBe(78)
})
