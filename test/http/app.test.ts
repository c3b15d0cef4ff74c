import { describe, expect, test } from 'bun:test'
import { Server } from '../../src/serve/server.ts'
import { Log } from '../../src/telemetry/log.ts'
import { rawRequest } from '../support/raw-request.ts'
import { settingsOf } from '../support/settings.ts'
import { secretOf, tokenFor } from '../support/tokens.ts'
import { startWriter } from '../transport/sqlite/log.ts'

const path = '/.well-known/mercure'
const form = ['Content-Type', 'application/x-www-form-urlencoded'] as const
const a = 'https://a.example'

/** The hub with one issuer that has these roles, in this process. */
async function open(roles: readonly ('publisher' | 'subscriber')[], more: readonly string[] = []) {
  const keys = roles.map((role) => [role, { key: secretOf(`issuer-a/${role}`), algorithm: 'HS256' }])
  const issuers =
    roles.length === 0 ? [] : ['--issuers', JSON.stringify([{ id: a, ...Object.fromEntries(keys) }])]
  const listeners = ['--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0']
  const settings = settingsOf([...listeners, '--transport', 'memory', ...issuers, ...more])
  const log = new Log({ level: 'error', format: 'json', write: () => {}, clock: () => new Date(0) })
  const server = await Server.open(settings, log, startWriter, { build: {} })
  const [origin = ''] = server.addresses
  const ask = async (method: string, target = `${path}?match=a`) => {
    const { status, headers } = await rawRequest(origin, { method, target, fields: [form], body: 'topic=a' })
    return [status, headers.get('allow')]
  }
  return { origin, adminUrl: server.adminAddress ?? '', ask, [Symbol.asyncDispose]: () => server.close(0) }
}

describe('roles without a key', () => {
  test('GEN-24 a hub without a publisher key answers 405 to POST, before any token', async () => {
    await using hub = await open(['subscriber'])
    const allow = 'GET, HEAD, QUERY, OPTIONS'
    expect(await hub.ask('POST')).toEqual([405, allow])
    expect(await hub.ask('OPTIONS')).toEqual([204, allow])
    expect(await hub.ask('GET')).toEqual([401, null])
  })

  test('GEN-24 a hub without a subscriber key answers 405 to GET, HEAD and QUERY', async () => {
    await using hub = await open(['publisher'])
    for (const method of ['GET', 'HEAD', 'QUERY'])
      expect(await hub.ask(method)).toEqual([405, 'POST, OPTIONS'])
    expect(await hub.ask('POST')).toEqual([401, null])
  })

  test('GEN-24 without a subscriber key anonymous readers are served where they are allowed', async () => {
    await using hub = await open(['publisher'], ['--hub-anonymous'])
    expect(await hub.ask('GET')).toEqual([200, null])
  })

  test('DIS-02 the metadata document names a hub that validates tokens', async () => {
    await using hub = await open(['publisher'])
    expect(await hub.ask('GET', `/.well-known/oauth-protected-resource${path}`)).toEqual([200, null])
  })
})

test('AUT-40 tokens are for the hub as the request names it where nothing is configured', async () => {
  await using hub = await open(['subscriber'])
  const token = await tokenFor({ subscribe: ['a'], audience: `${hub.origin}${path}` })
  const fields = [['Authorization', `Bearer ${token}`]] as const
  expect((await rawRequest(hub.origin, { target: `${path}?match=a`, fields })).status).toBe(200)
})

test('every answer is counted by its route and its status, and a refused publication is seen', async () => {
  await using hub = await open(['publisher'], ['--limits-publish-rate', '1', '--hub-anonymous'])
  const token = await tokenFor({ publish: ['*'], audience: `${hub.origin}${path}` })
  const fields = [form, ['Authorization', `Bearer ${token}`]] as const
  const publish = { method: 'POST', target: path, fields, body: 'topic=a' }
  const metadata = `/.well-known/oauth-protected-resource${path}`
  const publications = await Promise.all([1, 2, 3].map(() => rawRequest(hub.origin, publish)))
  const refused = publications.filter(({ status }) => status === 429).length
  expect(refused).toBeGreaterThan(0)
  for (const method of ['GET', 'HEAD', 'QUERY', 'POST', 'OPTIONS', 'DELETE']) await hub.ask(method)
  for (const target of [`${path}?mtach=a`, metadata, `${path}/subscriptions`, '/healthz', '/readyz', '/x']) {
    await hub.ask('GET', target)
  }
  await hub.ask('PUT', metadata)
  const page = await (await fetch(`${hub.adminUrl}/metrics`)).text()
  const counted = page.split('\n').filter((line) => line.startsWith('cinnabar_http_responses_total'))
  expect(counted.sort()).toEqual(
    [
      ['health', 200, 2],
      ['metadata', 200, 1],
      ['other', 204, 1],
      ['other', 404, 1],
      ['other', 405, 2],
      ['publish', 200, 3 - refused],
      ['publish', 401, 1],
      ['publish', 429, refused],
      ['subscribe', 200, 3],
      ['subscribe', 400, 1],
      ['subscriptions', 404, 1],
    ].map(
      ([route, status, count]) =>
        `cinnabar_http_responses_total{route="${route}",status="${status}"} ${count}`,
    ),
  )
})
