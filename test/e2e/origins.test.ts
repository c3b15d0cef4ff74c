import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { binaryPath, startHub } from '../support/binary.ts'
import { HubPool } from '../support/hub-pool.ts'
import { type RawRequest, rawRequest } from '../support/raw-request.ts'
import { unnamed } from '../support/refusal-text.ts'
import { StreamClient } from '../support/stream-client.ts'
import { tokenFor } from '../support/tokens.ts'

/** Browsers, cookies and proxies: whose pages may do what, and under which name the hub is reached. */

const path = '/.well-known/mercure'
const form = ['Content-Type', 'application/x-www-form-urlencoded'] as const
const app = 'https://app.example.com'
type Fields = NonNullable<RawRequest['fields']>

const pool = new HubPool(['--transport', 'memory', '--hub-anonymous'])
let publisher: string
let subscriber: string
beforeAll(async () => {
  publisher = await tokenFor({ publish: ['*'] })
  subscriber = await tokenFor({ subscribe: ['*'] })
})
afterAll(() => pool.dispose())

async function ask(flags: readonly string[], fields: Fields, request: Partial<RawRequest> = {}) {
  const hub = await pool.get(flags)
  return await rawRequest(hub.origin, { target: `${path}?match=a`, fields, ...request })
}

const origin = (value: string) => ['Origin', value] as const
const corsFields = (headers: Headers) =>
  Object.fromEntries([...headers].filter(([name]) => name.startsWith('access-control-') || name === 'vary'))

describe('CORS', () => {
  const listed = ['--hub-cors-origins', app, '--hub-cors-origins', 'https://*.wild.example']
  const exposed = 'Link, Mercure-Last-Event-ID, WWW-Authenticate, Retry-After'
  const granted = (value: string) => ({
    'access-control-allow-origin': value,
    'access-control-allow-credentials': 'true',
    'access-control-expose-headers': exposed,
    vary: 'Origin',
  })

  for (const [title, request] of [
    ['a stream', {}],
    ['HEAD', { method: 'HEAD' }],
    ['the metadata document', { target: `/.well-known/oauth-protected-resource${path}` }],
    ['an error', { target: path }],
    ['a path that does not exist', { target: '/nothing' }],
  ] as const) {
    test(`SUB-96 SUB-98 SUB-100 SUB-101 ${title} names a listed origin and allows credentials`, async () => {
      expect(corsFields((await ask(listed, [origin(app)], request)).headers)).toEqual(granted(app))
    })

    test(`SUB-96 SUB-98 ${title} says nothing to another origin, and that it depends`, async () => {
      for (const other of ['https://evil.example', 'null', `${app}.evil.example`, 'http://app.example.com'])
        expect(corsFields((await ask(listed, [origin(other)], request)).headers)).toEqual({ vary: 'Origin' })
    })
  }

  test('SUB-95 a publication names a listed origin', async () => {
    const fields: Fields = [form, ['Authorization', `Bearer ${publisher}`], origin(app)]
    const answer = await ask(listed, fields, { method: 'POST', target: path, body: 'topic=a' })
    expect([answer.status, corsFields(answer.headers)]).toEqual([200, granted(app)])
  })

  test('SUB-102 a wildcard stands for labels in front of the host', async () => {
    const sub = 'https://a.b.wild.example'
    expect(corsFields((await ask(listed, [origin(sub)])).headers)).toEqual(granted(sub))
    const bare = await ask(listed, [origin('https://wild.example')])
    expect(bare.headers.get('access-control-allow-origin')).toBeNull()
  })

  test('SUB-97 with * configured the answer is * without credentials', async () => {
    const answer = await ask(['--hub-cors-origins', '*'], [origin('https://any.example')])
    expect(corsFields(answer.headers)).toEqual({
      'access-control-allow-origin': '*',
      'access-control-expose-headers': exposed,
    })
  })

  test('SUB-95 a hub without listed origins speaks no CORS', async () => {
    expect(corsFields((await ask([], [origin(app)])).headers)).toEqual({})
  })

  test('SUB-99 a preflight is answered before any authentication', async () => {
    const fields: Fields = [origin(app), ['Access-Control-Request-Method', 'QUERY']]
    const answer = await ask(listed, fields, { method: 'OPTIONS', target: path })
    expect([answer.status, answer.text]).toEqual([204, ''])
    const list = (name: string) => (answer.headers.get(name) ?? '').split(', ')
    expect(list('access-control-allow-methods')).toEqual(
      expect.arrayContaining(['GET', 'HEAD', 'POST', 'QUERY']),
    )
    expect(list('access-control-allow-headers')).toEqual(
      expect.arrayContaining(['authorization', 'cache-control', 'last-event-id', 'content-type']),
    )
    expect(answer.headers.get('access-control-allow-origin')).toBe(app)
    expect(answer.headers.get('access-control-allow-credentials')).toBe('true')
    expect(answer.headers.get('vary')).toBe('Origin')
  })

  test('SUB-99 a preflight of another origin is granted nothing', async () => {
    const fields: Fields = [origin('https://evil.example'), ['Access-Control-Request-Method', 'POST']]
    const answer = await ask(listed, fields, { method: 'OPTIONS', target: path })
    expect([answer.status, corsFields(answer.headers)]).toEqual([204, { vary: 'Origin' }])
  })

  for (const wrong of [
    'foo',
    'https://a.example/',
    'https://u@a.example',
    'https://a.example:x',
    'https://a.example?x',
  ]) {
    test(`SUB-102 SEC-18 the start is refused with ${wrong} as an origin`, async () => {
      const child = Bun.spawn([binaryPath(), 'serve', '--hub-cors-origins', wrong], {
        stdio: ['ignore', 'ignore', 'pipe'],
      })
      expect(await child.exited).toBe(78)
      expect(await new Response(child.stderr).text()).toContain('--hub-cors-origins')
    })
  }
})

describe('the cookie', () => {
  const name = '__Secure-mercure_access_token'
  const private_ = (fields: Fields) => ask(['--no-hub-anonymous'], fields)

  test('AUT-01 AUT-04 AUT-19 it subscribes, whatever the origin', async () => {
    const cookie = ['Cookie', `a=b; ${name}=${subscriber}; c=d`] as const
    for (const fields of [[cookie], [cookie, origin('https://evil.example')]])
      expect((await private_(fields)).status).toBe(200)
  })

  test('AUT-07 the first cookie of the name counts, and an empty one is none', async () => {
    const status = async (value: string) => (await private_([['Cookie', value]])).status
    expect(await status(`${name}=${subscriber}; ${name}=wrong`)).toBe(200)
    expect(await status(`${name}=wrong; ${name}=${subscriber}`)).toBe(401)
    expect((await private_([['Cookie', `${name}=`]])).headers.get('www-authenticate')).not.toContain('error=')
  })

  test('AUT-07 its name is configurable and compared whole', async () => {
    const flags = ['--no-hub-anonymous', '--hub-cookie-name', 'token']
    const status = async (value: string) => (await ask(flags, [['Cookie', value]])).status
    expect(await status(`token=${subscriber}`)).toBe(200)
    for (const other of [name, 'Token', 'xtoken', 'tokenx'])
      expect(await status(`${other}=${subscriber}`)).toBe(401)
  })

  test('AUT-08 the cookie of the 0.x generation is ignored', async () => {
    const answer = await private_([['Cookie', `mercureAuthorization=${subscriber}`]])
    expect(answer.headers.get('www-authenticate')).not.toContain('error=')
    expect(answer.status).toBe(401)
  })

  test('AUT-03 an Authorization field decides alone, even when it is wrong', async () => {
    const cookie = ['Cookie', `${name}=${subscriber}`] as const
    const wrong = ['Authorization', `Bearer ${'x'.repeat(50)}`] as const
    expect((await private_([wrong, cookie])).status).toBe(401)
    expect((await private_([['Authorization', 'Basic abc'], cookie])).status).toBe(400)
  })

  for (const [status, title, fields, flags] of [
    [200, 'its own origin', [origin('http://hub.example.com'), ['Host', 'hub.example.com']], []],
    [
      400,
      'its own host with another scheme',
      [origin('https://hub.example.com'), ['Host', 'hub.example.com']],
      [],
    ],
    [
      400,
      'its own host with another port',
      [origin('http://hub.example.com:81'), ['Host', 'hub.example.com']],
      [],
    ],
    [200, 'a listed origin', [origin(app)], ['--hub-publish-origins', app]],
    [200, 'the Referer of a listed origin', [['Referer', `${app}/x?y`]], ['--hub-publish-origins', app]],
    [400, 'an unlisted origin', [origin('https://evil.example')], ['--hub-publish-origins', app]],
    [400, 'an origin that only CORS lists', [origin(app)], ['--hub-cors-origins', app]],
    [400, 'an opaque origin', [origin('null')], ['--hub-publish-origins', app]],
    [200, 'an opaque origin that is listed', [origin('null')], ['--hub-publish-origins', 'null']],
    [
      200,
      'a wildcard host',
      [origin('https://a.wild.example')],
      ['--hub-publish-origins', 'https://*.wild.example'],
    ],
    [200, 'any origin where all are listed', [origin('https://x.example')], ['--hub-publish-origins', '*']],
    [400, 'no origin at all', [], ['--hub-publish-origins', app]],
    [400, 'no origin at all, even where all are listed', [], ['--hub-publish-origins', '*']],
    [400, 'a Referer that is no URL', [['Referer', 'x']], ['--hub-publish-origins', '*']],
    [
      400,
      'a good Referer beside a bad Origin',
      [origin('https://evil.example'), ['Referer', app]],
      ['--hub-publish-origins', app],
    ],
  ] as const) {
    test(`AUT-15 to AUT-18 publishing with it from ${title} is answered ${status}`, async () => {
      const own: Fields = [form, ['Cookie', `${name}=${publisher}`], ...fields]
      const answer = await ask(flags, own, { method: 'POST', target: path, body: 'topic=a' })
      expect(answer.status).toBe(status)
    })
  }
})

describe('the origin of the hub', () => {
  const flags = ['--hub-public-urls', 'https://a.example', '--hub-public-urls', 'http://b.example:8080']
  const host = (value: string) => ['Host', value] as const
  const status = async (fields: Fields, more: readonly string[] = []) =>
    (await ask([...flags, ...more], fields)).status

  test('GEN-15 another host, port or scheme is answered 421, ahead of every other check', async () => {
    expect(await status([host('b.example:8080')])).toBe(200)
    expect(await status([host('B.Example:8080')])).toBe(200)
    expect(await status([host('b.example')])).toBe(421)
    expect(await status([host('c.example:8080')])).toBe(421)
    expect(await status([host('a.example')])).toBe(421)
    for (const method of ['PUT', 'OPTIONS', 'POST', 'HEAD', 'QUERY'])
      expect((await ask(flags, [host('c.example')], { method, target: path })).status).toBe(421)
  })

  test('GEN-15 a trusted proxy says under which scheme and host the hub was reached', async () => {
    const trusted = ['--proxy-trusted', '127.0.0.1']
    const xff: Fields = [host('internal'), ['X-Forwarded-Proto', 'https'], ['X-Forwarded-Host', 'a.example']]
    const forwarded: Fields = [host('internal'), ['Forwarded', 'for=192.0.2.1;proto=https;host="a.example"']]
    for (const fields of [xff, forwarded]) {
      expect(await status(fields, trusted)).toBe(200)
      expect(await status(fields)).toBe(421)
    }
    expect(await status([host('internal')], trusted)).toBe(421)
  })

  test('SUB-33 behind a trusted proxy streams are counted by the address of the client', async () => {
    const trusted = ['--proxy-trusted', '127.0.0.1', '--limits-subscribers-per-ip', '1']
    const hub = await pool.get(trusted)

    const open = (address: string) => StreamClient.open(`${hub.url}?match=a`, { 'X-Forwarded-For': address })
    const statuses: number[] = []
    for (const address of [
      '192.0.2.1',
      '192.0.2.1',
      '198.51.100.9, 192.0.2.1',
      '192.0.2.2',
      '2001:db8::1',
      '2001:db8::2',
    ])
      statuses.push((await open(address)).status)
    expect(statuses).toEqual([200, 429, 429, 200, 200, 429])
  })

  test('H2 the answer and one line of the log say which origin was seen, and which settings decide', async () => {
    await using own = await startHub({
      flags: ['--transport', 'memory', '--hub-anonymous', '--hub-public-urls', 'https://a.example'],
    })
    const target = `${path}?match=a`
    const answer = await rawRequest(own.origin, { target, fields: [host('A.example.')] })
    const settings = 'see hub.public_urls, and proxy.trusted behind a proxy'
    expect(unnamed(answer.text)).toBe(`the hub does not answer on http://a.example: ${settings}\n`)
    for (const value of ['b.example', 'x y', '"><script>', 'a'.repeat(300), 'b.example'])
      expect((await rawRequest(own.origin, { target, fields: [host(value)] })).status).toBe(421)
    const lines = own
      .log()
      .split('\n')
      .filter((line) => line.includes('origins refused'))
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      expect.objectContaining({ level: 'warn', origins: 'http://a.example', requests: 1, peer: '127.0.0.1' }),
    ])
    expect(lines[0]).toContain(settings)
  })

  test('GEN-15 of two trusted proxies the first one decides, by lists, by two fields and by Forwarded', async () => {
    const trusted = ['--proxy-trusted', '127.0.0.1', '--proxy-trusted', '10.0.0.0/8']
    const hops = ['X-Forwarded-For', '192.0.2.1, 10.0.0.2'] as const
    const lists: Fields = [
      hops,
      ['X-Forwarded-Proto', 'https, http'],
      ['X-Forwarded-Host', 'a.example, internal'],
    ]
    const twice: Fields = [
      hops,
      ['X-Forwarded-Proto', 'https'],
      ['X-Forwarded-Proto', 'http'],
      ['X-Forwarded-Host', 'a.example.'],
    ]
    const forwarded: Fields = [['Forwarded', 'for=192.0.2.1;proto=https;host=a.example, for=10.0.0.2']]
    for (const fields of [lists, twice, forwarded]) {
      expect(await status([host('internal'), ...fields], trusted)).toBe(200)
      // Trusting the nearer one alone makes the word of the other hearsay.
      expect(await status([host('internal'), ...fields], trusted.slice(0, 2))).toBe(421)
    }
  })

  test('S5 a client that writes the other field wins neither streams nor an origin', async () => {
    const trusted = ['--proxy-trusted', '127.0.0.1']
    const hub = await pool.get([...trusted, '--limits-subscribers-per-ip', '1', '--limits-subscribers', '50'])
    const open = async (headers: Readonly<Record<string, string>>) =>
      (await StreamClient.open(`${hub.url}?match=a`, headers)).status
    const statuses = { customary: [] as number[], standard: [] as number[], hidden: [] as number[] }
    for (let n = 1; n <= 4; n++) {
      const forged = `198.51.100.${n}`
      statuses.customary.push(await open({ 'X-Forwarded-For': '192.0.2.7', Forwarded: `for=${forged}` }))
      statuses.standard.push(await open({ Forwarded: 'for=192.0.2.8', 'X-Forwarded-For': forged }))
      statuses.hidden.push(await open({ 'X-Forwarded-For': `${forged}, unknown` }))
    }
    // All who contradict themselves share one place, that of the proxy.
    expect(
      Object.values(statuses)
        .flat()
        .filter((each) => each === 200).length,
    ).toBe(1)
    const forged: Fields = [
      host('internal'),
      ['X-Forwarded-For', '192.0.2.7'],
      ['Forwarded', 'for=192.0.2.9;proto=https;host=a.example'],
    ]
    expect(await status(forged, trusted)).toBe(421)
    const named = [...trusted, '--proxy-fields', 'x-forwarded']
    expect(
      await status([...forged, ['X-Forwarded-Proto', 'https'], ['X-Forwarded-Host', 'a.example']], named),
    ).toBe(200)
    expect(await status(forged, named)).toBe(421)
  })
})
