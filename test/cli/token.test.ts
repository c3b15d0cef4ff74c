import { describe, expect, test } from 'bun:test'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { runToken } from '../../src/cli/token.ts'
import { commandIo } from '../support/command-io.ts'

const secret = '0123456789abcdef0123456789abcdef'
const other = 'fedcba9876543210fedcba9876543210'
const hub = 'https://hub.example/.well-known/mercure'

function env(publisher = secret, subscriber = secret) {
  const role = (key: string) => ({ key, algorithm: 'HS256' })
  const issuers = [{ id: 'me', publisher: role(publisher), subscriber: role(subscriber) }]
  return { CINNABAR_ISSUERS: JSON.stringify(issuers), CINNABAR_HUB_PUBLIC_URLS: 'https://hub.example' }
}

async function minted(argv: readonly string[], parts: Parameters<typeof commandIo>[0] = { env: env() }) {
  const { io, out, err } = commandIo(parts)
  const code = await runToken(argv, io)
  return { code, token: out().trim(), err: err() }
}

describe('cinnabar token', () => {
  test('grants what it is asked to, for this hub', async () => {
    const argv = ['--publish', 'a', '--publish-urlpattern', '/:x', '--subscribe', '*', '--payload', '{"n":1}']
    const { code, token } = await minted([...argv, '--ttl', '10m'])
    expect(code).toBe(0)
    expect(decodeProtectedHeader(token)).toEqual({ typ: 'at+jwt', alg: 'HS256' })
    const now = Date.UTC(2030, 0, 1) / 1000
    const type = 'https://mercure.rocks/authorization-detail'
    expect(decodeJwt(token)).toMatchObject({
      iss: 'me',
      aud: hub,
      sub: 'cinnabar',
      iat: now,
      exp: now + 600,
      authorization_details: [
        { type, actions: ['publish'], topics: [{ match: 'a' }, { match: '/:x', match_type: 'urlpattern' }] },
        { type, actions: ['subscribe'], topics: [{ match: '*' }], payload: { n: 1 } },
      ],
    })
  })

  test('is valid for an hour unless told otherwise', async () => {
    const { iat = 0, exp = 0 } = decodeJwt((await minted(['--subscribe=a'])).token)
    expect(exp - iat).toBe(3600)
  })

  test('needs no configuration when key, issuer and audience are given', async () => {
    const argv = ['--publish=a', '--iss=i', '--aud=urn:x', '--key-file=k', '--alg=HS512']
    const { code, token } = await minted(argv, { readFile: () => `${secret}${secret}\n` })
    expect(code).toBe(0)
    expect(decodeProtectedHeader(token).alg).toBe('HS512')
    expect(decodeJwt(token)).toMatchObject({ iss: 'i', aud: 'urn:x' })
  })

  test('of the 0.x generation has the claim mercure and names neither issuer nor audience', async () => {
    const { token } = await minted(['--publish=a', '--legacy'])
    expect(decodeProtectedHeader(token).typ).toBe('JWT')
    const claims = decodeJwt(token)
    expect(claims).toMatchObject({ mercure: { publish: ['a'] } })
    expect(claims).not.toHaveProperty('iss')
    expect(claims).not.toHaveProperty('aud')
  })

  test.each([
    [[], 'say what the token grants'],
    [['--publish=a', '--payload=[]'], '--payload is not a JSON object'],
    [['--publish=a', '--payload={'], '--payload is not a JSON object'],
    [['--publish=a', '--ttl=1'], '--ttl is not a duration'],
    [['--publish=a', '--ttl=0'], '--ttl is shorter'],
    [['--pubish=a'], 'did you mean --publish?'],
    [['--publish=a', 'explain'], 'takes no arguments'],
    [['--publish=a', '--iss=stranger'], '--key is needed'],
  ])('%j is refused with 2', async (argv, message) => {
    const { code, token, err } = await minted(argv)
    expect(err).toContain(message)
    expect([code, token]).toEqual([2, ''])
  })

  test.each([
    [['--subscribe-urlpattern', '/{a'], '--subscribe-urlpattern "/{a" is refused by the hub: '],
    [['--publish-urlpattern', '(?=a)b'], '--publish-urlpattern "(?=a)b" is refused by the hub: '],
    [['--publish-urlpattern', ''], '--publish-urlpattern "" is refused by the hub: a matcher is empty'],
    [['--publish', 'a\u0000'], '--publish "a\\u0000" is refused by the hub: '],
    [['--subscribe', ''], '--subscribe "" is refused by the hub: '],
    [
      ['--subscribe', 'x'.repeat(5000)],
      'the hub would refuse the token: a match in a token has at most 4096',
    ],
    [
      Array.from({ length: 101 }, (_, n) => ['--subscribe', `t${n}`]).flat(),
      'the hub would refuse the token: a token has at most 100 details and topics',
    ],
    [['--subscribe', 'ab', '--limits-pattern=1'], 'a match in a token has at most 1 characters'],
  ])('what the hub would not accept is not signed: %j', async (argv, message) => {
    const { code, token, err } = await minted(argv)
    expect(err).toContain(message)
    expect([code, token]).toEqual([2, ''])
  })

  test.each([[['expalin']], [['explian', 'x']], [['eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc']]])(
    '%j is a wish for token explain, and is not repeated',
    async (argv) => {
      const { code, err } = await minted(argv)
      expect(err).toContain('did you mean cinnabar token explain?')
      expect([code, err.includes(argv[0] ?? '')]).toEqual([2, false])
    },
  )

  test('without configuration says what is missing', async () => {
    expect((await minted(['--publish=a'], {})).err).toContain('--iss is needed')
    expect((await minted(['--publish=a', '--iss=i'], {})).err).toContain('--aud is needed')
    expect((await minted(['--publish=a', '--iss=i', '--aud=urn:x'], {})).err).toContain('--key is needed')
  })

  test('for both roles needs one key for both', async () => {
    const { code, err } = await minted(['--publish=a', '--subscribe=a'], { env: env(secret, other) })
    expect(err).toContain('different keys')
    expect(code).toBe(2)
  })

  test('a key that does not fit ends with 1 and is not shown', async () => {
    const { code, err } = await minted(['--publish=a', '--key=hunter2'])
    expect(code).toBe(1)
    expect(err).not.toContain('hunter2')
  })

  test('a wrong configuration ends with 78', async () => {
    expect((await minted(['--publish=a', '--limits-body=x'])).code).toBe(78)
  })
})

describe('cinnabar token explain', () => {
  test('an accepted token is explained with what it grants', async () => {
    const { token } = await minted(['--publish=a', '--subscribe=*'])
    const { io, out } = commandIo({ env: env() })
    expect(await runToken(['explain', token], io)).toBe(0)
    expect(out()).toMatch(/^To publish: accepted\n/)
    expect(out()).toContain('grants exact a\n')
    expect(out()).toContain('grants every topic\n')
  })

  test('a token for one role is refused in the other (AUT-27)', async () => {
    const { token } = await minted(['--publish=a'], { env: env(secret, other) })
    const { io, out } = commandIo({ env: env(secret, other) })
    expect(await runToken(['explain', token], io)).toBe(0)
    expect(out()).toContain('To publish: accepted')
    expect(out()).toMatch(/To subscribe: refused\n[\s\S]*NO {2}signature/)
  })

  test.each([
    [['--iss=stranger', `--key=${secret}`], /NO {2}iss/],
    [['--aud=urn:elsewhere'], /NO {2}aud/],
    [['--legacy'], /NO {2}typ/],
  ])('AUT-20 a token made with %j is refused, and the claim is named', async (argv, finding) => {
    const { token } = await minted(['--publish=a', ...argv])
    const { io, out } = commandIo({ env: env() })
    expect(await runToken(['explain', token], io)).toBe(1)
    expect(out()).toMatch(finding)
  })

  test('S16 what a terminal would obey is shown', async () => {
    const { token } = await minted(['--subscribe=a', '--payload={"n":"\x9b\x7f\u202e"}', '--sub=\x9b'])
    const { io, out } = commandIo({ env: env() })
    expect(await runToken(['explain', token], io)).toBe(0)
    expect(out()).toContain('grants exact a, with the payload {"n":"\\u009b\\u007f\\u202e"}')
    expect(out()).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/)
  })

  test('AUT-29 an expired token is refused', async () => {
    const { token } = await minted(['--publish=a', '--ttl=1m'])
    const { io, out } = commandIo({ env: env(), clock: () => Date.UTC(2030, 0, 2) })
    expect(await runToken(['explain', token], io)).toBe(1)
    expect(out()).toMatch(/NO {2}exp/)
  })

  test('what is no token is refused, also from standard input', async () => {
    const { io, out } = commandIo({ env: env(), stdin: async () => 'hunter2\n' })
    expect(await runToken(['explain', '-'], io)).toBe(1)
    expect(out()).toMatch(/NO {2}structure/)
    expect(out()).not.toContain('hunter2')
  })

  test('without audience it is a usage error', async () => {
    const { io, err } = commandIo()
    expect(await runToken(['explain', 'x'], io)).toBe(2)
    expect(err()).toContain('--aud is needed')
    expect(await runToken(['explain'], io)).toBe(2)
  })
})
