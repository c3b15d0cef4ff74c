import { afterAll, describe, expect, test } from 'bun:test'
import type { Role } from '../../src/auth/keys.ts'
import type { JsonObject } from '../../src/protocol/grant.ts'
import { encodeSegment } from '../../src/protocol/subscription.ts'
import { type RunningHub, startHub, until } from '../support/binary.ts'
import { HubPool } from '../support/hub-pool.ts'
import { type LegacyVector, readLegacyVectors } from '../support/legacy.ts'
import { post, publish } from '../support/publisher.ts'
import { type RawRequest, rawRequest } from '../support/raw-request.ts'
import { StreamClient } from '../support/stream-client.ts'
import { forge, secretOf, tokenFor } from '../support/tokens.ts'

/** All of `legacy-claims.json` over HTTP: the 0.x generation of the executable. */

const path = '/.well-known/mercure'
const issuer = ['--hub-legacy-issuer', 'https://a.example']
const pool = new HubPool(['--transport', 'memory', '--hub-subscriptions'])
afterAll(() => pool.dispose())

const vectors = await readLegacyVectors()
const of = (kind: LegacyVector['kind']) => vectors.filter((one) => one.kind === kind)

function hubOf({ compat, hub }: LegacyVector): Promise<RunningHub> {
  return pool.get([
    ...(compat == null ? [] : ['--hub-legacy', String(compat), ...issuer]),
    ...(hub?.anonymous === true ? ['--hub-anonymous'] : []),
    ...(hub?.publish_origins === undefined ? [] : ['--hub-publish-origins', hub.publish_origins.join()]),
  ])
}

const plain = { alg: 'HS256', typ: 'JWT' }

function legacyToken(claims: JsonObject, role: Role = 'subscriber', header: JsonObject = plain): string {
  const secret = header['alg'] === 'none' ? '' : secretOf(`issuer-a/${role}`)
  return forge(header, claims, secret)
}

const bearer = (token: string) => ['Authorization', `Bearer ${token}`] as const

interface ClaimOutcome {
  readonly token: 'accepted' | 'invalid'
  readonly publish: readonly { topics: string[]; private: boolean; allowed: boolean }[]
  readonly subscribe: readonly { topics: string[]; allowed: boolean }[]
  readonly payload?: unknown
}

describe('claims', () => {
  for (const vector of of('claim')) {
    test(`LEG-06 to LEG-14 ${vector.id} ${vector.why}`, async () => {
      const hub = await hubOf(vector)
      const outcome = vector.expect as ClaimOutcome
      const { header = plain } = vector
      const claims = shifted(vector)
      const publisher = legacyToken(claims, 'publisher', header)
      const subscriber = legacyToken(claims, 'subscriber', header)
      const target = `${path}?match=nothing-of-it`
      const reading = await rawRequest(hub.origin, { target, fields: [bearer(subscriber)] })
      expect(reading.status).toBe(outcome.token === 'accepted' ? 200 : 401)
      for (const { topics, private: isPrivate, allowed } of outcome.publish) {
        const answer = await post(hub.url, { topic: topics, ...(isPrivate && { private: 'on' }) }, publisher)
        expect([topics, answer.status]).toEqual([topics, allowed ? 200 : 403])
      }
      for (const one of outcome.subscribe) await expectReading(hub, subscriber, one)
      if (outcome.payload !== undefined) expect(await payloadOf(hub, subscriber)).toEqual(outcome.payload)
    })
  }

  /** The dates are those of the vector, on the clock of the hub. */
  function shifted({ claims = {}, now }: LegacyVector): JsonObject {
    const { exp } = claims
    if (now === undefined || typeof exp !== 'number') return claims
    return { ...claims, exp: exp - now + Date.now() / 1000 }
  }

  async function expectReading(
    hub: RunningHub,
    token: string,
    { topics, allowed }: ClaimOutcome['subscribe'][number],
  ) {
    const query = topics.map((topic) => `topic=${encodeURIComponent(topic)}`).join('&')
    const reader = await StreamClient.open(`${hub.url}?${query}`, { Authorization: `Bearer ${token}` })
    const secret = await publish(hub.url, { topic: topics, private: 'on' })
    const open = await publish(hub.url, { topic: topics })
    await until('the public update', () => reader.ids.includes(open))
    expect([topics, reader.ids]).toEqual([topics, allowed ? [secret, open] : [open]])
    reader.close()
  }

  async function payloadOf(hub: RunningHub, token: string): Promise<unknown> {
    const topic = `t-${crypto.randomUUID()}`
    const reader = await StreamClient.open(`${hub.url}?topic=${topic}`, { Authorization: `Bearer ${token}` })
    const answer = await rawRequest(hub.origin, {
      target: `${path}/subscriptions/${topic}`,
      fields: [bearer(token)],
    })
    reader.close()
    return JSON.parse(answer.text).subscriptions[0].payload
  }
})

interface RequestOutcome {
  readonly status: number
  readonly subscriptions?: readonly string[]
  readonly cursor?: string
  readonly authenticated?: boolean | 'B'
  readonly responseHeaders?: Readonly<Record<string, string>>
}

describe('requests', () => {
  for (const vector of of('request')) {
    test(`LEG-01 LEG-02 LEG-15 to LEG-18 LEG-23 ${vector.id} ${vector.why}`, async () => {
      const outcome = vector.expect as RequestOutcome
      const { request = { method: 'GET', target: path } } = vector
      // Whether it is authenticated is asked of a hub without anonymous readers.
      const hub = await hubOf(
        isAnonymous(vector) ? { ...vector, hub: { ...vector.hub, anonymous: true } } : vector,
      )
      for (const id of [...new Set([...(vector.history ?? []), outcome.cursor ?? 'a'])]) {
        await publish(hub.url, { topic: 'elsewhere', id })
      }
      const role = request.method === 'POST' ? 'publisher' : 'subscriber'
      const answer = await rawRequest(hub.origin, raw(vector, role))
      expect(answer.status).toBe(outcome.status)
      if (outcome.cursor !== undefined) {
        expect(answer.headers.get('mercure-last-event-id')).toBe(outcome.cursor)
        expect(answer.headers.get('last-event-id')).toBe(outcome.cursor)
      }
      for (const [name, value] of Object.entries(outcome.responseHeaders ?? {})) {
        expect(answer.headers.get(name)).toBe(value)
      }
      if (outcome.authenticated !== undefined) await expectIdentity(hub, vector, outcome.authenticated)
      if (outcome.subscriptions !== undefined) await expectSubscriptions(hub, vector, outcome.subscriptions)
    })
  }

  function isAnonymous({ request, expect: outcome }: LegacyVector): boolean {
    return request?.method === 'GET' && (outcome as RequestOutcome).authenticated === undefined
  }

  function raw({ request, compat }: LegacyVector, role: Role): RawRequest {
    const { method, target, form, headers = {}, token } = request ?? { method: 'GET', target: path }
    const rights = { mercure: { publish: ['*'], subscribe: ['a'] } }
    const tokens: Readonly<Record<string, string>> = {
      '<valid token>': legacyToken(rights, role),
      '<valid token A>': legacyToken({ mercure: {} }, role),
      '<valid token B>': legacyToken(rights, role),
      '<token with a bad signature>': forge(plain, rights, 'x'.repeat(64)),
    }
    const filled = (text: string) => text.replace(/<[^>]*>/g, (name) => tokens[name] ?? name)
    const fields = Object.entries(headers).map(([name, value]) => [name, filled(value)] as const)
    const isBare = form !== undefined && !/authorization/i.test(`${target}${JSON.stringify(headers)}`)
    const claims = token ?? (isBare && compat != null ? rights : null)
    return {
      method,
      target: filled(target).replace(/[{}]/g, encodeURIComponent),
      fields: [
        ...fields,
        ...(form === undefined ? [] : [['Content-Type', 'application/x-www-form-urlencoded'] as const]),
        ...(claims === null ? [] : [bearer(legacyToken(claims, role))]),
      ],
      ...(form !== undefined && { body: form }),
    }
  }

  /** With the token a private update on `a` is read; without one, only a public one. */
  async function expectIdentity(hub: RunningHub, vector: LegacyVector, authenticated: boolean | 'B') {
    const { target, fields = [] } = raw(vector, 'subscriber')
    const reader = await StreamClient.open(`${hub.origin}${target}`, Object.fromEntries(fields))
    const secret = await publish(hub.url, { topic: 'a', private: 'on' })
    const open = await publish(hub.url, { topic: 'a' })
    await until('the public update', () => reader.ids.includes(open))
    expect(reader.ids).toEqual(authenticated === false ? [open] : [secret, open])
    reader.close()
  }

  async function expectSubscriptions(hub: RunningHub, vector: LegacyVector, wanted: readonly string[]) {
    const { target } = raw(vector, 'subscriber')
    const reader = await StreamClient.open(`${hub.origin}${target}`)
    const list = async (): Promise<readonly { topic: string }[]> => {
      const token = legacyToken({ mercure: { subscribe: ['*'] } })
      const all = await rawRequest(hub.origin, { target: `${path}/subscriptions`, fields: [bearer(token)] })
      return JSON.parse(all.text).subscriptions
    }
    expect((await list()).slice(-wanted.length).map(({ topic }) => topic)).toEqual([...wanted])
    reader.close()
    await until('its end', async () => (await list()).length === 0)
  }
})

describe('documents', () => {
  const all = legacyToken({ mercure: { subscribe: ['*'], payload: { user: 'x' } } })
  const documentsOf = async (hub: RunningHub, target: string) => {
    const answer = await rawRequest(hub.origin, { target, fields: [bearer(all)] })
    return { ...answer, document: answer.status === 200 ? JSON.parse(answer.text) : null }
  }

  test('LEG-19 to LEG-21 lg-090 lg-092 lg-093 lg-094 lg-095 topics, collections and events', async () => {
    await using hub = await startHub({
      flags: ['--transport', 'memory', '--hub-subscriptions', '--hub-legacy', '8', ...issuer],
    })
    const first = of('document').find(({ id }) => id === 'lg-092')?.expect as {
      contentType: string
      document: unknown
    }
    const empty = await documentsOf(hub, `${path}/subscriptions`)
    expect(empty.headers.get('content-type')).toBe(first.contentType)
    expect(empty.document).toEqual(first.document)

    const watcher = await StreamClient.open(
      `${hub.url}?topic=${encodeURIComponent(`${path}/subscriptions{/topic}{/subscriber}`)}`,
      { Authorization: `Bearer ${all}` },
    )
    const selector = 'https://example.com/{selector}'
    const reader = await StreamClient.open(`${hub.url}?topic=${encodeURIComponent(selector)}`, {
      Authorization: `Bearer ${all}`,
    })
    await until('its event', () => watcher.events.length === 2)
    const event = JSON.parse(watcher.events[1]?.data ?? '')
    const { subscriber } = event
    const id = `${path}/subscriptions/https%3A%2F%2Fexample.com%2F%7Bselector%7D/${encodeSegment(subscriber)}`
    const own = {
      id,
      type: 'Subscription',
      topic: selector,
      subscriber,
      active: true,
      payload: { user: 'x' },
    }
    expect(event).toEqual({ '@context': 'https://mercure.rocks/', ...own })
    expect(watcher.lines.some((line) => line.startsWith('event:'))).toBe(false)

    const one = await documentsOf(hub, id)
    const lastEventID = watcher.ids[1]
    expect(one.document).toEqual({ '@context': 'https://mercure.rocks/', ...own, lastEventID })
    expect(one.headers.get('etag')).toBe(lastEventID ?? '')
    const unchanged = await rawRequest(hub.origin, {
      target: id,
      fields: [bearer(all), ['If-None-Match', lastEventID ?? '']],
    })
    expect(unchanged.status).toBe(304)
    const ofSelector = await documentsOf(hub, `${path}/subscriptions/${encodeSegment(selector)}`)
    expect(ofSelector.document.subscriptions).toEqual([own])
    expect((await documentsOf(hub, `${path}/subscriptions/none`)).document.subscriptions).toEqual([])
    expect((await documentsOf(hub, `${path}/subscriptions/none/urn%3Auuid%3A1`)).status).toBe(404)
    // Of 1.0, because its first segment is the name of a type.
    const exact = await documentsOf(hub, `${path}/subscriptions/exact/none`)
    expect(exact.document).toEqual({
      id: `${path}/subscriptions/exact/none`,
      type: 'subscriptions',
      subscriptions: [],
    })
    reader.close()
    await until('its end', () => watcher.events.length === 3)
    expect(JSON.parse(watcher.events[2]?.data ?? '')).toMatchObject({ ...own, active: false })
    watcher.close()
  })

  test('LEG-22 each resource is granted by a selector on its path', async () => {
    const hub = await pool.get(['--hub-legacy', '8', ...issuer])
    const status = async (selectors: readonly string[] | null, target: string) => {
      const fields = selectors === null ? [] : [bearer(legacyToken({ mercure: { subscribe: selectors } }))]
      return (await rawRequest(hub.origin, { target, fields })).status
    }
    const usual = `${path}/subscriptions{/topic}{/subscriber}`
    expect(await status([usual], `${path}/subscriptions`)).toBe(200)
    expect(await status([usual], `${path}/subscriptions/a`)).toBe(200)
    expect(await status([`${path}/subscriptions/{topic}`], `${path}/subscriptions`)).toBe(403)
    expect(await status(['https://example.com/{x}'], `${path}/subscriptions/a`)).toBe(403)
    expect(await status(null, `${path}/subscriptions`)).toBe(401)
    const token = await tokenFor({ subscribe: ['*'] })
    const current = await rawRequest(hub.origin, { target: `${path}/subscriptions`, fields: [bearer(token)] })
    expect(current.headers.get('content-type')).toBe('application/json')
  })
})
