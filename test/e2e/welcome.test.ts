import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync } from 'node:fs'
import type { Browser, Page } from 'playwright-core'
import { mint } from '../../src/auth/mint.ts'
import { type RunningHub, startHub, until } from '../support/binary.ts'
import { chromiumPath, launchBrowser } from '../support/browser.ts'
import { rawRequest } from '../support/raw-request.ts'
import { unnamed } from '../support/refusal-text.ts'

/** The page at the root of the hub listener, and what its own scripts may do. */

const path = '/.well-known/mercure'
const id = 'https://issuer.example'
// One secret for both roles, as test suites of other hubs configure theirs.
const key = 'one-secret-of-36-characters-for-both'
const roles = { publisher: { key, algorithm: 'HS256' }, subscriber: { key, algorithm: 'HS256' } }
const issuers = ['--issuers', JSON.stringify([{ id, ...roles }])]
const common = [
  '--transport',
  'memory',
  '--hub-anonymous',
  '--hub-cookie-name',
  'mercure_access_token',
  ...issuers,
]

async function tokenOf(hub: RunningHub, role: 'publisher' | 'subscriber'): Promise<string> {
  const audience = `${hub.origin}${path}`
  const rights = role === 'publisher' ? { publish: ['*'] } : { subscribe: ['*'] }
  const now = Date.now()
  const times = { issuedAt: now, expiresAt: now + 3_600_000 }
  return await mint({ key, algorithm: 'HS256', issuer: id, audience, subject: 'x', ...times, rights })
}

let hub: RunningHub
beforeAll(async () => {
  // The identifier of a port that the system chooses is derived from the request.
  hub = await startHub({
    flags: ['--dev', '--hub-resource-identifier', 'http://127.0.0.1:0/', ...common],
    hasIssuers: false,
  })
})
afterAll(() => hub.dispose())

describe('the page at the root', () => {
  test('H5 says what answers here, and lets its scripts connect to the same origin', async () => {
    const { status, text, headers } = await rawRequest(hub.origin, { target: '/' })
    expect(status).toBe(200)
    expect(headers.get('content-type')).toBe('text/html; charset=utf-8')
    expect(headers.get('content-security-policy')).toBe(
      "default-src 'none'; connect-src 'self'; frame-ancestors 'none'",
    )
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(text).toContain(`It answers at <code>${path}</code>`)
  })

  test('H5 HEAD has the fields without the page', async () => {
    const [get, head] = await Promise.all(
      ['GET', 'HEAD'].map((method) => rawRequest(hub.origin, { method, target: '/' })),
    )
    expect([head?.status, head?.text]).toEqual([200, ''])
    const fields = (headers?: Headers) => [...(headers ?? [])].filter(([name]) => name !== 'date')
    expect(fields(head?.headers)).toEqual(fields(get?.headers))
  })

  test('H5 other methods find nothing there', async () => {
    for (const method of ['POST', 'PUT', 'QUERY', 'OPTIONS', 'DELETE'])
      expect((await rawRequest(hub.origin, { method, target: '/' })).status).toBe(404)
  })

  test('H5 shows the version with --dev only', async () => {
    const { version } = await Bun.file(new URL('../../package.json', import.meta.url)).json()
    await using production = await startHub({ flags: ['--transport', 'memory'] })
    const page = async (of: RunningHub) => (await rawRequest(of.origin, { target: '/' })).text
    expect(await page(hub)).toContain(version)
    expect(await page(production)).not.toContain(version)
    expect(await page(production)).toContain('Mercure')
  })

  test('H5 GEN-15 is not there under another origin', async () => {
    await using own = await startHub({
      flags: ['--transport', 'memory', '--hub-public-urls', 'https://a.example'],
    })
    expect((await rawRequest(own.origin, { target: '/' })).status).toBe(421)
  })
})

// The one reason to skip: there is no browser on this machine. scripts/test.sh installs it where it can.
describe.skipIf(!existsSync(chromiumPath))('in a browser', () => {
  let browser: Browser
  let page: Page
  const violations: string[] = []
  beforeAll(async () => {
    browser = await launchBrowser()
    page = await browser.newPage()
    page.on('console', (message) => violations.push(message.text()))
    await page.goto(`${hub.origin}/`)
  }, 60_000)
  afterAll(() => browser.close())

  /** Opens an EventSource in the page; what it gets is collected under its topic. */
  const subscribe = async (topic: string, query = '') => {
    await page.evaluate(`new Promise((resolve, reject) => {
      const seen = window.seen ??= {}
      const source = new EventSource('${path}?match=' + encodeURIComponent('${topic}') + '${query}')
      source.onopen = resolve
      source.onerror = () => reject(new Error('no stream'))
      source.onmessage = ({ data, lastEventId }) => (seen['${topic}'] ??= []).push([lastEventId, data])
    })`)
  }
  const seen = (topic: string) => page.evaluate<readonly string[][]>(`(window.seen ?? {})['${topic}'] ?? []`)
  const publish = (fields: Readonly<Record<string, string>>, token: string | null) =>
    page.evaluate<readonly [number, string]>(`(async () => {
      const headers = ${JSON.stringify(token === null ? {} : { Authorization: `Bearer ${token}` })}
      const body = new URLSearchParams(${JSON.stringify(fields)})
      const response = await fetch('${path}', { method: 'POST', headers, body })
      return [response.status, await response.text()]
    })()`)

  test('H5 a script of the page subscribes by EventSource and publishes by fetch', async () => {
    const topic = 'https://example.com/books/1'
    await subscribe(topic)
    const [status, published] = await publish({ topic, data: 'hello' }, await tokenOf(hub, 'publisher'))
    expect(status).toBe(200)
    await until('the update', async () => (await seen(topic)).length === 1)
    expect(await seen(topic)).toEqual([[published, 'hello']])
  })

  test('H5 it goes on from an earlier update, and gets what a pattern selects', async () => {
    const token = await tokenOf(hub, 'publisher')
    const first = await publish({ topic: 'https://example.com/past/1', data: '1' }, token)
    const second = await publish({ topic: 'https://example.com/past/2', data: '2' }, token)
    const pattern = 'https://example.com/past/:id'
    await subscribe('none', `&match_urlpattern=${encodeURIComponent(pattern)}&last_event_id=${first[1]}`)
    await until('the update', async () => (await seen('none')).length === 1)
    expect(await seen('none')).toEqual([[second[1], '2']])
  })

  test('H5 AUT-15 with the cookie it reads and publishes what is private', async () => {
    const topic = 'https://example.com/private'
    const cookie = async (role: 'publisher' | 'subscriber') =>
      await page
        .context()
        .addCookies([{ name: 'mercure_access_token', value: await tokenOf(hub, role), url: hub.origin }])
    await cookie('subscriber')
    await subscribe(topic)
    await cookie('publisher')
    const [status] = await publish({ topic, data: 'secret', private: 'on' }, null)
    await page.context().clearCookies()
    expect(status).toBe(200)
    await until('the update', async () => (await seen(topic)).length === 1)
  })

  test('H5 it reads refusals, the metadata document and the subscription API', async () => {
    const [refused, body = ''] = await publish({ topic: 'a' }, null)
    expect([refused, unnamed(body)]).toEqual([401, 'a token is required: a publication needs a token\n'])
    const token = await tokenOf(hub, 'subscriber')
    const statuses = await page.evaluate<readonly number[]>(`Promise.all([
      fetch('/.well-known/oauth-protected-resource${path}'),
      fetch('${path}/subscriptions', { headers: { Authorization: 'Bearer ${token}' } }),
      fetch('${path}?match=a', { method: 'HEAD' }),
    ]).then((responses) => responses.map(({ status }) => status))`)
    expect(statuses).toEqual([200, 200, 200])
  })

  test('H5 nothing of that was against the policy of the page, and another origin is', async () => {
    expect(violations.filter((text) => text.includes('Content Security Policy'))).toEqual([])
    const outcome = await page.evaluate<string>(
      `fetch('http://localhost:${new URL(hub.origin).port}/').then(() => 'answered', () => 'refused')`,
    )
    expect(outcome).toBe('refused')
    expect(violations.some((text) => text.includes('Content Security Policy'))).toBe(true)
  })
})
