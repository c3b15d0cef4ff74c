import { afterEach, describe, expect, spyOn, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { JWK } from 'jose'
import { openAuthenticator, type TokenFailure } from '../../src/auth/authenticate.ts'
import { mint } from '../../src/auth/mint.ts'
import { hubLocation } from '../../src/protocol/topic.ts'
import { issuerKey as makeIssuerKey } from '../support/issuer-key.ts'
import { audience, secretOf } from '../support/tokens.ts'

const NOW = 1_767_225_600_000
const cleanups: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

const issuerKey = (kid: string | null, algorithm?: string) => makeIssuerKey(kid, NOW, algorithm)

/** An issuer's server, whose answer the test sets. */
function arrangeServer(answer: () => Response | Promise<Response>) {
  const served = { answer, count: 0 }
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch: () => {
      served.count += 1
      return served.answer()
    },
  })
  cleanups.push(() => server.stop(true))
  return { served, stop: () => server.stop(true), uri: `http://127.0.0.1:${server.port}/keys` }
}

const setOf =
  (...keys: JWK[]) =>
  () =>
    Response.json({ keys })

/** An authenticator with one key set, whose clock and timers the test owns. */
async function arrange(jwksUri: string, algorithms?: readonly string[]) {
  const time = { now: NOW }
  const timers: { run: () => void; delayMs: number }[] = []
  const problems: string[] = []
  const failures: TokenFailure[] = []
  let report = () => {}
  const authenticator = await openAuthenticator({
    issuers: [{ id: 'https://keys.example', subscriber: { jwksUri, algorithms } }],
    hub: hubLocation(audience),
    limits: { details: 100, pattern: 4096, patternWeight: 5000 },
    clock: () => time.now,
    cacheEntries: 10,
    cacheBytes: 1_000_000,
    onFailure: (failure) => failures.push(failure),
    onKeySetFailure: (issuer, problem) => problems.push(`${issuer}: ${problem}`),
    schedule: (run, delayMs) => {
      const timer = { run, delayMs }
      timers.push(timer)
      report()
      return () => timers.splice(timers.indexOf(timer), 1)
    },
  })
  cleanups.push(() => authenticator.close())
  const ask = async (token: string) => {
    try {
      await authenticator.authenticate(token, 'subscriber', audience)
      return 'accepted'
    } catch (error) {
      return error instanceof Error && 'code' in error ? error.code : error
    }
  }
  // A load has ended when it arms the timer of the next one.
  const armed = () =>
    new Promise<void>((resolve) => {
      report = resolve
    })
  const loaded = () => (timers.length > 0 ? Promise.resolve() : armed())
  const runTimer = async () => {
    const next = armed()
    timers.splice(0)[0]?.run()
    await next
  }
  return { authenticator, time, timers, problems, failures, ask, armed, loaded, runTimer }
}

describe('AUT-41 the key set of an issuer', () => {
  test('is fetched in the background, once, and tokens that come first wait for it', async () => {
    const { jwk, token } = await issuerKey('1')
    const { served, uri } = arrangeServer(setOf(jwk))
    const { ask, authenticator } = await arrange(uri)
    const tokens = await Promise.all(Array.from({ length: 20 }, () => token()))
    expect(await Promise.all(tokens.map(ask))).toEqual(tokens.map(() => 'accepted'))
    expect(served.count).toBe(1)
    expect(authenticator.hasKeys('subscriber')).toBe(true)
  })

  test('that cannot be fetched refuses no token: the keys are unavailable', async () => {
    const { jwk, token } = await issuerKey('1')
    const { served, uri } = arrangeServer(() => new Response('secret text', { status: 500 }))
    const { ask, time, problems, failures } = await arrange(uri)
    expect(await ask(await token())).toBe('keys-unavailable')
    expect(problems).toEqual(['https://keys.example: the key set was answered with status 500'])
    expect(failures).toEqual(['keys'])
    served.answer = setOf(jwk)
    expect(await ask(await token())).toBe('keys-unavailable')
    time.now += 1000
    expect(await ask(await token())).toBe('accepted')
  })

  test('is tried again soon after a failure, and later refreshed', async () => {
    const { jwk, token } = await issuerKey('1')
    const { served, uri } = arrangeServer(() => new Response(null, { status: 503 }))
    const { ask, loaded, timers, runTimer } = await arrange(uri)
    await loaded()
    const delays: (number | undefined)[] = []
    for (let failed = 0; failed < 9; failed++) {
      delays.push(timers[0]?.delayMs)
      await runTimer()
    }
    expect(delays).toEqual([5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 600_000, 600_000])
    served.answer = setOf(jwk)
    await runTimer()
    expect(timers.map(({ delayMs }) => delayMs)).toEqual([600_000])
    expect(await ask(await token())).toBe('accepted')
  })

  test('is fetched again when that is asked for, and what it held stays in use until then', async () => {
    const [old, next] = await Promise.all([issuerKey('1'), issuerKey('2')])
    const { served, uri } = arrangeServer(setOf(old.jwk))
    const { ask, armed, authenticator } = await arrange(uri)
    const token = await old.token()
    expect(await ask(token)).toBe('accepted')
    served.answer = () => new Response(null, { status: 500 })
    const failed = armed()
    authenticator.refresh()
    expect(await ask(token)).toBe('accepted')
    await failed
    expect(await ask(token)).toBe('accepted')
    served.answer = setOf(next.jwk)
    const succeeded = armed()
    authenticator.refresh()
    await succeeded
    expect(await ask(token)).toBe('invalid-token')
  })

  test('is fetched again for an unknown kid, not more often than the cooldown', async () => {
    const [old, next] = await Promise.all([issuerKey('1'), issuerKey('2')])
    const { served, uri } = arrangeServer(setOf(old.jwk))
    const { ask, time } = await arrange(uri)
    expect(await ask(await old.token())).toBe('accepted')
    served.answer = setOf(old.jwk, next.jwk)
    expect(await ask(await next.token())).toBe('invalid-token')
    expect(served.count).toBe(1)
    time.now += 30_000
    expect(await ask(await next.token())).toBe('accepted')
    expect(await ask(await old.token('3'))).toBe('accepted')
    expect(served.count).toBe(2)
    const stranger = await issuerKey('4')
    for (const _ of [1, 2, 3]) expect(await ask(await stranger.token())).toBe('invalid-token')
    expect(served.count).toBe(2)
  })

  test('stays in use while the issuer is down', async () => {
    const { jwk, token } = await issuerKey('1')
    const { served, uri } = arrangeServer(setOf(jwk))
    const { ask, loaded, runTimer, time, problems } = await arrange(uri)
    await loaded()
    for (const answer of [
      () => new Response(null, { status: 500 }),
      () => new Response('<html>'),
      () => Response.json([]),
      () => Response.json({ keys: 'x' }),
      () => Response.json({ keys: Array.from({ length: 101 }, () => jwk) }),
      () => new Response(' '.repeat(1024 * 1024 + 1)),
    ]) {
      served.answer = answer
      time.now += 3_600_000
      await runTimer()
      expect(await ask(await token())).toBe('accepted')
    }
    expect(problems.map((problem) => problem.replace('https://keys.example: ', ''))).toEqual([
      'the key set was answered with status 500',
      'what the address answered is not a JWK Set',
      'what the address answered is not a JWK Set',
      'what the address answered is not a JWK Set',
      'the key set holds more than 100 keys',
      'the key set is larger than 1048576 bytes',
    ])
  })

  test('stays in use while nobody answers at its address', async () => {
    const { jwk, token } = await issuerKey('1')
    const { uri, stop } = arrangeServer(setOf(jwk))
    const { ask, loaded, runTimer, problems } = await arrange(uri)
    await loaded()
    await stop()
    await runTimer()
    expect(problems).toHaveLength(1)
    expect(await ask(await token())).toBe('accepted')
  })

  test('that withdraws a key ends the tokens it has signed, remembered ones too', async () => {
    const [old, next] = await Promise.all([issuerKey('1'), issuerKey('2')])
    const { served, uri } = arrangeServer(setOf(old.jwk, next.jwk))
    const { ask, authenticator, runTimer } = await arrange(uri)
    const [withdrawn, kept] = await Promise.all([old.token(), next.token()])
    expect([await ask(withdrawn), await ask(kept), await ask(withdrawn)]).toEqual(Array(3).fill('accepted'))
    await ask(kept)
    expect(authenticator.authenticate(kept, 'subscriber', audience)).not.toBeInstanceOf(Promise)
    served.answer = setOf(next.jwk)
    await runTimer()
    expect([await ask(withdrawn), await ask(kept)]).toEqual(['invalid-token', 'accepted'])
  })

  test('that is fetched again unchanged keeps what is remembered', async () => {
    const { jwk, token } = await issuerKey('1')
    const { uri } = arrangeServer(setOf(jwk))
    const { authenticator, loaded, runTimer } = await arrange(uri)
    await loaded()
    const text = await token()
    const identity = await authenticator.authenticate(text, 'subscriber', audience)
    await runTimer()
    expect(authenticator.authenticate(text, 'subscriber', audience)).toBe(identity)
  })

  test('tells by its code why nobody answers, and not in the words of the runtime', async () => {
    const { ask, problems } = await arrange('http://127.0.0.1:1/keys')
    await ask(await (await issuerKey('1')).token())
    expect(problems).toEqual(['https://keys.example: the key set could not be fetched (ECONNREFUSED)'])
  })

  test('does not follow a redirect', async () => {
    const { jwk, token } = await issuerKey('1')
    const elsewhere = arrangeServer(setOf(jwk))
    const { uri } = arrangeServer(() => Response.redirect(elsewhere.uri, 302))
    const { ask, problems } = await arrange(uri)
    expect(await ask(await token())).toBe('keys-unavailable')
    expect(problems).toEqual(['https://keys.example: the key set was answered with status 302'])
    expect(elsewhere.served.count).toBe(0)
  })

  test('is read from a file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'key-set-'))
    cleanups.push(() => rm(folder, { recursive: true }))
    const { jwk, token } = await issuerKey(null)
    const path = join(folder, 'keys.json')
    await Bun.write(path, JSON.stringify({ keys: [jwk] }))
    const { ask } = await arrange(pathToFileURL(path).href)
    expect(await ask(await token())).toBe('accepted')
  })

  test('is left alone after close', async () => {
    const { jwk } = await issuerKey('1')
    const { uri } = arrangeServer(setOf(jwk))
    const { authenticator, loaded, timers } = await arrange(uri)
    await loaded()
    authenticator.close()
    expect(timers).toEqual([])
  })
})

describe('AUT-24 the keys of a set', () => {
  test('are all tried for a token without a kid, and for a kid that none has', async () => {
    const keys = await Promise.all([issuerKey(null), issuerKey('2'), issuerKey(null)])
    const { uri } = arrangeServer(setOf(...keys.map(({ jwk }) => jwk)))
    const { ask } = await arrange(uri)
    for (const { token } of keys) {
      expect([await ask(await token(null)), await ask(await token('x'))]).toEqual(['accepted', 'accepted'])
    }
  })

  test('SEC-14 are not all tried where they are many: the first eight, or those of the kid', async () => {
    const keys = await Promise.all(Array.from({ length: 20 }, (_, n) => issuerKey(`${n}`)))
    const { uri } = arrangeServer(setOf(...keys.map(({ jwk }) => jwk)))
    const { ask } = await arrange(uri)
    for (const [n, { token }] of keys.entries()) {
      const expected = n < 8 ? 'accepted' : 'invalid-token'
      expect([await ask(await token()), await ask(await token(null)), await ask(await token('x'))]).toEqual([
        'accepted',
        expected,
        expected,
      ])
    }
    const verify = spyOn(crypto.subtle, 'verify')
    cleanups.push(() => verify.mockRestore())
    const stranger = await issuerKey(null)
    expect(await ask(await stranger.token())).toBe('invalid-token')
    expect(verify).toHaveBeenCalledTimes(8)
  })

  test('of another algorithm are not tried', async () => {
    const [one, other] = await Promise.all([issuerKey(null, 'ES256'), issuerKey(null, 'ES384')])
    const { uri } = arrangeServer(setOf(...Array.from({ length: 10 }, () => other.jwk), one.jwk))
    const { ask } = await arrange(uri)
    expect(await ask(await one.token())).toBe('accepted')
  })

  test('may share a kid', async () => {
    const keys = await Promise.all([issuerKey('1'), issuerKey('1')])
    const { uri } = arrangeServer(setOf(...keys.map(({ jwk }) => jwk)))
    const { ask } = await arrange(uri)
    for (const { token } of keys) expect(await ask(await token())).toBe('accepted')
  })

  test('of kinds that cannot be used do not disturb the others', async () => {
    const { jwk, token } = await issuerKey('1')
    const broken = [
      { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA', kid: '1' },
      { kty: 'XX' },
      { ...jwk, use: 'enc' },
    ]
    const { uri } = arrangeServer(setOf(...broken, jwk))
    const { ask } = await arrange(uri)
    expect([await ask(await token()), await ask(await token(null))]).toEqual(['accepted', 'accepted'])
  })

  test.each([
    ['ES256', ['RS256', 'EdDSA'], 'invalid-token'],
    ['ES384', ['ES256', 'ES384'], 'accepted'],
    ['EdDSA', undefined, 'accepted'],
    ['PS512', undefined, 'accepted'],
  ])('AUT-22 %s under %p: %s', async (algorithm, allowed, expected) => {
    const { jwk, token } = await issuerKey('1', algorithm)
    const { uri } = arrangeServer(setOf(jwk))
    const { ask } = await arrange(uri, allowed)
    expect(await ask(await token())).toBe(expected)
  })

  test('AUT-23 are no shared secrets, even if the set holds one', async () => {
    const secret = { kty: 'oct', k: Buffer.from(secretOf('x')).toString('base64url'), kid: '1' }
    const { uri } = arrangeServer(setOf(secret))
    const { ask, failures } = await arrange(uri)
    const token = await mint({
      key: secretOf('x'),
      algorithm: 'HS256',
      keyId: '1',
      issuer: 'https://keys.example',
      audience,
      expiresAt: NOW + 1000,
      rights: {},
    })
    expect(await ask(token)).toBe('invalid-token')
    expect(failures).toEqual(['algorithm'])
  })
})
