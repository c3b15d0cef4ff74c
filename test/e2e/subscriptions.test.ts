import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { encodeSegment } from '../../src/protocol/subscription.ts'
import { metric, type RunningHub, startHub, until } from '../support/binary.ts'
import { publish } from '../support/publisher.ts'
import { StreamClient } from '../support/stream-client.ts'
import { tokenFor } from '../support/tokens.ts'
import { readVectors, type VectorBase } from '../support/vectors.ts'

interface TopicGrant {
  readonly match: string
  readonly match_type?: string
}

interface ApiVector extends VectorBase {
  readonly kind: 'topic' | 'api' | 'etag' | 'link'
  readonly method: string
  readonly path: string
  readonly grants: readonly TopicGrant[] | null
  readonly enabled: boolean
  readonly active: readonly (readonly [matchType: string, match: string, subscriber: string])[]
  readonly lastEventId: string
  readonly headers?: Readonly<Record<string, string>>
  readonly expect: {
    readonly status: number
    readonly type?: string
    readonly count?: number
    readonly id?: string
    readonly active?: boolean
    readonly error?: string | null
    readonly bodyEmpty?: boolean
    readonly linkLastEventId?: string
  }
}

const base = '/.well-known/mercure/subscriptions'
const everyEvent = `match_urlpattern=${encodeURIComponent(`${base}/:t/:m/:s`)}`

function tokenOf(grants: readonly TopicGrant[]): Promise<string> {
  return tokenFor({
    role: 'subscriber',
    subscribe: grants.filter(({ match_type }) => match_type !== 'urlpattern').map(({ match }) => match),
    subscribePatterns: grants
      .filter(({ match_type }) => match_type === 'urlpattern')
      .map(({ match }) => match),
  })
}

const bearer = async (...topics: string[]) => ({
  Authorization: `Bearer ${await tokenOf(topics.map((match) => ({ match })))}`,
})

/** The documents that the hub has sent about others than the watcher itself. */
function documents(watcher: StreamClient) {
  return watcher.events.map(({ data }) => JSON.parse(data)).filter(({ match }) => !match.startsWith(base))
}

describe('the subscription API over HTTP', async () => {
  const vectors = (await readVectors<ApiVector>('active-subscriptions')).filter(({ kind }) => kind === 'api')
  const hubs = new Map<string, Promise<Scene>>()
  afterAll(async () => {
    for (const scene of hubs.values()) await (await scene).hub.dispose()
  })

  interface Scene {
    readonly hub: RunningHub
    /** From the subscribers of the vectors to the ones that the hub chose. */
    readonly names: ReadonlyMap<string, string>
  }

  /** One hub for each set of active subscriptions; the connections stay open until it is disposed of. */
  function sceneOf({ enabled, active }: ApiVector): Promise<Scene> {
    const key = JSON.stringify({ enabled, active })
    const known = hubs.get(key) ?? openScene(enabled, active)
    hubs.set(key, known)
    return known
  }

  async function openScene(enabled: boolean, active: ApiVector['active']): Promise<Scene> {
    const hub = await startHub({ flags: ['--hub-anonymous', ...(enabled ? ['--hub-subscriptions'] : [])] })
    const names = new Map<string, string>()
    for (const name of new Set(active.map(([, , subscriber]) => subscriber))) {
      const own = active.filter(([, , subscriber]) => subscriber === name)
      const query = own.map(([type, match]) => `match_${type}=${encodeURIComponent(match)}`).join('&')
      await StreamClient.open(`${hub.url}?${query}`)
      if (!enabled) continue
      const list = async () => {
        const response = await fetch(`${hub.origin}${base}`, { headers: await bearer('*') })
        const body = (await response.json()) as { subscriptions: { subscriber: string }[] }
        return body.subscriptions.map(({ subscriber }) => subscriber)
      }
      await until('the subscriptions', async () =>
        (await list()).some((id) => ![...names.values()].includes(id)),
      )
      names.set(name, (await list()).find((id) => ![...names.values()].includes(id)) ?? '')
    }
    return { hub, names }
  }

  /** The vector's names, wherever they stand, become the hub's. */
  function translate(text: string, names: Scene['names']): string {
    return [...names].reduce(
      (path, [name, own]) => path.replaceAll(encodeSegment(name), encodeSegment(own)),
      text,
    )
  }

  for (const vector of vectors) {
    test(`ACT-20 to ACT-34 ${vector.id} ${vector.why}`, async () => {
      const { hub, names } = await sceneOf(vector)
      const grants =
        vector.grants?.map((grant) => ({ ...grant, match: translate(grant.match, names) })) ?? null
      const headers = new Headers(grants === null ? {} : { authorization: `Bearer ${await tokenOf(grants)}` })
      const newest = await newestTag(hub)
      for (const [name, value] of Object.entries(vector.headers ?? {})) {
        headers.set(name, value.replaceAll(`"${vector.lastEventId}"`, newest))
      }
      const path = translate(vector.path, names)
      const response = await fetch(`${hub.origin}${path}`, { method: vector.method, headers })
      const text = await response.text()
      const { expect: wanted } = vector
      expect(response.status).toBe(wanted.status)
      if (wanted.bodyEmpty === true) expect(text).toBe('')
      if (wanted.error !== undefined) {
        const challenge = response.headers.get('www-authenticate') ?? ''
        expect(challenge.includes('error=')).toBe(wanted.error !== null)
        if (wanted.error !== null) expect(challenge).toContain(`error="${wanted.error}"`)
      }
      if (wanted.linkLastEventId !== undefined) {
        expect(response.headers.get('link')).toContain(`last-event-id="${wanted.linkLastEventId}"`)
      }
      if (wanted.status !== 200 || vector.method === 'HEAD') return
      expect(response.headers.get('content-type')).toBe('application/json')
      const body = JSON.parse(text)
      if (wanted.type !== undefined) expect(body.type).toBe(wanted.type)
      if (wanted.count !== undefined) expect(body.subscriptions).toHaveLength(wanted.count)
      if (wanted.id !== undefined) expect(body.id).toBe(wanted.id)
      if (wanted.active !== undefined) expect(body.active).toBe(wanted.active)
    })
  }

  async function newestTag(hub: RunningHub): Promise<string> {
    const response = await fetch(`${hub.origin}${base}`, { headers: await bearer('*') })
    return response.headers.get('etag') ?? ''
  }
})

describe('active subscriptions on the wire', () => {
  let hub: RunningHub
  beforeAll(async () => {
    hub = await startHub({
      flags: ['--hub-anonymous', '--hub-subscriptions', '--hub-cors-origins', 'https://app.example'],
    })
  })
  afterAll(() => hub.dispose())

  test('ACT-02 ACT-06 ACT-07 ACT-08 ACT-09 ACT-11 SEC-08 a connection is announced when it begins and ends', async () => {
    const watcher = await StreamClient.open(`${hub.url}?${everyEvent}`, await bearer('*'))
    const first = await StreamClient.open(`${hub.url}?match=a&match_urlpattern=/b/:id`)
    await until('both events', () => documents(watcher).length === 2)
    expect(watcher.events.every(({ type }) => type === 'mercure')).toBe(true)
    expect(documents(watcher).map(({ match_type, match, active }) => [match_type, match, active])).toEqual([
      ['exact', 'a', true],
      ['urlpattern', '/b/:id', true],
    ])
    const [one, two] = documents(watcher)
    expect(one.subscriber).toBe(two.subscriber)
    expect(one.subscriber).toMatch(/^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-4/)
    expect(one.id).toBe(`${base}/exact/a/${encodeSegment(one.subscriber)}`)
    first.close()
    await until('the end', () => documents(watcher).length === 4)
    expect(
      documents(watcher)
        .slice(2)
        .map(({ match, active }) => [match, active]),
    ).toEqual([
      ['a', false],
      ['/b/:id', false],
    ])
    const again = await StreamClient.open(`${hub.url}?match=a`)
    await until('the second connection', () => documents(watcher).length === 5)
    expect(documents(watcher)[4].subscriber).not.toBe(one.subscriber)
    again.close()
    watcher.close()
    await until('nobody is left', async () => (await metric(hub, 'mercure_subscribers_connected')) === 0)
  })

  test('ACT-08 AUT-74 nobody is told without a grant on the topic of the event', async () => {
    const anonymous = await StreamClient.open(`${hub.url}?match=*`)
    const other = await StreamClient.open(`${hub.url}?match=*`, await bearer('a'))
    const id = await publish(hub.url, { topic: 'a', data: 'x' })
    await until('the update', () => anonymous.events.length > 0 && other.events.length > 0)
    expect([anonymous.ids, other.ids]).toEqual([[id], [id]])
    anonymous.close()
    other.close()
  })

  test('AUT-80 AUT-81 the payload of the first matching detail stands in the documents', async () => {
    const watcher = await StreamClient.open(`${hub.url}?${everyEvent}`, await bearer('*'))
    const token = await tokenFor({ subscribe: ['a'], payload: { user: 'ann' } })
    const reader = await StreamClient.open(`${hub.url}?match=a&match=b`, { Authorization: `Bearer ${token}` })
    await until('the events', () => documents(watcher).length >= 2)
    const own = documents(watcher).filter(({ active }) => active)
    expect(own.map(({ match, payload }) => [match, payload])).toEqual([
      ['a', { user: 'ann' }],
      ['b', undefined],
    ])
    reader.close()
    watcher.close()
  })

  test('ACT-31 ACT-32 REC-20 the cursor of the API loses no change', async () => {
    const response = await fetch(`${hub.origin}${base}`, { headers: await bearer('*') })
    expect(response.headers.get('content-type')).toBe('application/json')
    const cursor = /last-event-id="([^"]*)"/.exec(response.headers.get('link') ?? '')?.[1] ?? ''
    expect(response.headers.get('link')).toContain('rel="mercure"')
    const reader = await StreamClient.open(`${hub.url}?match=later`)
    const watcher = await StreamClient.open(
      `${hub.url}?${everyEvent}&last_event_id=${encodeURIComponent(cursor)}`,
      await bearer('*'),
    )
    await until('the change', () => documents(watcher).some(({ match }) => match === 'later'))
    reader.close()
    watcher.close()
  })

  test('ACT-25 ACT-26 ACT-35 SUB-100 the API is read across origins, Link included', async () => {
    const headers = { ...(await bearer('*')), Origin: 'https://app.example' }
    const response = await fetch(`${hub.origin}${base}`, { headers })
    expect(response.headers.get('access-control-allow-origin')).toBe('https://app.example')
    expect(response.headers.get('access-control-expose-headers')).toContain('Link')
    const refused = await fetch(`${hub.origin}${base}/exact/x/unknown`, { headers: await bearer('a') })
    expect(refused.status).toBe(403)
  })

  test('ACT-12 a matcher that is a dot segment is refused while subscriptions have resources', async () => {
    expect((await fetch(`${hub.url}?match=.`)).status).toBe(400)
    expect((await fetch(`${hub.url}?match=..`)).status).toBe(400)
  })

  test('ACT-01 DIS-09 the feature is named in the metadata where it is on, and is not there where it is off', async () => {
    const metadata = '/.well-known/oauth-protected-resource/.well-known/mercure'
    expect(await (await fetch(hub.origin + metadata)).json()).toMatchObject({ mercure_subscriptions: true })
    const off = await startHub()
    expect(await (await fetch(off.origin + metadata)).json()).not.toHaveProperty('mercure_subscriptions')
    expect((await fetch(`${off.origin}${base}`, { headers: await bearer('*') })).status).toBe(404)
    await off.dispose()
  })
})
