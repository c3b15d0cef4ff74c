import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { metric, type RunningHub, startHub, until } from '../support/binary.ts'
import { HubPool } from '../support/hub-pool.ts'
import { post, publish } from '../support/publisher.ts'
import {
  RawConnection,
  type RawRequest,
  rawRequest,
  requestBytes,
  utf8Bytes,
} from '../support/raw-request.ts'
import { StreamClient } from '../support/stream-client.ts'
import { tokenFor } from '../support/tokens.ts'

/** What the wire shows of the HTTP edge and no vector covers: methods, fields, bodies, documents. */

const path = '/.well-known/mercure'
const metadataPath = `/.well-known/oauth-protected-resource${path}`
const form = ['Content-Type', 'application/x-www-form-urlencoded'] as const
const methods = 'GET, HEAD, QUERY, POST, OPTIONS'

const pool = new HubPool(['--transport', 'memory'])
let hub: RunningHub
let authorization: readonly [string, string]
beforeAll(async () => {
  hub = await pool.get(['--hub-anonymous', '--limits-body', '100000'])
  authorization = ['Authorization', `Bearer ${await tokenFor({ publish: ['*'] })}`]
})
afterAll(() => pool.dispose())

const send = (request: RawRequest) => rawRequest(hub.origin, request)

describe('methods', () => {
  for (const target of [path, metadataPath]) {
    const allowed = target === path ? methods : 'GET, HEAD, OPTIONS'
    const others = ['PUT', 'PATCH', 'DELETE', 'TRACE', 'PROPFIND', 'PURGE', 'LOCK']
    for (const method of target === path ? others : [...others, 'POST', 'QUERY']) {
      test(`GEN-22 ${method} ${target} is answered 405 with the methods that are allowed`, async () => {
        const answer = await send({ method, target })
        expect([answer.status, answer.headers.get('allow')]).toEqual([405, allowed])
      })
    }

    test(`GEN-22 OPTIONS ${target} that is no preflight is answered 204 with the methods`, async () => {
      const answer = await send({ method: 'OPTIONS', target })
      expect([answer.status, answer.headers.get('allow')]).toEqual([204, allowed])
    })
  }

  for (const host of ['h', 'hub', 'hub:8080', '[::1]', 'HUB.example.com', '127.0.0.1']) {
    test(`GEN-11 every method is served under the host name ${host}`, async () => {
      const asked = async (method: string) =>
        (await send({ method, target: `${path}?match=a`, fields: [['Host', host]] })).status
      const statuses = await Promise.all(['GET', 'HEAD', 'QUERY', 'POST', 'OPTIONS', 'PUT'].map(asked))
      expect(statuses).toEqual([200, 200, 200, 401, 204, 405])
    })
  }

  test('GEN-23 HEAD has the fields of GET, opens no subscription and leaves the connection usable', async () => {
    const before = await metric(hub, 'mercure_subscribers_total')
    const target = `${path}?match=a&last_event_id=earliest`
    const connection = await RawConnection.open(hub.origin)
    const bytes = requestBytes(hub.origin, { method: 'HEAD', target })
    connection.send(bytes)
    const head = await connection.answer(true)
    connection.send(bytes)
    await until('a second answer', () => connection.received.split('HTTP/1.1 200').length === 3)
    expect(connection.received).not.toContain('retry:')
    connection.close()
    expect(await metric(hub, 'mercure_subscribers_total')).toBe(before)
    const get = await send({ target })
    const fieldsOf = (headers: Headers) =>
      [...headers].filter(
        ([name]) => !['date', 'transfer-encoding', 'content-length', 'x-request-id'].includes(name),
      )
    expect(fieldsOf(head.headers)).toEqual(fieldsOf(get.headers))
    expect(await metric(hub, 'mercure_subscribers_total')).toBe(before + 1)
  })

  test('GEN-25 a body on GET and HEAD is ignored', async () => {
    for (const method of ['GET', 'HEAD'])
      expect(
        (await send({ method, target: `${path}?match=a`, fields: [form], body: 'match_x=%00' })).status,
      ).toBe(200)
  })

  test('GEN-26 the query of a publication supplies no field', async () => {
    const fields = [form, authorization]
    const empty = await send({ method: 'POST', target: `${path}?topic=a`, fields, body: 'data=x' })
    expect(empty.status).toBe(400)
    const reader = await StreamClient.open(`${hub.url}?match=https://example.com/query`)
    const target = `${path}?id=from-query&type=from-query&private=on&data=from-query`
    const answer = await send({ method: 'POST', target, fields, body: 'topic=https://example.com/query' })
    await until('the update', () => reader.events.length === 1)
    expect(reader.events).toEqual([{ id: answer.text, type: 'message', data: '', retry: null }])
    expect(answer.text).not.toBe('from-query')
    reader.close()
  })

  test('SUB-21 a QUERY subscribes to what its query and its body say together', async () => {
    const connection = await RawConnection.open(hub.origin)
    const target = `${path}?match=query-a`
    connection.send(
      requestBytes(hub.origin, { method: 'QUERY', target, fields: [form], body: 'match=query-b' }),
    )
    expect((await connection.answer()).status).toBe(200)
    const ids = [
      await publish(hub.url, { topic: 'query-a' }),
      await publish(hub.url, { topic: 'query-b' }),
      await publish(hub.url, { topic: ['query-a', 'query-b'] }),
    ]
    await until('three events', () => connection.events.length === 3)
    expect(connection.events.map(({ id }) => id)).toEqual(ids)
    connection.close()
  })
})

describe('responses', () => {
  test('SUB-50 SUB-51 SUB-53 SUB-54 a stream opens at once, with the fields that keep it uncached and unbuffered', async () => {
    const { status, headers } = await send({ target: `${path}?match=a` })
    expect(status).toBe(200)
    const { date: _, 'x-request-id': __, ...fields } = Object.fromEntries(headers)
    expect(fields).toEqual({
      'content-type': 'text/event-stream',
      'cache-control': 'private, no-cache, no-store, must-revalidate, max-age=0',
      pragma: 'no-cache',
      'x-accel-buffering': 'no',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
      'transfer-encoding': 'chunked',
    })
  })

  test('SUB-55 the Accept field is not checked', async () => {
    const fields = [['Accept', 'application/json']] as const
    expect((await send({ target: `${path}?match=a`, fields })).status).toBe(200)
  })

  test('PUB-52 a publication is answered with exactly its id, as text that nobody stores', async () => {
    const id = 'https://example.com/id?café="\\'
    const body = `topic=a&id=${encodeURIComponent(id)}`
    const answer = await send({ method: 'POST', target: path, fields: [form, authorization], body })
    expect([answer.status, answer.text]).toEqual([200, id])
    expect(answer.headers.get('content-type')).toBe('text/plain; charset=utf-8')
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
  })

  test('REC-19 PUB-36 an id travels as UTF-8 in the Last-Event-ID and Mercure-Last-Event-ID fields', async () => {
    const id = 'id/☃ é "quoted\\" 😀'
    await publish(hub.url, { topic: 'a', id })
    const fields = [['Last-Event-ID', utf8Bytes(id)]] as const
    const answer = await send({ target: `${path}?match=a`, fields })
    expect(answer.headers.get('mercure-last-event-id')).toBe(utf8Bytes(id))
  })

  test('REC-07 a cursor that no field could carry back is unknown', async () => {
    for (const bytes of ['%0D%0Ax-injected%3A%201', '%FF', '%00', '%E2%80%8B']) {
      const answer = await send({ target: `${path}?match=a&last_event_id=${bytes}` })
      expect([answer.status, answer.headers.get('mercure-last-event-id')]).toEqual([200, 'earliest'])
      expect(answer.headers.has('x-injected')).toBe(false)
    }
    const raw = await send({ target: `${path}?match=a`, fields: [['Last-Event-ID', '\xff\xfe']] })
    expect([raw.status, raw.headers.get('mercure-last-event-id')]).toEqual([200, 'earliest'])
  })
})

describe('bodies', () => {
  test('PUB-61 a declared length over the limit is refused before the body is sent', async () => {
    const connection = await RawConnection.open(hub.origin)
    const fields = [form, authorization, ['Content-Length', '100000000'] as const]
    connection.send(requestBytes(hub.origin, { method: 'POST', target: path, fields }))
    expect((await connection.answer()).status).toBe(413)
    connection.close()
  })

  test('PUB-61 a body of undeclared length is refused as soon as it is over the limit', async () => {
    const connection = await RawConnection.open(hub.origin)
    const fields = [form, authorization, ['Transfer-Encoding', 'chunked'] as const]
    connection.send(requestBytes(hub.origin, { method: 'POST', target: path, fields }))
    const part = `topic=a&data=${'x'.repeat(60_000)}`
    for (let n = 0; n < 2; n++) connection.send(`${part.length.toString(16)}\r\n${part}\r\n`)
    expect((await connection.answer()).status).toBe(413)
    connection.close()
  })

  test('PUB-01 a chunked body under the limit is accepted', async () => {
    const connection = await RawConnection.open(hub.origin)
    const fields = [form, authorization, ['Transfer-Encoding', 'chunked'] as const]
    connection.send(requestBytes(hub.origin, { method: 'POST', target: path, fields }))
    connection.send('5\r\ntopic\r\n2\r\n=a\r\n0\r\n\r\n')
    expect((await connection.answer()).status).toBe(200)
    connection.close()
  })

  test('PUB-02 the token is checked before the body is looked at', async () => {
    const connection = await RawConnection.open(hub.origin)
    const fields = [form, ['Content-Length', '100000000'] as const]
    connection.send(requestBytes(hub.origin, { method: 'POST', target: path, fields }))
    expect((await connection.answer()).status).toBe(401)
    connection.close()
  })

  test('PUB-07 a body that ends early dispatches nothing', async () => {
    const before = await metric(hub, 'mercure_updates_total')
    const connection = await RawConnection.open(hub.origin)
    const fields = [form, authorization, ['Content-Length', '100'] as const]
    connection.send(requestBytes(hub.origin, { method: 'POST', target: path, fields, body: 'topic=a' }))
    connection.halfClose()
    await connection.closed()
    await publish(hub.url, { topic: 'after' })
    expect(await metric(hub, 'mercure_updates_total')).toBe(before + 1)
  })

  test('PUB-62 without a limit a body of several megabytes is accepted', async () => {
    const open = await pool.get(['--limits-body', '0'])
    const response = await post(open.url, { topic: 'a', data: 'x'.repeat(4_000_000) })
    expect(response.status).toBe(200)
  })

  test('PUB-01 a client that waits for 100 Continue is answered', async () => {
    const connection = await RawConnection.open(hub.origin)
    const fields = [
      form,
      authorization,
      ['Content-Length', '7'] as const,
      ['Expect', '100-continue'] as const,
    ]
    connection.send(requestBytes(hub.origin, { method: 'POST', target: path, fields }))
    await until('100 Continue', () => connection.received.startsWith('HTTP/1.1 100'))
    connection.send('topic=a')
    expect((await connection.answer()).status).toBe(200)
    connection.close()
  })
})

describe('the metadata document', () => {
  test('DIS-01 to DIS-11 it says where tokens are for and what the hub understands', async () => {
    const answer = await send({ target: metadataPath })
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-type')).toMatch(/^application\/json/)
    expect(JSON.parse(answer.text)).toEqual({
      resource: `https://hub.example.com${path}`,
      bearer_methods_supported: ['header'],
      authorization_details_types_supported: ['https://mercure.rocks/authorization-detail'],
      mercure_cookie: '__Secure-mercure_access_token',
      mercure_matcher_types_supported: ['exact', 'urlpattern'],
    })
  })

  test('GEN-23 HEAD answers the fields of the document without it', async () => {
    const answer = await send({ method: 'HEAD', target: metadataPath })
    expect([answer.status, answer.text]).toEqual([200, ''])
    expect(answer.headers.get('content-type')).toMatch(/^application\/json/)
  })

  test('DIS-03 DIS-12 AUT-40 where no identifier is configured, it and `aud` are derived from the request', async () => {
    // Only a developer's hub may go without one.
    const unknown = ['--dev', '--no-hub-anonymous', '--hub-resource-identifier', '']
    const derived = await startHub({ flags: ['--transport', 'memory', ...unknown] })
    const fields = [['Host', 'realtime.example:8443']] as const
    const answer = await rawRequest(derived.origin, { target: metadataPath, fields })
    const resource = `http://realtime.example:8443${path}`
    expect(JSON.parse(answer.text).resource).toBe(resource)
    const refused = await rawRequest(derived.origin, { target: `${path}?match=a`, fields })
    expect(refused.headers.get('www-authenticate')).toBe(
      `Bearer resource_metadata="http://realtime.example:8443${metadataPath}"`,
    )
    const token = await tokenFor({ subscribe: ['a'], audience: resource })
    const bearer = ['Authorization', `Bearer ${token}`] as const
    const ask = (more: RawRequest['fields'] = []) =>
      rawRequest(derived.origin, { target: `${path}?match=a`, fields: [bearer, ...more] })
    expect([(await ask(fields)).status, (await ask()).status]).toEqual([200, 401])
    await derived.dispose()
  })
})
