import { afterAll, describe, expect, test } from 'bun:test'
import { type RunningHub, until } from '../support/binary.ts'
import { HubPool } from '../support/hub-pool.ts'
import { publish } from '../support/publisher.ts'
import { type RawAnswer, type RawRequest, rawRequest } from '../support/raw-request.ts'
import { unnamed } from '../support/refusal-text.ts'
import { StreamClient } from '../support/stream-client.ts'
import {
  audience,
  forge,
  readTokenVectors,
  secretOf,
  type TokenVector,
  tokenFor,
  vectorToken,
} from '../support/tokens.ts'
import { readVectors, type VectorBase } from '../support/vectors.ts'

/** The vectors of tokens against the compiled hub: how they are presented, checked and understood. */

type Fields = readonly (readonly [name: string, value: string])[]

const pool = new HubPool([
  ...['--transport', 'memory', '--hub-publish-origins', 'https://app.example.com'],
  ...['--limits-details', '100', '--limits-pattern', '4096'],
])
afterAll(() => pool.dispose())

const formType = ['Content-Type', 'application/x-www-form-urlencoded'] as const

/** The `error` of the challenge; undefined without a challenge, null when it is bare. */
function challengeOf({ headers }: RawAnswer): string | null | undefined {
  const field = headers.get('www-authenticate')
  return field === null ? undefined : (/error="([^"]*)"/.exec(field)?.[1] ?? null)
}

describe('tokens', async () => {
  for (const vector of await readTokenVectors()) {
    test(`sections 4.1 to 4.3 ${vector.id} ${vector.role}: ${vector.why}`, async () => {
      const hub = await pool.get(vector.hub?.anonymous ? ['--hub-anonymous'] : [])
      const answer = await rawRequest(hub.origin, requestOf(hub, vector))
      expect(answer.status).toBe(vector.expect.status)
      expect(challengeOf(answer)).toBe(answer.status === 200 ? undefined : vector.expect.error)
      if (answer.status === 401) expect(unnamed(answer.text)).toBe(textOf(vector.expect.error))
    })
  }

  /** One fixed text for every reason (ERR-05). */
  function textOf(error: string | null): string {
    return error === null ? 'a token is required\n' : 'the token was not accepted\n'
  }

  function requestOf(hub: RunningHub, vector: TokenVector): RawRequest {
    const { origin, referer, role } = vector
    const sent = present(vector, vectorToken(vector, Math.floor(Date.now() / 1000)))
    const fields: Fields = [
      ...sent.fields,
      ...(origin === undefined ? [] : [['Origin', origin] as const]),
      ...(referer === undefined ? [] : [['Referer', referer] as const]),
    ]
    const { pathname } = new URL(hub.url)
    if (role === 'subscriber') return { target: `${pathname}?match=t${sent.query}`, fields }
    const body = `topic=t${sent.form}`
    return { method: 'POST', target: `${pathname}?x=1${sent.query}`, fields: [formType, ...fields], body }
  }

  function present({ present }: TokenVector, token: string) {
    const [place = '', ...rest] = present.split(':')
    const detail = rest.join(':')
    const fields = fieldsOf(place, detail, token)
    const named = `&${detail}=${token}`
    return { fields, query: place === 'query' ? named : '', form: place === 'form' ? named : '' }
  }

  function fieldsOf(place: string, detail: string, token: string): Fields {
    switch (place) {
      case 'header':
        return headerFields(detail, token)
      case 'header-value':
        return [['Authorization', `Bearer ${token}`]]
      case 'cookie':
        return [['Cookie', `${detail}=${token}`]]
      case 'cookie-value':
        return [['Cookie', `__Secure-mercure_access_token=${token}`]]
      case 'query':
      case 'form':
      case 'none':
        return []
      default:
        throw new Error(`no such presentation: ${place}`)
    }
  }

  function headerFields(detail: string, token: string): Fields {
    const field = ['Authorization', `Bearer ${token}`] as const
    if (detail === 'twice') return [field, field]
    if (detail === 'empty') return [['Authorization', '']]
    if (detail === 'Bearer x') return [['Authorization', 'Bearer x']]
    return [['Authorization', `${detail === '' ? 'Bearer' : detail} ${token}`]]
  }
})

interface DetailsVector extends VectorBase {
  readonly authorization_details?: unknown
  readonly expect: 'valid' | 'invalid_token'
  readonly grants: readonly Decision[]
}

interface Decision {
  readonly action: 'publish' | 'subscribe'
  readonly topic: string
  readonly granted: boolean
}

describe('authorization details', async () => {
  for (const vector of await readVectors<DetailsVector>('authorization-details')) {
    test(`section 4.4 ${vector.id} ${vector.why}`, async () => {
      const hub = await hubOf(vector)
      const reading = await rawRequest(hub.origin, {
        target: `${hub.path}?match=a`,
        fields: [['Authorization', `Bearer ${tokenOf(hub, vector, 'subscriber')}`]],
      })
      const publishing = await post(hub, vector, 'https://example.com/nobody-grants-this')
      if (vector.expect === 'invalid_token') {
        expect([reading.status, challengeOf(reading)]).toEqual([401, 'invalid_token'])
        expect([publishing.status, challengeOf(publishing)]).toEqual([401, 'invalid_token'])
        return
      }
      expect(reading.status).toBe(200)
      expect([200, 403]).toContain(publishing.status)
      for (const decision of vector.grants) await expectDecision(hub, vector, decision)
    })
  }

  /** Where the hub is, as its tokens and its clients say. */
  interface Place {
    readonly origin: string
    readonly path: string
    readonly audience: string
  }

  // A topic of the hub's own namespace can only be published to a hub beside it.
  async function hubOf({ grants }: DetailsVector): Promise<Place> {
    const isBeside = grants.some(({ topic }) => topic.startsWith('/.well-known/mercure/'))
    if (!isBeside) return { origin: (await pool.get()).origin, path: '/.well-known/mercure', audience }
    const beside = { path: '/.well-known/beside', audience: 'https://hub.example.com/.well-known/beside' }
    const flags = ['--hub-path', beside.path, '--hub-resource-identifier', beside.audience]
    return { origin: (await pool.get(flags)).origin, ...beside }
  }

  async function expectDecision(hub: Place, vector: DetailsVector, { action, topic, granted }: Decision) {
    if (action === 'publish') {
      const answer = await post(hub, vector, topic)
      expect(answer.status).toBe(granted ? 200 : 403)
      expect(challengeOf(answer)).toBe(granted ? undefined : 'insufficient_scope')
      return
    }
    const url = `${hub.origin}${hub.path}`
    const reader = await StreamClient.open(`${url}?match=${encodeURIComponent(topic)}`, {
      Authorization: `Bearer ${tokenOf(hub, vector, 'subscriber')}`,
    })
    const anything = await tokenFor({ publish: ['*'], audience: hub.audience })
    const secret = await publish(url, { topic, private: 'on' }, anything)
    const open = await publish(url, { topic }, anything)
    await until('the public update', () => reader.ids.includes(open))
    expect(reader.ids).toEqual(granted ? [secret, open] : [open])
    reader.close()
  }

  async function post(hub: Place, vector: DetailsVector, topic: string): Promise<RawAnswer> {
    return await rawRequest(hub.origin, {
      method: 'POST',
      target: hub.path,
      fields: [formType, ['Authorization', `Bearer ${tokenOf(hub, vector, 'publisher')}`]],
      body: `topic=${encodeURIComponent(topic)}`,
    })
  }

  function tokenOf(hub: Place, vector: DetailsVector, role: 'publisher' | 'subscriber'): string {
    const exp = Math.floor(Date.now() / 1000) + 3600
    const details = 'authorization_details' in vector && {
      authorization_details: vector.authorization_details,
    }
    const claims = { iss: 'https://a.example', aud: hub.audience, sub: 'x', exp, ...details }
    return forge({ alg: 'HS256', typ: 'at+jwt' }, claims, secretOf(`issuer-a/${role}`))
  }
})

test('SUB-43 AUT-76 a valid token without a grant reads public updates, and never becomes more', async () => {
  const hub = await pool.get()
  const token = await tokenFor({})
  const reader = await StreamClient.open(`${hub.url}?match=t`, { Authorization: `Bearer ${token}` })
  await publish(hub.url, { topic: 't', private: 'on' })
  const open = await publish(hub.url, { topic: 't' })
  await until('the public update', () => reader.events.length > 0)
  expect(reader.ids).toEqual([open])
  reader.close()
})
