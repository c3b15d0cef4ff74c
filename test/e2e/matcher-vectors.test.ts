import { afterAll, describe, expect, test } from 'bun:test'
import { until } from '../support/binary.ts'
import { HubPool } from '../support/hub-pool.ts'
import { post, publish } from '../support/publisher.ts'
import { StreamClient } from '../support/stream-client.ts'
import { tokenFor } from '../support/tokens.ts'
import { readVectors, type VectorBase } from '../support/vectors.ts'

/** The vectors of matchers against the compiled hub: subscribe, publish, and see whether it arrives. */

interface MatcherVector extends VectorBase {
  readonly type: string
  readonly matcher: string
  readonly topic: string
  readonly hubUrl?: string
  readonly maxMillis?: number
  readonly expect: boolean | 'invalid-matcher' | 'invalid-topic'
}

const pool = new HubPool(['--hub-anonymous', '--transport', 'memory'])
afterAll(() => pool.dispose())

/** A topic of its own, so that the end of a test says nothing about its matcher. */
const end = 'https://end.invalid/end'

/**
 * Topics of the hub's own namespace cannot be published. A hub beside it has the same base for relative
 * references, and there they are topics like others.
 */
function hubUrlOf({ hubUrl, topic }: MatcherVector): string | null {
  return topic.startsWith('/.well-known/mercure/')
    ? 'https://hub.example.com/.well-known/beside'
    : (hubUrl ?? null)
}

async function hubOf(vector: MatcherVector) {
  const hubUrl = hubUrlOf(vector)
  if (hubUrl === null) return { url: (await pool.get()).url, token: await tokenFor({ publish: ['*'] }) }
  const path = new URL(hubUrl).pathname
  const hub = await pool.get(['--hub-path', path, '--hub-resource-identifier', hubUrl])
  return { url: `${hub.origin}${path}`, token: await tokenFor({ publish: ['*'], audience: hubUrl }) }
}

describe('matchers', async () => {
  for (const vector of await readVectors<MatcherVector>('matchers')) {
    test(`section 2 ${vector.id} ${vector.why}`, async () => {
      const { url, token } = await hubOf(vector)
      const { type, matcher, topic, maxMillis } = vector
      // A reference without a path is the hub URL itself, wherever the hub is.
      const isRefused = vector.expect === 'invalid-topic' || topic.startsWith('?')
      const query = `match_${type}=${encodeURIComponent(matcher)}&match=${encodeURIComponent(end)}`
      const reader = await StreamClient.open(`${url}?${query}`)
      expect(reader.status).toBe(vector.expect === 'invalid-matcher' ? 400 : 200)
      const start = performance.now()
      const response = await post(url, { topic }, token)
      expect(response.status).toBe(isRefused ? 400 : 200)
      const id = await response.text()
      if (typeof vector.expect === 'boolean' && !isRefused) {
        const last = await publish(url, { topic: end }, token)
        await until('the end', () => reader.ids.includes(last))
        expect(reader.ids.includes(id)).toBe(vector.expect)
        if (maxMillis !== undefined) expect(performance.now() - start).toBeLessThan(maxMillis)
      }
      reader.close()
    })
  }
})
