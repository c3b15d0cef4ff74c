import { describe, expect, test } from 'bun:test'
import { generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import {
  type Authenticator,
  type AuthenticatorOptions,
  openAuthenticator,
  type TokenFailure,
} from '../../src/auth/authenticate.ts'
import { legacyClaimChecks } from '../../src/auth/claim-checks.ts'
import type { Role } from '../../src/auth/keys.ts'
import { mint } from '../../src/auth/mint.ts'
import type { TokenProfile } from '../../src/auth/token-profile.ts'
import { ProtocolError } from '../../src/protocol/error.ts'
import { mayPublish, mayRead } from '../../src/protocol/grant.ts'
import { hubLocation } from '../../src/protocol/topic.ts'
import {
  audience,
  forge,
  isAboutToken,
  readTokenVectors,
  secretIssuers,
  secretOf,
  tokenFor,
  vectorIssuers,
  vectorToken,
} from '../support/tokens.ts'

const NOW = 1_767_225_600_000

/** An authenticator whose clock the test owns. */
async function arrange(options: Partial<AuthenticatorOptions> = {}) {
  const time = { now: NOW }
  const failures: TokenFailure[] = []
  const authenticator = await openAuthenticator({
    issuers: secretIssuers,
    hub: hubLocation(audience),
    limits: { details: 100, pattern: 4096, patternWeight: 5000 },
    clock: () => time.now,
    cacheEntries: 100,
    cacheBytes: 1_000_000,
    onFailure: (failure) => failures.push(failure),
    ...options,
  })
  return { time, failures, authenticator }
}

/** `accepted`, or the code of the refusal. */
async function outcome(authenticator: Authenticator, token: string, role: Role, forHub = audience) {
  try {
    await authenticator.authenticate(token, role, forHub)
    return 'accepted'
  } catch (error) {
    return error instanceof ProtocolError ? error.code : String(error)
  }
}

const header = { alg: 'HS256', typ: 'at+jwt' }
const claims = { iss: 'https://a.example', aud: audience, exp: NOW / 1000 + 600 }
const secret = secretOf('issuer-a/subscriber')

describe('vectors of tokens.json', async () => {
  const vectors = (await readTokenVectors()).filter(isAboutToken)
  const { authenticator, time } = await arrange({ issuers: vectorIssuers() })

  test.each(vectors.map((vector) => [vector.id, vector.why, vector] as const))(
    'AUT-20 to AUT-42 %s: %s',
    async (_id, _why, vector) => {
      time.now = vector.now * 1000
      const token = vectorToken(vector)
      const explanation = await authenticator.explain(token, vector.role, audience)
      const expected = vector.expect.error === 'invalid_token' ? 'invalid-token' : 'accepted'
      expect(await outcome(authenticator, token, vector.role)).toBe(expected)
      expect(explanation.accepted).toBe(expected === 'accepted')
      if (expected === 'invalid-token') return
      const identity = await authenticator.authenticate(token, vector.role, audience)
      const isGranted = vector.role === 'publisher' ? mayPublish(identity, ['t']) : mayRead(identity, ['t'])
      expect(isGranted).toBe(vector.expect.status === 200)
    },
  )
})

describe('a signature of several spellings', () => {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

  /** Spellings that a lenient decoder reads as the same bytes, the canonical one first. */
  function spellings(base64url: string): readonly string[] {
    const bytes = Buffer.from(base64url, 'base64url')
    const all = [...alphabet].map((last) => base64url.slice(0, -1) + last)
    const same = all.filter((one) => Buffer.from(one, 'base64url').equals(bytes))
    return [base64url, ...same.filter((one) => one !== base64url)]
  }

  test('SEC-04 is accepted in the canonical one alone, and so are the other parts (RFC 4648 section 3.5)', async () => {
    const { authenticator, failures } = await arrange()
    let refused = 0
    // Claims of every length, so that each part ends in every way.
    for (const pad of ['', 'x', 'xx', 'xxx']) {
      const [head = '', body = '', signature = ''] = forge(
        { ...header, pad },
        { ...claims, sub: `user${pad}` },
        secret,
      ).split('.')
      expect(await outcome(authenticator, [head, body, signature].join('.'), 'subscriber')).toBe('accepted')
      const others = [
        ...spellings(signature)
          .slice(1)
          .map((one) => [head, body, one]),
        ...spellings(body)
          .slice(1)
          .map((one) => [head, one, signature]),
        ...spellings(head)
          .slice(1)
          .map((one) => [one, body, signature]),
        [head, body, `${signature}==`],
      ]
      for (const other of others) {
        expect(await outcome(authenticator, other.join('.'), 'subscriber')).toBe('invalid-token')
        refused++
      }
    }
    expect(refused).toBeGreaterThan(4 * 3)
    expect(failures).toEqual(failures.map(() => 'malformed'))
  })

  test('SUB-33 that its algorithm allows is one token for the limits', async () => {
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const publicKey = pair.publicKey.export({ type: 'spki', format: 'pem' }).toString()
    const privateKey = pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    const { authenticator } = await arrange({
      issuers: [{ id: 'https://i', subscriber: { key: publicKey, algorithm: 'ES256' } }],
    })
    const token = await mint({
      key: privateKey,
      algorithm: 'ES256',
      issuer: 'https://i',
      audience,
      expiresAt: NOW + 1000,
      rights: { subscribe: ['a'] },
    })
    const other = withOtherSignature(token)
    expect(other).not.toBe(token)
    const [one, same] = await Promise.all(
      [token, other].map((each) => authenticator.authenticate(each, 'subscriber', audience)),
    )
    expect(one?.holder).not.toBeNull()
    expect(same?.holder).toBe(one?.holder ?? '')
  })
})

/** The same token with the other signature that its ES256 signature implies: s becomes the order less s. */
function withOtherSignature(token: string): string {
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
  const end = token.lastIndexOf('.') + 1
  const signature = Buffer.from(token.slice(end), 'base64url')
  const s = BigInt(`0x${signature.subarray(32).toString('hex')}`)
  const other = Buffer.from((order - s).toString(16).padStart(64, '0'), 'hex')
  return token.slice(0, end) + Buffer.concat([signature.subarray(0, 32), other]).toString('base64url')
}

describe('a refusal', () => {
  const cases: [TokenFailure, string, string][] = [
    ['malformed', 'two parts', 'a.b'],
    ['malformed', 'five parts, as a JWE has', 'a.b.c.d.e'],
    ['malformed', 'nothing', ''],
    ['malformed', 'claims that are an array', forge(header, [claims], secret)],
    [
      'malformed',
      'claims that are not UTF-8',
      `${forge(header, claims, secret).split('.')[0]}.eyJhIjoi_yJ9.x`,
    ],
    ['malformed', 'a trailing blank', `${forge(header, claims, secret)} `],
    ['typ', 'no typ', forge({ alg: 'HS256' }, claims, secret)],
    ['typ', 'a typ with text around it', forge({ ...header, typ: 'x at+jwt' }, claims, secret)],
    ['critical', 'an empty crit', forge({ ...header, crit: [] }, claims, secret)],
    ['issuer', 'an iss that is a list', forge(header, { ...claims, iss: [claims.iss] }, secret)],
    ['issuer', 'an iss that is an inherited name', forge(header, { ...claims, iss: '__proto__' }, secret)],
    ['algorithm', 'an algorithm in lower case', forge({ ...header, alg: 'hs256' }, claims, secret)],
    ['algorithm', 'no algorithm', forge({ ...header, alg: undefined }, claims, secret)],
    ['algorithm', 'none', `${forge({ ...header, alg: 'none' }, claims, secret).replace(/[^.]*$/, '')}`],
    ['expired', 'no exp', forge(header, { ...claims, exp: undefined }, secret)],
    ['expired', 'an exp that is null', forge(header, { ...claims, exp: null }, secret)],
    ['not-yet-valid', 'an nbf that is a string', forge(header, { ...claims, nbf: '1' }, secret)],
    [
      'not-yet-valid',
      'an nbf half a second ahead',
      forge(header, { ...claims, nbf: NOW / 1000 + 0.5 }, secret),
    ],
    ['audience', 'no aud', forge(header, { ...claims, aud: undefined }, secret)],
    ['audience', 'a nested aud', forge(header, { ...claims, aud: [[audience]] }, secret)],
    ['signature', 'no signature', forge(header, claims, secret).replace(/[^.]*$/, '')],
    ['signature', 'another secret', forge(header, claims, secretOf('issuer-b/subscriber'))],
    ['details', 'details that are no list', forge(header, { ...claims, authorization_details: 1 }, secret)],
  ]

  test.each(cases)('AUT-20 to AUT-33 is counted as %s: %s', async (failure, _what, token) => {
    const { authenticator, failures } = await arrange()
    expect(await outcome(authenticator, token, 'subscriber')).toBe('invalid-token')
    expect(failures).toEqual([failure])
  })

  test('AUT-27 is counted as role for an issuer without a key for it', async () => {
    const { authenticator, failures } = await arrange()
    const token = forge(
      header,
      { ...claims, iss: 'https://sub-only.example' },
      secretOf('issuer-sub-only/subscriber'),
    )
    expect(await outcome(authenticator, token, 'subscriber')).toBe('accepted')
    expect(await outcome(authenticator, token, 'publisher')).toBe('invalid-token')
    expect(failures).toEqual(['role'])
  })

  test('SEC-09 says why without the token or its payload', async () => {
    const { authenticator } = await arrange()
    const token = forge(header, { ...claims, aud: 'https://\u001b[31mother', secret: 'payload text' }, secret)
    const error = await Promise.resolve(authenticator.authenticate(token, 'subscriber', audience)).catch(
      (reason: unknown) => reason,
    )
    const message = error instanceof Error ? error.message : ''
    expect(message).toStartWith('the token was refused (audience): aud is "https://\\u001b[31mother"')
    expect(message).not.toContain('payload text')
  })
})

describe('the time of a token', () => {
  test('AUT-29 AUT-34 it ends at the fraction of exp, without leeway, also when it is known', async () => {
    const { authenticator, time, failures } = await arrange()
    const token = forge(header, { ...claims, exp: NOW / 1000 + 600.25 }, secret)
    time.now = NOW + 600_249
    const identity = await authenticator.authenticate(token, 'subscriber', audience)
    expect(identity.expiresAt).toBe(NOW + 600_250)
    expect(authenticator.authenticate(token, 'subscriber', audience)).toBe(identity)
    time.now = NOW + 600_250
    expect(await outcome(authenticator, token, 'subscriber')).toBe('invalid-token')
    expect(await outcome(authenticator, token, 'subscriber')).toBe('invalid-token')
    expect(failures).toEqual(['expired', 'expired'])
  })

  test('AUT-30 nbf is looked at again when the token is known', async () => {
    const { authenticator, time, failures } = await arrange()
    const token = forge(header, { ...claims, nbf: NOW / 1000 }, secret)
    expect(await authenticator.authenticate(token, 'subscriber', audience)).toMatchObject({ notBefore: NOW })
    time.now = NOW - 1
    expect(await outcome(authenticator, token, 'subscriber')).toBe('invalid-token')
    expect(failures).toEqual(['not-yet-valid'])
  })
})

describe('remembered identities', () => {
  test('a known token is answered at once, for its role and audience only', async () => {
    const { authenticator } = await arrange()
    const token = await tokenFor({ subscribe: ['t'], now: NOW })
    const first = authenticator.authenticate(token, 'subscriber', audience)
    expect(first).toBeInstanceOf(Promise)
    const identity = await first
    expect(authenticator.authenticate(token, 'subscriber', audience)).toBe(identity)
    expect(await outcome(authenticator, token, 'publisher')).toBe('invalid-token')
    expect(await outcome(authenticator, token, 'subscriber', 'https://other.example/hub')).toBe(
      'invalid-token',
    )
  })

  test('the one asked for longest ago is forgotten', async () => {
    const { authenticator } = await arrange({ cacheEntries: 2 })
    const tokens = await Promise.all(
      ['a', 'b', 'c'].map((topic) => tokenFor({ subscribe: [topic], now: NOW })),
    )
    const ask = (at: number) => authenticator.authenticate(tokens[at] ?? '', 'subscriber', audience)
    const isKnown = (at: number) => !(ask(at) instanceof Promise)
    await ask(0)
    await ask(1)
    expect(isKnown(0)).toBe(true)
    await ask(2)
    expect([isKnown(0), isKnown(2), isKnown(1)]).toEqual([true, true, false])
  })

  test('a limit of zero remembers none', async () => {
    const { authenticator } = await arrange({ cacheEntries: 0 })
    const token = await tokenFor({ subscribe: ['t'], now: NOW })
    await authenticator.authenticate(token, 'subscriber', audience)
    expect(authenticator.authenticate(token, 'subscriber', audience)).toBeInstanceOf(Promise)
  })

  test('readers that come together with one token share one verification', async () => {
    const { authenticator } = await arrange()
    const token = await tokenFor({ subscribe: ['t'], now: NOW })
    const both = [1, 2].map(() => authenticator.authenticate(token, 'subscriber', audience))
    const [one, other] = await Promise.all(both)
    expect(new Set(both).size).toBe(1)
    expect(one).toBe(other)
  })

  test('a refused token is not remembered as pending', async () => {
    const { authenticator } = await arrange()
    const ask = () => authenticator.authenticate('x', 'subscriber', audience)
    const first = ask()
    expect(await Promise.resolve(first).catch((error: unknown) => error)).toMatchObject({
      code: 'invalid-token',
    })
    const second = ask()
    expect(second).not.toBe(first)
    expect(await Promise.resolve(second).catch((error: unknown) => error)).toMatchObject({
      code: 'invalid-token',
    })
  })
})

describe('the holder', () => {
  const holderOf = async (wish: Parameters<typeof tokenFor>[0]) => {
    const { authenticator } = await arrange()
    const token = await tokenFor({ subscribe: ['t'], now: NOW, ...wish })
    return (await authenticator.authenticate(token, 'subscriber', audience)).holder
  }

  test('is the same for two tokens of one subject and another for another', async () => {
    const [one, again, other] = await Promise.all([
      holderOf({ subject: 'x', id: '1' }),
      holderOf({ subject: 'x', id: '2' }),
      holderOf({ subject: 'y', id: '1' }),
    ])
    expect(one).toBe(again)
    expect(one).not.toBe(other)
  })

  test('is the token itself where there is no subject, and shows neither', async () => {
    const [one, other] = await Promise.all([
      holderOf({ subject: undefined, id: '1' }),
      holderOf({ subject: undefined, id: '2' }),
    ])
    expect(one).toMatch(/^[\w-]{43}$/)
    expect(one).not.toBe(other)
  })
})

describe('an explanation', () => {
  test('names every check, with what the token says and what is wrong', async () => {
    const { authenticator } = await arrange()
    const token = forge({ ...header, typ: 'JWT' }, { ...claims, aud: 'https://other.example' }, secret)
    const { accepted, findings } = await authenticator.explain(token, 'subscriber', audience)
    expect(accepted).toBe(false)
    expect(findings.map(({ check, ok }) => [check, ok])).toEqual([
      ['structure', true],
      ['typ', false],
      ['crit', true],
      ['iss', true],
      ['role', true],
      ['alg', true],
      ['exp', true],
      ['nbf', true],
      ['aud', false],
      ['signature', true],
      ['authorization_details', true],
    ])
    expect(findings).toContainEqual({ check: 'typ', ok: false, detail: '"JWT": not at+jwt' })
  })

  test('shows what a refused token would grant', async () => {
    const { authenticator, time } = await arrange()
    const token = await tokenFor({ subscribe: ['t'], subscribePatterns: ['/x/:id'], now: NOW })
    time.now = NOW + 3_600_000
    const { accepted, grants } = await authenticator.explain(token, 'subscriber', audience)
    expect(accepted).toBe(false)
    expect(grants[0]?.topics.map(({ type, pattern }) => [type, pattern])).toEqual([
      ['exact', 't'],
      ['urlpattern', '/x/:id'],
    ])
  })

  test('of something that is no token ends there', async () => {
    const { authenticator } = await arrange()
    const { accepted, findings } = await authenticator.explain('x', 'subscriber', audience)
    expect(accepted).toBe(false)
    expect(findings.map(({ check, ok }) => [check, ok])).toEqual([['structure', false]])
  })

  test('agrees with authenticate about every token', async () => {
    const { authenticator } = await arrange()
    const token = fc
      .record({
        header: fc.record({
          alg: fc.constantFrom('HS256', 'HS512', 'none'),
          typ: fc.constantFrom('at+jwt', 'JWT'),
        }),
        claims: fc.record(
          {
            iss: fc.constantFrom('https://a.example', 'https://b.example', 'https://c.example'),
            aud: fc.constantFrom<unknown>(audience, [audience], 'x', 1),
            exp: fc.constantFrom<unknown>(claims.exp, claims.exp, NOW / 1000, 'x'),
            nbf: fc.constantFrom<unknown>(NOW / 1000, NOW / 1000 + 1, 'x'),
            authorization_details: fc.constantFrom<unknown>([], null, 1),
          },
          { requiredKeys: ['iss'] },
        ),
        label: fc.constantFrom('issuer-a/subscriber', 'issuer-b/subscriber', 'issuer-a/publisher'),
      })
      .map((made) => forge(made.header, made.claims, secretOf(made.label)))
    await fc.assert(
      fc.asyncProperty(fc.oneof(token, fc.string()), async (text) => {
        const { accepted } = await authenticator.explain(text, 'subscriber', audience)
        expect(await outcome(authenticator, text, 'subscriber')).toBe(accepted ? 'accepted' : 'invalid-token')
      }),
    )
  })
})

test('AUT-28 a token with any one character changed is refused', async () => {
  const { authenticator } = await arrange()
  const token = await tokenFor({ subscribe: ['t'], now: NOW })
  // The last character of a part carries bits that no byte uses, so changing it may change nothing.
  const positions = [...token.matchAll(/[\w-](?=[\w-])/g)].map(({ index }) => index)
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...positions), fc.constantFrom(...'AZaz09-_.'), async (at, char) => {
      fc.pre(token[at] !== char)
      const changed = token.slice(0, at) + char + token.slice(at + 1)
      expect(await outcome(authenticator, changed, 'subscriber')).toBe('invalid-token')
    }),
  )
})

test('a role for which no issuer has a key is disabled', async () => {
  const { authenticator } = await arrange({ issuers: secretIssuers.filter(({ publisher }) => !publisher) })
  expect([authenticator.hasKeys('publisher'), authenticator.hasKeys('subscriber')]).toEqual([false, true])
})

describe('the 0.x generation', () => {
  const profile: TokenProfile = {
    recognizes: () => true,
    checks: legacyClaimChecks,
    implicitIssuer: 'https://a.example',
    rights: () => ({ grants: [], defaultPayload: 'x' }),
  }
  const legacy = [profile]
  const old = { mercure: { publish: ['*'] } }

  test('AUT-42 is refused unless it is configured', async () => {
    const { authenticator } = await arrange()
    expect(await outcome(authenticator, forge({ alg: 'HS256', typ: 'JWT' }, old, secret), 'subscriber')).toBe(
      'invalid-token',
    )
  })

  test('LEG-12 LEG-14 needs a signature by the keys of the implicit issuer, and no more', async () => {
    const { authenticator } = await arrange({ legacy })
    const token = forge({ alg: 'HS256', typ: 'JWT' }, old, secret)
    const identity = await authenticator.authenticate(token, 'subscriber', audience)
    expect(identity).toMatchObject({ grants: [], defaultPayload: 'x', expiresAt: null, notBefore: null })
    expect(await outcome(authenticator, token, 'publisher')).toBe('invalid-token')
  })

  test.each<[string, string]>([
    ['an exp that has passed', forge({ alg: 'HS256' }, { ...old, exp: NOW / 1000 }, secret)],
    ['an exp that is no number', forge({ alg: 'HS256' }, { ...old, exp: '1' }, secret)],
    ['an nbf ahead', forge({ alg: 'HS256' }, { ...old, nbf: NOW / 1000 + 1 }, secret)],
    ['another algorithm', forge({ alg: 'HS512' }, old, secret)],
    ['the key of another issuer', forge({ alg: 'HS256' }, { ...old, iss: 'https://b.example' }, secret)],
  ])('LEG-12 %s is refused', async (_what, token) => {
    const { authenticator } = await arrange({ legacy })
    expect(await outcome(authenticator, token, 'subscriber')).toBe('invalid-token')
  })

  test.each<[string, string]>([
    ['typed at+jwt', forge(header, old, secret)],
    [
      'carrying authorization_details',
      forge({ alg: 'HS256' }, { ...old, authorization_details: [] }, secret),
    ],
    ['whose details are null', forge({ alg: 'HS256' }, { ...old, authorization_details: null }, secret)],
  ])('does not lift the rules for a token %s', async (_what, token) => {
    const { authenticator } = await arrange({ legacy })
    expect(await outcome(authenticator, token, 'subscriber')).toBe('invalid-token')
  })

  test('the first profile that recognizes a token decides, and the 1.0 rules when none does', async () => {
    const none: TokenProfile = { ...profile, recognizes: () => false, rights: () => ({ grants: [] }) }
    const second: TokenProfile = { ...profile, rights: () => ({ grants: [], defaultPayload: 'second' }) }
    const token = forge({ alg: 'HS256', typ: 'JWT' }, old, secret)
    const { authenticator } = await arrange({ legacy: [none, second, profile] })
    const identity = await authenticator.authenticate(token, 'subscriber', audience)
    expect(identity).toMatchObject({ defaultPayload: 'second' })
    const { authenticator: strict, failures } = await arrange({ legacy: [none] })
    expect(await outcome(strict, token, 'subscriber')).toBe('invalid-token')
    expect(failures).toEqual(['typ'])
  })

  test('a token of the 1.0 generation is never shown to them', async () => {
    const shown: unknown[] = []
    const recognizes: TokenProfile['recognizes'] = ({ claims }) => shown.push(claims) > 0
    const { authenticator } = await arrange({ legacy: [{ ...profile, recognizes }] })
    const token = await tokenFor({ subscribe: ['t'], now: NOW })
    expect(await outcome(authenticator, token, 'subscriber')).toBe('accepted')
    expect(await outcome(authenticator, forge(header, old, secret), 'subscriber')).toBe('invalid-token')
    expect(shown).toEqual([])
  })
})
