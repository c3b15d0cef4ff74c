import { describe, expect, test } from 'bun:test'
import { generateKeyPairSync } from 'node:crypto'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { openAuthenticator } from '../../src/auth/authenticate.ts'
import { mint } from '../../src/auth/mint.ts'
import { mayPublish, mayRead, payloadFor } from '../../src/protocol/grant.ts'
import { hubLocation } from '../../src/protocol/topic.ts'
import { audience, secretOf } from '../support/tokens.ts'

const NOW = 1_767_225_600_000
const pem = {
  publicKeyEncoding: { type: 'spki', format: 'pem' } as const,
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' } as const,
}
const pairs = {
  rsa: generateKeyPairSync('rsa', { modulusLength: 2048, ...pem }),
  p256: generateKeyPairSync('ec', { namedCurve: 'P-256', ...pem }),
  p384: generateKeyPairSync('ec', { namedCurve: 'P-384', ...pem }),
  p521: generateKeyPairSync('ec', { namedCurve: 'P-521', ...pem }),
  ed25519: generateKeyPairSync('ed25519', pem),
}
const shared = { publicKey: secretOf('mint'), privateKey: secretOf('mint') }

describe('a minted token', () => {
  test.each([
    ['HS256', shared],
    ['HS384', shared],
    ['HS512', shared],
    ['RS256', pairs.rsa],
    ['RS384', pairs.rsa],
    ['RS512', pairs.rsa],
    ['PS256', pairs.rsa],
    ['PS384', pairs.rsa],
    ['PS512', pairs.rsa],
    ['ES256', pairs.p256],
    ['ES384', pairs.p384],
    ['ES512', pairs.p521],
    ['EdDSA', pairs.ed25519],
    ['Ed25519', pairs.ed25519],
  ])(
    'AUT-37 of %s is accepted by a hub that has the other half',
    async (algorithm, { publicKey, privateKey }) => {
      const authenticator = await openAuthenticator({
        issuers: [{ id: 'https://i', subscriber: { key: publicKey, algorithm } }],
        hub: hubLocation(audience),
        limits: { details: 100, pattern: 4096, patternWeight: 5000 },
        clock: () => NOW,
        cacheEntries: 1,
        cacheBytes: 1_000_000,
      })
      const token = await mint({
        key: privateKey,
        algorithm,
        issuer: 'https://i',
        audience,
        expiresAt: NOW + 1000,
        rights: { subscribe: ['a'], subscribePatterns: ['/b/:c'], publish: ['p'], payload: { k: 1 } },
      })
      const identity = await authenticator.authenticate(token, 'subscriber', audience)
      expect([mayRead(identity, ['a']), mayRead(identity, ['/b/x']), mayRead(identity, ['p'])]).toEqual([
        true,
        true,
        false,
      ])
      expect([mayPublish(identity, ['p']), mayPublish(identity, ['a'])]).toEqual([true, false])
      expect([payloadFor(identity, 'a'), payloadFor(identity, 'p')]).toEqual([{ k: 1 }, undefined])
    },
  )

  test('holds what it is told and nothing else', async () => {
    const token = await mint({
      key: secretOf('x'),
      algorithm: 'HS256',
      keyId: '2026',
      issuer: 'https://i',
      audience: ['https://hub', 'https://other'],
      subject: 's',
      clientId: 'c',
      id: 'j',
      issuedAt: NOW + 400,
      expiresAt: NOW + 1000,
      rights: { publish: ['*'] },
    })
    expect(decodeProtectedHeader(token)).toEqual({ typ: 'at+jwt', alg: 'HS256', kid: '2026' })
    expect(decodeJwt(token)).toEqual({
      iss: 'https://i',
      aud: ['https://hub', 'https://other'],
      sub: 's',
      client_id: 'c',
      jti: 'j',
      iat: NOW / 1000,
      exp: NOW / 1000 + 1,
      authorization_details: [
        {
          type: 'https://mercure.rocks/authorization-detail',
          actions: ['publish'],
          topics: [{ match: '*' }],
        },
      ],
    })
  })

  test('of the 0.x generation carries the claim mercure and no details', async () => {
    const rights = {
      publish: ['*'],
      subscribe: ['/a/{id}'],
      subscribePatterns: ['/b/:id'],
      payload: { k: 1 },
    }
    const token = await mint({ key: secretOf('x'), algorithm: 'HS256', legacy: true, rights })
    expect(decodeProtectedHeader(token)).toEqual({ typ: 'JWT', alg: 'HS256' })
    expect(decodeJwt(token)).toEqual({
      mercure: {
        publish: ['*'],
        subscribe: ['/a/{id}', { match: '/b/:id', match_type: 'urlpattern' }],
        payload: { k: 1 },
      },
    })
  })
})
