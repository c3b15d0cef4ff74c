import { afterAll, describe, expect, test } from 'bun:test'
import type { Role } from '../../src/auth/keys.ts'
import type { JsonObject } from '../../src/protocol/grant.ts'
import { type RunningHub, startHub, until } from '../support/binary.ts'
import { HubPool } from '../support/hub-pool.ts'
import { post, publish } from '../support/publisher.ts'
import { rawRequest } from '../support/raw-request.ts'
import { unnamed } from '../support/refusal-text.ts'
import { runCommand } from '../support/run-command.ts'
import { StreamClient } from '../support/stream-client.ts'
import { audience, forge, secretOf, tokenFor } from '../support/tokens.ts'

/** The 0.x generation beside 1.0 on one hub, and a hub that speaks 1.0 alone. */

const path = '/.well-known/mercure'
const legacy = ['--hub-legacy', '8', '--hub-legacy-issuer', 'https://a.example']
const pool = new HubPool(['--transport', 'memory', '--hub-cors-origins', 'https://app.example.com'])
afterAll(() => pool.dispose())

function oldToken(mercure: unknown, role: Role = 'subscriber', more: JsonObject = {}): string {
  return forge({ alg: 'HS256', typ: 'JWT' }, { mercure, ...more }, secretOf(`issuer-a/${role}`))
}

const bearer = (token: string) => ({ Authorization: `Bearer ${token}` })
const status = async (hub: RunningHub, query: string, fields: readonly (readonly [string, string])[] = []) =>
  (await rawRequest(hub.origin, { target: `${path}?${query}`, fields })).status

describe('LEG-01 both generations on one hub', () => {
  test('LEG-07 LEG-09 LEG-24 LEG-25 LEG-27 publishers of either reach subscribers of either, within their rights', async () => {
    const hub = await pool.get([...legacy, '--hub-anonymous'])
    const book = 'https://example.com/books/1'
    const template = encodeURIComponent('https://example.com/books/{id}')
    const pattern = encodeURIComponent('https://example.com/books/:id')
    const old = oldToken({ subscribe: ['https://example.com/books/{id}'] })
    const current = await tokenFor({ subscribe: [book] })
    const readers = await Promise.all([
      StreamClient.open(`${hub.url}?topic=${template}`, bearer(old)),
      StreamClient.open(`${hub.url}?topic=${template}&authorization=${old}`),
      StreamClient.open(`${hub.url}?topic=${template}`, { Cookie: `mercureAuthorization=${old}` }),
      StreamClient.open(`${hub.url}?match=${encodeURIComponent(book)}`, bearer(current)),
      StreamClient.open(`${hub.url}?topic=elsewhere&match_urlpattern=${pattern}`, bearer(current)),
      // A reader of 0.x parameters with a token of 1.0 and the other way round.
      StreamClient.open(`${hub.url}?topic=${template}`, bearer(current)),
      StreamClient.open(`${hub.url}?match=${encodeURIComponent(book)}`, bearer(old)),
    ])
    const strangers = await Promise.all([
      StreamClient.open(`${hub.url}?topic=${template}`),
      StreamClient.open(`${hub.url}?topic=${template}`, bearer(oldToken({ subscribe: ['other'] }))),
      StreamClient.open(
        `${hub.url}?match_urlpattern=${pattern}`,
        bearer(await tokenFor({ subscribe: ['other'] })),
      ),
    ])
    const oldPublisher = oldToken({ publish: ['https://example.com/books/{id}'] }, 'publisher', {
      exp: 4e9 + 0.5,
    })
    const currentPublisher = await tokenFor({ publish: [book] })
    const ids: string[] = []
    const open: string[] = []
    for (const token of [oldPublisher, currentPublisher]) {
      ids.push(await publish(hub.url, { topic: book, private: 'on', data: 'private' }, token))
      const id = await publish(hub.url, { topic: book, data: 'public' }, token)
      ids.push(id)
      open.push(id)
      expect((await post(hub.url, { topic: 'https://example.com/cars/1' }, token)).status).toBe(403)
    }
    for (const reader of readers) {
      await until('all updates', () => reader.ids.length === ids.length)
      expect(reader.ids).toEqual(ids)
      reader.close()
    }
    for (const reader of strangers) {
      await until('the public updates', () => reader.ids.length === open.length)
      expect(reader.ids).toEqual(open)
      reader.close()
    }
  })

  test('LEG-19 subscriptions are told of in the way in which they were made', async () => {
    const hub = await pool.get([...legacy, '--hub-subscriptions'])
    const all = oldToken({ subscribe: ['*'] })
    const subscriptions = `${path}/subscriptions`
    const watch = (query: string) => StreamClient.open(`${hub.url}?${query}`, bearer(all))
    const old = await watch(`topic=${encodeURIComponent(`${subscriptions}/{topic}/{subscriber}`)}`)
    const current = await watch(
      `match_urlpattern=${encodeURIComponent(`${subscriptions}/:type/:match/:subscriber`)}`,
    )
    const both = await watch('match=*')
    const readers = [await watch('topic=old-one'), await watch('match=new-one')]
    const seen = (watcher: StreamClient) =>
      watcher.events
        .map(({ data }) => JSON.parse(data))
        .map(({ topic, match }) => topic ?? match)
        .filter((text) => text.endsWith('-one'))
    await until('both events', () => seen(both).length === 2)
    expect(seen(both)).toEqual(['old-one', 'new-one'])
    expect([seen(old), seen(current)]).toEqual([['old-one'], ['new-one']])

    const list = async (token: string) => {
      const { Authorization: value } = bearer(token)
      const answer = await rawRequest(hub.origin, {
        target: subscriptions,
        fields: [['Authorization', value]],
      })
      const { subscriptions: found }: { subscriptions: readonly JsonObject[] } = JSON.parse(answer.text)
      return found.filter(({ topic, match }) => String(topic ?? match).endsWith('-one'))
    }
    expect(await list(all)).toEqual([expect.objectContaining({ type: 'Subscription', topic: 'old-one' })])
    expect(await list(await tokenFor({ subscribe: ['*'] }))).toEqual([
      expect.objectContaining({ type: 'subscription', topic: 'old-one' }),
      expect.objectContaining({ type: 'subscription', match_type: 'exact', match: 'new-one' }),
    ])
    for (const reader of [old, current, both, ...readers]) reader.close()
  })

  test('LEG-17 LEG-18 every spelling of the cursor, and pages may read the answer', async () => {
    const hub = await pool.get([...legacy, '--hub-anonymous'])
    const [first, second] = [
      await publish(hub.url, { topic: 'cursor' }),
      await publish(hub.url, { topic: 'cursor' }),
    ]
    for (const spelling of ['last_event_id', 'lastEventID', 'Last-Event-ID', 'lastEventId']) {
      const reader = await StreamClient.open(`${hub.url}?topic=cursor&${spelling}=${first}`, {
        Origin: 'https://app.example.com',
      })
      await until('what it missed', () => reader.ids.length > 0)
      expect([spelling, reader.ids]).toEqual([spelling, [second]])
      expect(reader.headers.get('last-event-id')).toBe(first)
      expect(reader.headers.get('mercure-last-event-id')).toBe(first)
      expect(reader.headers.get('access-control-expose-headers')).toContain(', Last-Event-ID')
      expect(reader.headers.get('cache-control')).toContain('private')
      reader.close()
    }
    const current = await StreamClient.open(`${hub.url}?match=cursor&last_event_id=${first}`)
    expect(current.headers.get('last-event-id')).toBeNull()
    current.close()
  })

  test('LEG-02 LEG-05 a selector is held to the limits of matchers', async () => {
    const hub = await pool.get([...legacy, '--hub-anonymous'])
    const template = (count: number) => encodeURIComponent('{+a}'.repeat(count))
    expect(await status(hub, `topic=${template(10)}`)).toBe(200)
    for (const query of [
      `topic=${template(900)}`,
      'topic=',
      'topic=%01',
      `topic=${'x'.repeat(4097)}`,
      'topic=%ff',
    ]) {
      expect([query.slice(0, 20), await status(hub, query)]).toEqual([query.slice(0, 20), 400])
    }
    expect(await status(hub, Array.from({ length: 101 }, (_, at) => `topic=${at}`).join('&'))).toBe(400)
    expect(await status(hub, 'topic=a&match_regexp=b')).toBe(400)
  })
})

describe('LEG-12 a token of 1.0 gains nothing in the way of 0.x', async () => {
  const hub = await pool.get(legacy)
  const secret = secretOf('issuer-a/subscriber')
  const claims = { iss: 'https://a.example', aud: audience, exp: Math.floor(Date.now() / 1000) + 600 }
  const details = { authorization_details: [] }
  const rights = { mercure: { subscribe: ['*'] } }
  const typed = { alg: 'HS256', typ: 'at+jwt' }
  const untyped = { alg: 'HS256', typ: 'JWT' }
  const { exp: _exp, ...endless } = claims
  test.each<[string, string]>([
    ['without exp', forge(typed, { ...endless, ...rights }, secret)],
    ['without aud', forge(typed, { iss: claims.iss, exp: claims.exp, ...rights }, secret)],
    ['of another issuer', forge(typed, { ...claims, iss: 'https://c.example', ...rights }, secret)],
    ['without type, with details', forge(untyped, { ...claims, ...details, ...rights }, secret)],
    ['typed in capitals', forge({ alg: 'HS256', typ: 'AT+JWT' }, { ...rights }, secret)],
    ['of the media type', forge({ alg: 'HS256', typ: 'application/at+jwt' }, { ...rights }, secret)],
  ])('%s, wherever it is', async (_what, token) => {
    expect(await status(hub, 'topic=a', [['Authorization', `Bearer ${token}`]])).toBe(401)
    expect(await status(hub, `topic=a&authorization=${token}`)).toBe(401)
    expect(await status(hub, 'topic=a', [['Cookie', `mercureAuthorization=${token}`]])).toBe(401)
    expect(await status(hub, 'topic=a', [['Cookie', `__Secure-mercure_access_token=${token}`]])).toBe(401)
  })

  test('one that is valid is taken where 1.0 has it, and nowhere else', async () => {
    const token = forge(typed, { ...claims, ...details }, secret)
    expect(await status(hub, 'topic=a', [['Authorization', `Bearer ${token}`]])).toBe(200)
    expect(await status(hub, 'topic=a', [['Cookie', `__Secure-mercure_access_token=${token}`]])).toBe(200)
    expect(await status(hub, `topic=a&authorization=${token}`)).toBe(401)
    expect(await status(hub, 'topic=a', [['Cookie', `mercureAuthorization=${token}`]])).toBe(401)
  })

  test('its claim mercure grants nothing', async () => {
    const token = forge(typed, { ...claims, ...details, ...rights }, secret)
    const reader = await StreamClient.open(`${hub.url}?topic=t`, bearer(token))
    await publish(hub.url, { topic: 't', private: 'on' })
    const open = await publish(hub.url, { topic: 't' })
    await until('the public update', () => reader.ids.length > 0)
    expect(reader.ids).toEqual([open])
    reader.close()
  })
})

describe('LEG-14 the keys of a 0.x token', () => {
  test('are those of the only issuer, of the issuer that it names, or of hub.legacy_issuer', async () => {
    const only = [
      { id: 'https://a.example', subscriber: { key: secretOf('issuer-a/subscriber'), algorithm: 'HS256' } },
    ]
    await using alone = await startHub({
      hasIssuers: false,
      flags: ['--transport', 'memory', '--hub-legacy', '8', '--issuers', JSON.stringify(only)],
    })
    const unnamed = ['Authorization', `Bearer ${oldToken({})}`] as const
    expect(await status(alone, 'topic=a', [unnamed])).toBe(200)
    const several = await pool.get(['--hub-legacy', '8'])
    expect(await status(several, 'topic=a', [unnamed])).toBe(401)
    expect(several.log()).toContain('set hub.legacy_issuer')
    const named = oldToken({}, 'subscriber', { iss: 'https://a.example' })
    expect(await status(several, 'topic=a', [['Authorization', `Bearer ${named}`]])).toBe(200)
    expect(await status(await pool.get(legacy), 'topic=a', [unnamed])).toBe(200)
    const { code, err } = await runCommand(
      ['check', '--hub-legacy', '8', '--hub-legacy-issuer', 'nobody'],
      '/tmp',
    )
    expect([code, err]).toEqual([78, expect.stringContaining('"nobody" is the id of no issuer')])
  })

  test('are those of the names of the reference image, which say nothing else', async () => {
    await using hub = await startHub({
      hasIssuers: false,
      flags: ['--transport', 'memory'],
      env: {
        MERCURE_PUBLISHER_JWT_KEY: secretOf('issuer-a/publisher'),
        MERCURE_SUBSCRIBER_JWT_KEY: secretOf('issuer-a/subscriber'),
      },
    })
    expect(hub.log()).toContain('tokens of 0.x are accepted')
    const reader = await StreamClient.open(`${hub.url}?topic=t`, bearer(oldToken({ subscribe: ['t'] })))
    const id = await publish(
      hub.url,
      { topic: 't', private: 'on' },
      oldToken({ publish: ['t'] }, 'publisher'),
    )
    await until('the update', () => reader.ids.includes(id))
    reader.close()
    const forged = forge({ alg: 'HS256' }, { mercure: { publish: ['*'] } }, secretOf('issuer-a/subscriber'))
    expect((await post(hub.url, { topic: 't' }, forged)).status).toBe(401)
  })

  test('LEG-28 a wrong one is a 401 in every place, and a short one in the URL is none', async () => {
    const hub = await pool.get(legacy)
    const wrong = forge({ alg: 'HS256' }, { mercure: { subscribe: ['*'] } }, 'y'.repeat(64))
    expect(await status(hub, `topic=a&authorization=${wrong}`)).toBe(401)
    expect(await status(hub, 'topic=a', [['Cookie', `mercureAuthorization=${wrong}`]])).toBe(401)
    expect(await status(hub, 'topic=a', [['Authorization', `Bearer ${wrong}`]])).toBe(401)
    expect(await status(hub, `topic=a&authorization=${'x'.repeat(40)}`)).toBe(401)
    expect(await status(await pool.get([...legacy, '--hub-anonymous']), 'topic=a&authorization=x')).toBe(200)
  })

  test('token explain reads one as the hub does', async () => {
    const only = [
      { id: 'https://a.example', subscriber: { key: secretOf('issuer-a/subscriber'), algorithm: 'HS256' } },
    ]
    const token = oldToken({ subscribe: ['https://example.com/books/{id}'] })
    const words = ['token', 'explain', token, '--aud', audience, '--issuers', JSON.stringify(only)]
    const strict = await runCommand(words, '/tmp')
    expect([strict.code, strict.out]).toEqual([1, expect.stringContaining('NO  typ')])
    const { code, out } = await runCommand([...words, '--hub-legacy', '8'], '/tmp')
    expect([code, out]).toEqual([0, expect.stringContaining('grants topic https://example.com/books/{id}')])
  })
})

describe('a hub that speaks 1.0 alone', () => {
  const lines = (hub: RunningHub) =>
    hub
      .log()
      .split('\n')
      .filter((line) => line.includes('0.x token'))
      .map((line) => JSON.parse(line).place)

  test('AUT-05 AUT-08 passes no 0.x token over in silence, and says so once a minute', async () => {
    await using hub = await startHub({ flags: ['--transport', 'memory', '--hub-anonymous'] })
    const token = oldToken({ subscribe: ['*'] })
    for (let time = 0; time < 3; time++) {
      const inUrl = await rawRequest(hub.origin, { target: `${path}?match=a&authorization=${token}` })
      expect([inUrl.status, unnamed(inUrl.text)]).toEqual([401, 'a token is required\n'])
      expect(inUrl.headers.get('referrer-policy')).toBe('no-referrer')
      expect(await status(hub, 'match=a', [['Cookie', `mercureAuthorization=${token}`]])).toBe(200)
    }
    const publication = await rawRequest(hub.origin, {
      method: 'POST',
      target: `${path}?authorization=${oldToken({ publish: ['*'] }, 'publisher')}`,
      fields: [['Content-Type', 'application/x-www-form-urlencoded']],
      body: 'topic=a',
    })
    expect(publication.status).toBe(401)
    expect(lines(hub)).toEqual(['the parameter authorization', 'the cookie mercureAuthorization'])
    // Beside a token of 1.0 it is what another time has left.
    const own = ['Authorization', `Bearer ${await tokenFor({ subscribe: ['a'] })}`] as const
    expect(await status(hub, `match=a&authorization=${token}`, [own])).toBe(200)
    expect(hub.log()).not.toContain(token.slice(-20))
  })

  test('SUB-10 says of topic alone that it is of 0.x', async () => {
    const hub = await pool.get(['--hub-anonymous'])
    const answer = await rawRequest(hub.origin, { target: `${path}?topic=a` })
    expect([answer.status, answer.text]).toEqual([
      400,
      expect.stringMatching(/topic is of 0\.x.*match_urlpattern/),
    ])
  })
})

test('LEG-16 a token in a URL reaches no log, metric, error or referrer', async () => {
  await using hub = await startHub({ flags: ['--transport', 'memory', '--log-level', 'debug', ...legacy] })
  const good = oldToken({ subscribe: ['a'] })
  const bad = forge({ alg: 'HS256' }, { mercure: { subscribe: ['a'] } }, 'z'.repeat(64))
  const current = await tokenFor({ subscribe: ['a'] })
  const answers: string[] = []
  for (const token of [good, bad, current, `${good}%ff`, `${bad}x`]) {
    for (const target of [
      `${path}?topic=a&authorization=${token}`,
      `${path}?authorization=${token}`,
      `${path}?topic=%7B&topic=&authorization=${token}`,
      `${path}/subscriptions?authorization=${token}`,
      `/none?authorization=${token}`,
    ]) {
      const { text, headers } = await rawRequest(hub.origin, { target })
      answers.push(text, JSON.stringify([...headers]))
      if (!target.startsWith('/none')) expect(headers.get('referrer-policy')).toBe('no-referrer')
      expect(headers.get('cache-control')).toMatch(/private|no-store/)
    }
  }
  const metrics = await (await fetch(new URL('/metrics', hub.adminUrl))).text()
  expect(metrics).toContain('cinnabar_')
  for (const token of [good, bad, current]) {
    for (const part of token.split('.').slice(1)) {
      for (const text of [...answers, hub.log(), metrics]) expect(text).not.toContain(part)
    }
  }
})
