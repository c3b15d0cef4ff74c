import { afterAll, describe, expect, test } from 'bun:test'
import type { RunningHub } from '../support/binary.ts'
import { HubPool } from '../support/hub-pool.ts'
import { longestWait } from '../support/longest-wait.ts'
import { publish, publisherToken } from '../support/publisher.ts'
import { rawRequest } from '../support/raw-request.ts'

/** Forms as large as a body may be, that say nothing: they are refused or ignored, and hold nobody up. */

const path = '/.well-known/mercure'
const pool = new HubPool(['--hub-anonymous', '--transport', 'memory'])
afterAll(() => pool.dispose())

/** Milliseconds that a health check may wait, on a machine that does other things too. */
const WAIT_MS_MAX = 400

const form = ['Content-Type', 'application/x-www-form-urlencoded'] as const
const filled = (piece: string, bytes = 1024 * 1024) => piece.repeat(Math.floor(bytes / piece.length))

async function send(hub: RunningHub, method: string, body: string) {
  const token = ['Authorization', `Bearer ${await publisherToken()}`] as const
  const fields = method === 'POST' ? [form, token] : [form]
  return await rawRequest(hub.origin, { method, target: path, fields, body })
}

describe('S8 SEC-06 SEC-14 a form of a megabyte', () => {
  const bodies: readonly (readonly [what: string, body: string, publishing: number, reading: number])[] = [
    ['of escapes that are no UTF-8', filled('%ff&'), 413, 400],
    ['of names', filled('a&'), 413, 400],
    ['of values that are no UTF-8', filled('a=%ff&'), 413, 400],
    ['of separators', filled('&'), 400, 400],
    ['of signs', filled('='), 400, 400],
    ['of percent signs', filled('%'), 400, 400],
    ['that is one name', filled('x'), 400, 400],
    ['that is one escaped name', filled('%ff'), 400, 400],
    ['that is one reserved name', `match${filled('x', 1000 * 1024)}`, 400, 400],
    ['that is one value', `x=${filled('%ff', 1000 * 1024)}`, 400, 400],
    ['of topics', filled('topic=a&'), 413, 400],
    ['of topics that are no UTF-8', filled('topic=%ff&'), 413, 400],
    ['of matchers', filled('match=a&'), 413, 400],
    ['of names that begin as others do', filled('matc=a&topi=b&'), 413, 400],
  ]
  for (const [what, body, publishing, reading] of bodies) {
    test(`${what} is refused, and twenty of them hold nobody up`, async () => {
      const hub = await pool.get()
      for (const [method, expected] of [
        ['POST', publishing],
        ['QUERY', reading],
      ] as const) {
        const answers = Promise.all(Array.from({ length: 20 }, () => send(hub, method, body)))
        expect(await longestWait(hub, answers)).toBeLessThan(WAIT_MS_MAX)
        expect((await answers).map(({ status }) => status)).toEqual(
          Array.from({ length: 20 }, () => expected),
        )
      }
    }, 30_000)
  }

  test('PUB-05 fields without meaning are ignored, a thousand of them beside as many topics', async () => {
    const hub = await pool.get()
    const topics = Array.from({ length: 1000 }, (_, n) => `topic=a${n}&x${n}=%ff`).join('&')
    expect((await send(hub, 'POST', topics)).status).toBe(200)
    expect((await send(hub, 'POST', `${topics}&one=more`)).status).toBe(413)
    const matchers = Array.from({ length: 100 }, (_, n) => `match=a${n}`).join('&')
    const others = Array.from({ length: 1000 }, (_, n) => `x${n}=%ff`).join('&')
    expect((await send(hub, 'QUERY', `${matchers}&${others}`)).status).toBe(200)
    expect((await send(hub, 'QUERY', `${matchers}&${others}&one=more`)).status).toBe(400)
    const target = `${path}?match=a&${'a&'.repeat(1100)}`
    expect((await rawRequest(hub.origin, { target })).status).toBe(400)
  })

  test('PUB-21 of data is published as it is', async () => {
    const hub = await pool.get()
    expect(await publish(hub.url, { topic: 'a', data: 'é'.repeat(170_000), id: 'large' })).toBe('large')
  })
})
