import { describe, expect, test } from 'bun:test'
import { openAuthenticator } from '../../src/auth/authenticate.ts'
import { checkIssuers } from '../../src/auth/issuers.ts'
import type { IssuerSettings, KeySettings } from '../../src/auth/keys.ts'
import { hubLocation } from '../../src/protocol/topic.ts'
import { audience, rsaPair, secretOf, vectorIssuers } from '../support/tokens.ts'

const good: KeySettings = { key: secretOf('x'), algorithm: 'HS256' }
const bySetting = ({ publisher }: { publisher: KeySettings }): IssuerSettings[] => [
  { id: 'https://a', publisher },
]

describe('the configuration of issuers', () => {
  test('without a mistake has no problem', async () => {
    expect(await checkIssuers(vectorIssuers())).toEqual([])
    expect(await checkIssuers([])).toEqual([])
  })

  test('AUT-39 names every mistake at once, by setting', async () => {
    const problems = await checkIssuers([
      { id: '', subscriber: good },
      { id: 'https://a', publisher: good },
      { id: 'https://a', publisher: good },
      { id: 'https://b' },
      { id: 'https://c', publisher: { key: secretOf('x') }, subscriber: { ...good, algorithm: 'none' } },
      { id: 'https://d', publisher: {}, subscriber: { key: 'short', algorithm: 'HS256' } },
      {
        id: 'https://e',
        publisher: { ...good, jwksUri: 'https://e/keys' },
        subscriber: { jwksUri: 'ftp://e' },
      },
      { id: 'https://f', publisher: { jwksUri: 'https://f/keys', algorithms: ['ES256', 'HS256'] } },
      { id: 'https://g', publisher: { jwksUri: 'https://g/keys', algorithms: [] } },
      {
        id: 'https://h',
        publisher: { jwksUri: 'http://h/keys' },
        subscriber: { jwksUri: 'http://h/keys', jwksInsecure: true },
      },
    ])
    expect(problems.map(({ setting, message }) => `${setting}: ${message}`)).toEqual([
      'issuers[0].id: the issuer has no identifier',
      'issuers[2].id: this issuer is there twice',
      'issuers[3]: the issuer has no key',
      'issuers[4].publisher.algorithm: a key needs its algorithm',
      'issuers[4].subscriber.algorithm: not a supported algorithm',
      'issuers[5].publisher: neither a key nor a key set',
      'issuers[5].subscriber.key: the secret is shorter than the 32 bytes that its algorithm needs',
      'issuers[6].publisher: a key and a key set exclude each other',
      'issuers[6].subscriber.jwks_uri: the scheme is none of https, http and file',
      'issuers[7].publisher.algorithms: holds one that is not for key sets',
      'issuers[8].publisher.algorithms: none is allowed',
      'issuers[9].publisher.jwks_uri: http is for loopback addresses only: use https, or allow it for this key set with jwks_insecure',
    ])
  })

  test.each([
    ['an HMAC algorithm', { key: rsaPair('x').publicKey, algorithm: 'HS256' }],
    ['none', { key: rsaPair('x').publicKey, algorithm: 'none' }],
    ['no algorithm', { key: rsaPair('x').publicKey }],
  ])('AUT-38 the hub does not start with a public key and %s', async (_what, publisher) => {
    const opening = openAuthenticator({
      issuers: bySetting({ publisher }),
      hub: hubLocation(audience),
      limits: { details: 100, pattern: 4096, patternWeight: 5000 },
      clock: () => 0,
      cacheEntries: 1,
      cacheBytes: 1_000_000,
    })
    expect(await opening.catch((error: unknown) => String(error))).toStartWith('Error: issuers[0].publisher.')
  })

  test('SEC-09 a key in the wrong setting is not shown', async () => {
    const swapped = { key: 'HS256', algorithm: secretOf('x') }
    const told = JSON.stringify(await checkIssuers(bySetting({ publisher: swapped })))
    expect(told).not.toContain(secretOf('x'))
  })
})
