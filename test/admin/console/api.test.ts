import { describe, expect, test } from 'bun:test'
import { until } from '../../support/binary.ts'
import { consoleToken } from '../../support/console-material.ts'
import { secretOf } from '../../support/tokens.ts'
import { ConsoleHub, consoleSettings, eventsUntil } from './console-hub.ts'

const reading = ['hub', 'series', 'configuration', 'live', 'topics', 'subscribers', 'history', 'history/1']
const posting = ['deliveries', 'explain', 'mint', 'request', 'disconnect', 'prune']
const topic = 'https://example.com/books/1'

describe('nobody without the token', () => {
  test('reads anything, or changes anything', async () => {
    await using hub = await ConsoleHub.open()
    for (const path of [...reading, 'nothing']) {
      const answer = await hub.fetch(`/api/${path}`, {}, null)
      expect([path, answer.status, await answer.json()]).toEqual([
        path,
        401,
        { error: 'the token is missing' },
      ])
      expect(answer.headers.get('cache-control')).toBe('no-store')
    }
    for (const path of posting) {
      const headers = { 'Content-Type': 'application/json' }
      const answer = await hub.fetch(`/api/${path}`, { method: 'POST', headers, body: '{}' }, null)
      expect([path, answer.status]).toEqual([path, 401])
    }
    expect(hub.audit).toEqual([])
  })

  test('a token in the query, in a cookie or as basic authentication opens nothing', async () => {
    await using hub = await ConsoleHub.open()
    const basic = `Basic ${btoa(`admin:${consoleToken}`)}`
    expect((await hub.fetch(`/api/hub?token=${consoleToken}`, {}, null)).status).toBe(401)
    expect((await hub.fetch('/api/hub', { headers: { Cookie: `token=${consoleToken}` } }, null)).status).toBe(
      401,
    )
    expect((await hub.fetch('/api/hub', { headers: { Authorization: basic } }, null)).status).toBe(401)
  })

  test('an address that fails ten times within a minute waits, also with the right token', async () => {
    await using hub = await ConsoleHub.open()
    for (let at = 0; at < 10; at++) expect((await hub.fetch('/api/hub', {}, `wrong-${at}`)).status).toBe(401)
    const answer = await hub.fetch('/api/hub')
    expect(answer.status).toBe(429)
    expect(Number(answer.headers.get('retry-after'))).toBeWithin(1, 61)
  })

  test('the page itself holds no data, and may be read without a token', async () => {
    await using hub = await ConsoleHub.open()
    const page = await hub.fetch('/', {}, null)
    expect([page.status, await page.text()]).toEqual([200, '<!doctype html>'])
    const { headers } = page
    expect(headers.get('content-security-policy')).toBe("default-src 'none'")
    expect(headers.get('x-frame-options')).toBe('DENY')
    expect(headers.get('referrer-policy')).toBe('no-referrer')
    expect(headers.get('cross-origin-opener-policy')).toBe('same-origin')
    expect(headers.get('cross-origin-resource-policy')).toBe('same-origin')
  })

  test('without the console there is neither page nor API', async () => {
    await using hub = await ConsoleHub.open(['--no-admin-console'])
    expect((await hub.fetch('/')).status).toBe(404)
    expect((await hub.fetch('/api/hub')).status).toBe(404)
  })
})

describe('a foreign page', () => {
  test('is answered by no route under a name of its own (DNS rebinding)', async () => {
    await using hub = await ConsoleHub.open()
    const { port } = new URL(hub.admin)
    for (const path of ['/', '/api/hub', '/metrics', '/healthz', '/readyz', '/nothing']) {
      for (const host of [
        `evil.example:${port}`,
        'evil.example',
        `localhost.evil.example:${port}`,
        '1.2.3.4.evil.example',
        '999.0.0.1',
      ]) {
        const answer = await hub.fetch(path, { headers: { Host: host } })
        expect([path, host, answer.status]).toEqual([path, host, 421])
      }
      for (const host of [
        `localhost:${port}`,
        `127.0.0.1:${port}`,
        `[::1]:${port}`,
        '10.0.0.7:3001',
        'LOCALHOST:8080',
      ])
        expect((await hub.fetch(path, { headers: { Host: host } })).status).not.toBe(421)
    }
  })

  test('may not ask, whatever token it has', async () => {
    await using hub = await ConsoleHub.open()
    const ask = async (headers: Record<string, string>) => (await hub.fetch('/api/hub', { headers })).status
    expect(await ask({ 'Sec-Fetch-Site': 'cross-site' })).toBe(403)
    expect(await ask({ 'Sec-Fetch-Site': 'same-site' })).toBe(403)
    expect(await ask({ Origin: 'https://evil.example' })).toBe(403)
    expect(await ask({ Origin: 'null' })).toBe(403)
    expect(await ask({ 'Sec-Fetch-Site': 'same-origin', Origin: hub.admin })).toBe(200)
    expect(await ask({ 'Sec-Fetch-Site': 'none' })).toBe(200)
  })

  test('may not send a form, and is allowed nothing by CORS', async () => {
    await using hub = await ConsoleHub.open()
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
    ]) {
      const answer = await hub.fetch('/api/disconnect', {
        method: 'POST',
        headers: { 'Content-Type': type },
        body: '{"subscriber":"a"}',
      })
      expect(answer.status).toBe(415)
    }
    const preflight = await hub.fetch('/api/hub', { method: 'OPTIONS', headers: { Origin: hub.admin } }, null)
    expect(preflight.headers.get('access-control-allow-origin')).toBeNull()
  })

  test('behind a proxy the origins of admin.public_urls are ours', async () => {
    await using hub = await ConsoleHub.open(['--admin-public-urls', 'https://console.example'])
    const ask = async (headers: Record<string, string>) => (await hub.fetch('/api/hub', { headers })).status
    expect(await ask({ Host: 'console.example', Origin: 'https://console.example' })).toBe(200)
    expect(await ask({ Host: 'other.example', Origin: 'https://console.example' })).toBe(421)
  })
})

describe('the console shows', () => {
  test('what the hub is, and no secret in any answer', async () => {
    await using hub = await ConsoleHub.open()
    await hub.publish([
      ['topic', topic],
      ['data', 'hello'],
    ])
    const about = await hub.get('hub')
    expect(about).toMatchObject({
      version: '1.2.3',
      address: hub.hubUrl,
      transport: 'sqlite',
      may: { act: true, mint: true, payloads: 'public', prune: true },
      nodes: [{ self: true, subscribers: 0, head: 1 }],
      warnings: 0,
    })
    for (const path of reading.filter((each) => each !== 'live')) {
      const text = await (await hub.fetch(`/api/${path}`)).text()
      expect(text).not.toContain(consoleToken)
      expect(text).not.toContain(secretOf('issuer-a/both'))
    }
    const { rows } = await hub.get('configuration')
    const secrets = rows.filter(({ secret }: { secret: boolean }) => secret)
    expect(new Set(secrets.map(({ value }: { value: string }) => value))).toEqual(new Set(['set', '']))
    expect(hub.log).not.toContain(consoleToken)
    expect(hub.log).not.toContain('hello')
    expect(hub.log).not.toContain(secretOf('issuer-a/both'))
  })

  test('a sample of the last hour from the start on', async () => {
    await using hub = await ConsoleHub.open()
    const { every, series } = await hub.get('series')
    expect([every, series.subscribers, series.resident.length]).toEqual([10, [0], 1])
    expect(Object.keys(series).length).toBe(21)
  })

  test('the history backwards from now, a time or an id', async () => {
    await using hub = await ConsoleHub.open()
    for (let at = 1; at <= 70; at++)
      await hub.publish([
        ['topic', `https://example.com/${at % 2 === 0 ? 'even' : 'odd'}/${at}`],
        ['data', `${at}`],
        ['id', `u${at}`],
      ])
    const first = await hub.get('history')
    expect([first.head, first.rows.length, first.rows[0].id, first.next]).toEqual([70, 60, 'u70', 11])
    const rest = await hub.get(`history?before=${first.next}`)
    expect([rest.rows.length, rest.rows.at(-1).id, rest.next]).toEqual([10, 'u1', null])
    const odd = await hub.get('history?type=urlpattern&filter=https%3A%2F%2Fexample.com%2Fodd%2F%3An')
    expect([odd.rows.length, odd.rows[0].id, odd.scanned]).toEqual([35, 'u69', 70])
    expect((await hub.get('history?before=id%3Au5')).rows[0].id).toBe('u5')
    expect((await hub.fetch('/api/history?before=id%3Anone')).status).toBe(404)
    const { at } = first.rows[50]
    const then = await hub.get(`history?before=time%3A${at}`)
    expect(Math.abs(then.rows[0].at - at)).toBeLessThan(50)
    expect((await hub.get('history?before=time%3A1')).rows).toEqual([])
    expect((await hub.fetch('/api/history?filter=(((&type=urlpattern')).status).toBe(400)
  })

  test('private data only where admin.payloads says so, and a line in the log tells of it', async () => {
    const secret = 'a private word'
    const see = async (payloads: string) => {
      await using hub = await ConsoleHub.open(['--admin-payloads', payloads])
      await hub.publish([
        ['topic', topic],
        ['data', 'a public word'],
      ])
      await hub.publish([
        ['topic', topic],
        ['data', secret],
        ['private', 'on'],
      ])
      const { rows } = await hub.get('history')
      const inspected = await Promise.all([2, 1].map((position) => hub.get(`history/${position}`)))
      const lines = hub.audit.filter(({ action }) => action === 'show private data').map(({ page }) => page)
      expect(hub.log).not.toContain(secret)
      return [rows.map(({ data }: { data: string }) => data), inspected.map(({ data }) => data), lines]
    }
    expect(await see('none')).toEqual([[null, null], [null, null], []])
    expect(await see('public')).toEqual([[null, 'a public word'], [null, 'a public word'], []])
    const both = [secret, 'a public word']
    expect(await see('all')).toEqual([both, both, ['history', 'update']])
  })

  test('the type of an update, also one that is called as events without a type are', async () => {
    await using hub = await ConsoleHub.open()
    for (const type of ['message', 'status', ''])
      await hub.publish([
        ['topic', topic],
        ['data', 'event: a\nid: b'],
        ['type', type],
      ])
    const { rows } = await hub.get('history')
    expect(rows.map(({ type }: { type: string | null }) => type)).toEqual([null, 'status', 'message'])
    expect(rows[0].data).toBe('event: a\nid: b')
  })

  test('large data up to 64 KiB, and says that there is more', async () => {
    await using hub = await ConsoleHub.open()
    await hub.publish([
      ['topic', topic],
      ['data', 'x'.repeat(100_000)],
    ])
    const { rows } = await hub.get('history')
    expect([rows[0].data.length, rows[0].truncated, rows[0].bytes > 100_000]).toEqual([200, true, true])
    const whole = await hub.get('history/1')
    expect([whole.data.length, whole.truncated]).toEqual([65_536, true])
    expect((await hub.fetch('/api/history/99')).status).toBe(404)
  })

  test('streams, and ends one, which is told to come back', async () => {
    await using hub = await ConsoleHub.open()
    const stream = await fetch(`${hub.hubUrl}?match=${topic}&match_urlpattern=https://example.com/:x`)
    await until('a subscriber', async () => (await hub.get('subscribers')).total === 1)
    const { rows, matched } = await hub.get('subscribers?filter=books&order=oldest')
    expect([matched, rows[0].state, rows[0].holder, rows[0].waiting]).toEqual([1, 'live', null, 0])
    expect(rows[0].matchers[0]).toEqual({ type: 'exact', pattern: topic })
    expect((await hub.get('subscribers?filter=nothing')).matched).toBe(0)
    expect((await hub.fetch('/api/subscribers?order=nothing')).status).toBe(400)
    expect((await hub.fetch('/api/subscribers?after=1000000')).status).toBe(400)
    expect(await hub.ask('disconnect', { subscriber: rows[0].id })).toEqual({ ended: 1 })
    await stream.text()
    expect(await hub.ask('disconnect', { subscriber: rows[0].id })).toEqual({ ended: 0 })
    expect(hub.audit.map(({ action, outcome }) => [action, outcome])).toEqual([
      ['disconnect', 1],
      ['disconnect', 0],
    ])
  })

  test('a holder by a hash of this run only', async () => {
    await using hub = await ConsoleHub.open()
    const { token } = await hub.ask('mint', { publish: [], subscribe: ['*'], ttl: 60 })
    const abort = new AbortController()
    await fetch(`${hub.hubUrl}?match=a`, {
      headers: { Authorization: `Bearer ${token}` },
      signal: abort.signal,
    })
    await until('a subscriber', async () => (await hub.get('subscribers')).total === 1)
    const [{ holder }] = (await hub.get('subscribers')).rows
    expect(holder).toMatch(/^[\w-]{8}$/)
    expect((await hub.get(`subscribers?filter=${holder}`)).matched).toBe(1)
    abort.abort()
  })

  test('who would get an update', async () => {
    await using hub = await ConsoleHub.open()
    const abort = new AbortController()
    await fetch(`${hub.hubUrl}?match=${topic}&match=${topic}2`, { signal: abort.signal })
    await until('a subscriber', async () => (await hub.get('subscribers')).total === 1)
    const ask = (isPrivate: boolean) =>
      hub.ask('deliveries', { topics: [topic, `${topic}2`], private: isPrivate })
    expect(await ask(false)).toEqual({ matching: 1, permitted: 1, refused: [] })
    const why = 'its token grants no private updates'
    expect(await ask(true)).toEqual({ matching: 1, permitted: 0, refused: [{ matcher: topic, why }] })
    expect((await hub.post('deliveries', { topics: ['\n'], private: false })).status).toBe(400)
    abort.abort()
  })

  test('the hottest topics, with their readers', async () => {
    await using hub = await ConsoleHub.open()
    await hub.get('topics')
    for (let at = 0; at < 3; at++)
      await hub.publish([
        ['topic', topic],
        ['data', 'x'],
      ])
    const { counted, hottest } = await hub.get('topics')
    expect([counted, hottest[0].topic, hottest[0].readers]).toEqual([3, topic, 0])
  })
})

describe('the console tries', () => {
  test('a request as the hub answers it, its status and its stream', async () => {
    await using hub = await ConsoleHub.open()
    const stream = await hub.post('request', { method: 'GET', query: [['match', topic]] })
    expect([stream.status, stream.headers.get('x-answered-by')]).toEqual([200, 'hub'])
    const received = eventsUntil(stream, (text) => text.includes('data: hello'))
    await until('a subscriber', () => hub.server.subscriberCount === 1)
    expect(
      (
        await hub.publish([
          ['topic', topic],
          ['data', 'hello'],
        ])
      ).status,
    ).toBe(200)
    expect(await received).toContain('data: hello')
    await until('the hub to notice that the page has gone', () => hub.server.subscriberCount === 0)
    const refused = await hub.post('request', {
      method: 'POST',
      token: 'x'.repeat(50),
      form: [['topic', topic]],
    })
    expect([refused.status, refused.headers.get('x-answered-by')]).toEqual([401, 'hub'])
  })

  test('a token, which it makes and explains; a wrong audience is named', async () => {
    await using hub = await ConsoleHub.open()
    const { token, expiresAt } = await hub.ask('mint', { publish: ['*'], subscribe: [topic], ttl: 60 })
    expect(Math.abs(expiresAt - Date.now() - 60_000)).toBeLessThan(5000)
    const { roles } = await hub.ask('explain', { token })
    expect(
      roles.map(({ role, accepted, grants }: Record<string, unknown>) => [role, accepted, grants]),
    ).toEqual([
      ['publisher', true, ['every topic']],
      ['subscriber', true, [`exact ${topic}`]],
    ])
    const other = await ConsoleHub.open(['--hub-resource-identifier', 'urn:other'])
    const explained = await other.ask('explain', { token })
    const wrong = explained.roles[0].findings.find(({ check }: { check: string }) => check === 'aud')
    expect(wrong).toMatchObject({ ok: false })
    await other[Symbol.asyncDispose]()
    expect((await hub.post('mint', { publish: ['*'], subscribe: [], ttl: 7200 })).status).toBe(400)
  })

  test('a token for each role where the roles have keys of their own', async () => {
    const key = (role: string) => ({ key: secretOf(`issuer-a/${role}`), algorithm: 'HS256' })
    const issuers = [{ id: 'https://a.example', publisher: key('publisher'), subscriber: key('subscriber') }]
    await using hub = await ConsoleHub.open(['--issuers', JSON.stringify(issuers)])
    expect((await hub.get('hub')).may.mints).toEqual({ publish: true, subscribe: true, both: false })
    expect((await hub.post('mint', { publish: ['*'], subscribe: ['*'], ttl: 60 })).status).toBe(409)
    for (const [publish, subscribe, role] of [
      [['*'], [], 'publisher'],
      [[], ['*'], 'subscriber'],
    ] as const) {
      const { token } = await hub.ask('mint', { publish, subscribe, ttl: 60 })
      const { roles } = await hub.ask('explain', { token })
      const accepted = roles.filter(({ accepted }: { accepted: boolean }) => accepted)
      expect(accepted.map(({ role }: { role: string }) => role)).toEqual([role])
    }
  })

  test('no token where the hub has none but public keys', async () => {
    const publisher = { jwks_uri: 'https://a.example/keys', algorithms: ['ES256'] }
    const issuers = JSON.stringify([{ id: 'https://a.example', publisher }])
    await using hub = await ConsoleHub.open(['--issuers', issuers])
    expect((await hub.get('hub')).may).toMatchObject({ mint: false })
    expect((await hub.post('mint', { publish: ['*'], subscribe: [], ttl: 60 })).status).toBe(409)
  })

  test('a prune, whose dry run equals what goes', async () => {
    await using hub = await ConsoleHub.open()
    for (let at = 0; at < 10; at++)
      await hub.publish([
        ['topic', `https://example.com/${at % 2}`],
        ['data', 'x'],
      ])
    const asked = { keep: { count: 2, age: null }, match: 'https://example.com/1', type: 'exact' }
    const dry = await hub.ask('prune', { ...asked, isDryRun: true })
    expect(dry.count).toBe(3)
    expect((await hub.get('history')).rows.length).toBe(10)
    expect(await hub.ask('prune', { ...asked, isDryRun: false })).toEqual(dry)
    expect((await hub.get('history')).rows.length).toBe(7)
    expect((await hub.post('prune', { keep: {}, isDryRun: true })).status).toBe(400)
  })

  test('a history in memory is not pruned', async () => {
    await using hub = await ConsoleHub.open(['--transport', 'memory'])
    expect((await hub.get('hub')).may.prune).toBe(false)
    expect((await hub.post('prune', { keep: { count: 0 }, isDryRun: true })).status).toBe(409)
    await hub.publish([
      ['topic', topic],
      ['data', 'x'],
    ])
    expect((await hub.get('history')).rows.length).toBe(1)
  })

  test('nothing where admin.actions is false', async () => {
    await using hub = await ConsoleHub.open(['--no-admin-actions'])
    const requests: readonly (readonly [string, unknown])[] = [
      ['mint', { publish: ['*'], subscribe: [], ttl: 60 }],
      ['request', { method: 'POST', form: [['topic', topic]] }],
      ['disconnect', { subscriber: 'a' }],
      ['prune', { keep: { count: 0 }, isDryRun: false }],
    ]
    for (const [path, body] of requests)
      expect([path, (await hub.post(path, body)).status]).toEqual([path, 403])
    expect((await hub.get('hub')).may).toMatchObject({ act: false, mint: false, prune: false })
    expect(hub.audit).toEqual([])
  })

  test('refuses a body that is no JSON, another shape, and one that is too large', async () => {
    await using hub = await ConsoleHub.open()
    const send = (body: string) =>
      hub.fetch('/api/disconnect', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body })
    expect((await send('{')).status).toBe(400)
    expect((await send('{"subscriber":1}')).status).toBe(400)
    expect((await send(JSON.stringify({ subscriber: 'x'.repeat(3 * 1024 * 1024) }))).status).toBe(413)
  })
})

describe('a feed', () => {
  test('carries a sample each second, and updates where they are asked for', async () => {
    await using hub = await ConsoleHub.open()
    const feed = await hub.fetch('/api/live?updates&match=books')
    const received = eventsUntil(
      feed,
      (text) => text.includes('event: sample') && text.includes('event: updates'),
    )
    await hub.publish([
      ['topic', 'https://example.com/films/1'],
      ['data', 'no'],
    ])
    await hub.publish([
      ['topic', topic],
      ['data', 'yes'],
    ])
    const text = await received
    const updates = JSON.parse(/event: updates\nid: \ndata: (.*)/.exec(text)?.[1] ?? '')
    expect(updates).toMatchObject({ seen: 1, items: [{ topics: [topic], data: 'yes' }] })
  })

  test('there are eight at most', async () => {
    await using hub = await ConsoleHub.open()
    const abort = new AbortController()
    const open = () => hub.fetch('/api/live', { signal: abort.signal })
    for (let at = 0; at < 8; at++) expect((await open()).status).toBe(200)
    expect((await open()).status).toBe(429)
    abort.abort()
    await until('room', async () => {
      const answer = await hub.fetch('/api/live')
      await answer.body?.cancel()
      return answer.status === 200
    })
  })

  test('ends when the token is another one', async () => {
    await using hub = await ConsoleHub.open()
    const feed = await hub.fetch('/api/live')
    const other = 'another-token-of-the-console-0123456789-0123'
    await hub.server.reload(consoleSettings(hub.folder, ['--admin-token', other]))
    await feed.text()
    expect((await hub.fetch('/api/hub')).status).toBe(401)
    expect((await hub.fetch('/api/hub', {}, other)).status).toBe(200)
  })
})
