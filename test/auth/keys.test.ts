import { describe, expect, test } from 'bun:test'
import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import { exportJWK } from 'jose'
import { parseSigningKey, parseVerificationKey } from '../../src/auth/keys.ts'
import { rsaPair } from '../support/tokens.ts'

const secret = 'a shared secret of 32 bytes, or more'

const rsa = rsaPair('keys')
const ec = generateKeyPairSync('ec', {
  namedCurve: 'P-256',
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
})
const ed25519 = generateKeyPairSync('ed25519', {
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
})

const jwkOf = (publicPem: string) => createPublicKey(publicPem).export({ format: 'jwk' })
const privateJwkOf = (privatePem: string) => createPrivateKey(privatePem).export({ format: 'jwk' })
const bareBase64 = (pem: string) => pem.replace(/-----[^-]+-----|\s/g, '')

/** The public members of what was read, to compare with the JWK of the key. */
async function readPublic(text: string, algorithm: string) {
  const { kty, crv, x, y, n, e } = await exportJWK(await parseVerificationKey(text, algorithm))
  return JSON.parse(JSON.stringify({ kty, crv, x, y, n, e }))
}

async function problemOf(parsing: Promise<unknown>): Promise<string> {
  return parsing.then(
    () => 'none',
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  )
}

const manglings: [string, (pem: string) => string][] = [
  ['as it is', (pem) => pem],
  ['CRLF', (pem) => pem.replaceAll('\n', '\r\n')],
  ['\\n spelled out', (pem) => pem.replaceAll('\n', '\\n')],
  ['\\r\\n spelled out', (pem) => pem.replaceAll('\n', '\\r\\n')],
  ['spelled out and real line ends mixed', (pem) => pem.replace('\n', '\\n')],
  ['line ends turned into blanks', (pem) => pem.replaceAll('\n', ' ')],
  ['line ends lost', (pem) => pem.replaceAll('\n', '')],
  ['blanks around it and in front of each line', (pem) => `\n\t${pem.replaceAll('\n', '\n  ')}\n\n`],
  ['no line end at the end', (pem) => pem.trim()],
  ['base64 of it', (pem) => btoa(pem)],
  [
    'base64 of it in lines',
    (pem) =>
      `${btoa(pem)
        .match(/.{1,76}/g)
        ?.join('\n')}\n`,
  ],
  ['text in front of it', (pem) => `Bag Attributes\n    friendlyName: x\n${pem}`],
]

describe('a public key', () => {
  test.each(manglings)('as PEM is read in the spelling: %s', async (_name, mangle) => {
    expect(await readPublic(mangle(rsa.publicKey), 'RS256')).toEqual(jwkOf(rsa.publicKey))
    expect(await readPublic(mangle(ec.publicKey), 'ES256')).toEqual(jwkOf(ec.publicKey))
    expect(await readPublic(mangle(ed25519.publicKey), 'EdDSA')).toEqual(jwkOf(ed25519.publicKey))
  })

  test('is read as RSA PUBLIC KEY (PKCS#1)', async () => {
    const pkcs1 = createPublicKey(rsa.publicKey).export({ type: 'pkcs1', format: 'pem' }).toString()
    expect(pkcs1).toContain('BEGIN RSA PUBLIC KEY')
    expect(await readPublic(pkcs1, 'PS384')).toEqual(jwkOf(rsa.publicKey))
  })

  test('is read from an X.509 certificate', async () => {
    expect(await readPublic(certificate, 'ES256')).toEqual(jwkOf(certifiedKey))
  })

  test('is read as bare base64, as some issuers show it', async () => {
    expect(await readPublic(bareBase64(rsa.publicKey), 'RS256')).toEqual(jwkOf(rsa.publicKey))
  })

  test('is read as a JWK, whatever else it holds', async () => {
    const jwk = { ...jwkOf(ec.publicKey), kid: 'x', use: 'sig', alg: 'ES256', x5t: 'y' }
    expect(await readPublic(` ${JSON.stringify(jwk, null, 2)}\n`, 'ES256')).toEqual(jwkOf(ec.publicKey))
  })

  test.each([
    ['HS256', rsa.publicKey],
    ['HS512', btoa(rsa.publicKey)],
    ['HS256', rsa.publicKey.replaceAll('\n', '\\n')],
    ['HS256', bareBase64(rsa.publicKey)],
    ['HS256', bareBase64(ec.publicKey)],
    ['HS256', rsa.privateKey],
    ['HS256', JSON.stringify(jwkOf(rsa.publicKey))],
    ['HS256', JSON.stringify({ keys: [jwkOf(rsa.publicKey)] })],
  ])('AUT-38 is refused as the secret of %s, however it is spelled', async (algorithm, text) => {
    expect(await problemOf(parseVerificationKey(text, algorithm))).not.toBe('none')
  })

  test.each([
    ['RS256', ec.publicKey],
    ['ES256', rsa.publicKey],
    ['ES384', ec.publicKey],
    ['EdDSA', ec.publicKey],
    ['ES256', JSON.stringify(jwkOf(ed25519.publicKey))],
    ['RS256', secret],
    ['none', rsa.publicKey],
    ['rs256', rsa.publicKey],
  ])('AUT-23 is refused under %s when its kind does not fit', async (algorithm, text) => {
    expect(await problemOf(parseVerificationKey(text, algorithm))).not.toBe('none')
  })

  test('is refused when it is the private key: the hub must not be able to sign', async () => {
    const problem = 'a private key: only its public half belongs here'
    const jwk = JSON.stringify(privateJwkOf(ec.privateKey))
    expect(await problemOf(parseVerificationKey(rsa.privateKey, 'RS256'))).toBe(problem)
    expect(await problemOf(parseVerificationKey(jwk, 'ES256'))).toBe(problem)
  })

  test('is refused under RSA with fewer than 2048 bits', async () => {
    const short = generateKeyPairSync('rsa', {
      modulusLength: 1024,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    })
    expect(await problemOf(parseVerificationKey(short.publicKey, 'RS256'))).toContain(
      'shorter than the 2048 bits',
    )
  })

  test('that is damaged is refused without showing it', async () => {
    const damaged = rsa.publicKey.replace('MIIB', 'NOPE')
    expect(await problemOf(parseVerificationKey(damaged, 'RS256'))).toBe('the key cannot be read')
    expect(await problemOf(parseVerificationKey(rsa.publicKey.slice(0, 200), 'RS256'))).toBe(
      'the PEM is cut off',
    )
  })
})

describe('a shared secret', () => {
  test('is the bytes of its text, without blanks around it', async () => {
    expect(await parseVerificationKey(`${secret}é\r\n`, 'HS256')).toEqual(
      new TextEncoder().encode(`${secret}é`),
    )
  })

  test('is read from a JWK of kind oct', async () => {
    const jwk = { kty: 'oct', k: Buffer.from(secret).toString('base64url') }
    expect(Buffer.from(await bytesOf(JSON.stringify(jwk))).toString()).toBe(secret)
  })

  test.each([
    ['HS256', 32],
    ['HS384', 48],
    ['HS512', 64],
  ])('RFC 7518 3.2 of %s has at least %i bytes', async (algorithm, bytes) => {
    const oct = (length: number) =>
      JSON.stringify({ kty: 'oct', k: Buffer.alloc(length, 1).toString('base64url') })
    expect(await problemOf(parseVerificationKey('x'.repeat(bytes), algorithm))).toBe('none')
    expect(await problemOf(parseVerificationKey('x'.repeat(bytes - 1), algorithm))).toContain('shorter')
    expect(await problemOf(parseVerificationKey(oct(bytes - 1), algorithm))).toContain('shorter')
  })

  test.each(['', '  \n'])('that is empty (%j) is refused', async (text) => {
    expect(await problemOf(parseVerificationKey(text, 'HS256'))).toBe('the key is empty')
  })

  test('of any text is itself, or refused in words that do not show it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ minLength: 32, maxLength: 200, unit: 'grapheme' }), async (text) => {
        fc.pre(text.trim().length >= 32)
        const key = await parseVerificationKey(text, 'HS256').catch((error: unknown) => String(error))
        if (typeof key === 'string') expect(key).not.toContain(text.trim())
        else expect(key).toEqual(new TextEncoder().encode(text.trim()))
      }),
    )
  })
})

describe('a signing key', () => {
  const pkcs1 = createPrivateKey(rsa.privateKey).export({ type: 'pkcs1', format: 'pem' }).toString()
  const sec1 = createPrivateKey(ec.privateKey).export({ type: 'sec1', format: 'pem' }).toString()

  test.each(manglings)('as PEM is read in the spelling: %s', async (_name, mangle) => {
    for (const [pem, algorithm] of [
      [rsa.privateKey, 'RS256'],
      [pkcs1, 'RS256'],
      [sec1, 'ES256'],
      [ed25519.privateKey, 'EdDSA'],
    ] as const) {
      expect(await parseSigningKey(mangle(pem), algorithm)).toMatchObject({ type: 'private' })
    }
  })

  test('is read as a JWK', async () => {
    const jwk = JSON.stringify(privateJwkOf(ec.privateKey))
    expect(await parseSigningKey(jwk, 'ES256')).toMatchObject({ type: 'private' })
  })

  test('that is only the public half is refused', async () => {
    expect(await problemOf(parseSigningKey(rsa.publicKey, 'RS256'))).toBe('the key cannot be read')
    expect(await problemOf(parseSigningKey(JSON.stringify(jwkOf(ec.publicKey)), 'ES256'))).toBe(
      'signing needs the private key',
    )
  })
})

async function bytesOf(text: string): Promise<Uint8Array> {
  const key = await parseVerificationKey(text, 'HS256')
  return key instanceof Uint8Array ? key : new Uint8Array()
}

const certificate = `-----BEGIN CERTIFICATE-----
MIIBiDCCAS2gAwIBAgIUDsijh8FRu1kVzWhQvWWni+zCcUowCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOaXNzdWVyLmV4YW1wbGUwHhcNMjYxMTIyMjAwNjMwWhcNMzYx
MTE5MjAwNjMwWjAZMRcwFQYDVQQDDA5pc3N1ZXIuZXhhbXBsZTBZMBMGByqGSM49
AgEGCCqGSM49AwEHA0IABJSyEqHJ0F6aBg1JRpLArQq25guzvGLvE7JZ6QCtafHp
YwKzdGbLGmLm8wbAUVujEzR3zIdmy9BK1bs3NivzxzKjUzBRMB0GA1UdDgQWBBQv
aolEHAfu270rqe8uPQVpRDbqMzAfBgNVHSMEGDAWgBQvaolEHAfu270rqe8uPQVp
RDbqMzAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0kAMEYCIQD5SvFWztMV
BTQepgYTUZVFcWDxYDazyBZgAOzCxRplwQIhAPV43JlNNrznHntqiCADTK1bU88D
VS9aax0i9LLzhw9j
-----END CERTIFICATE-----`

/** The public key in the certificate. */
const certifiedKey = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAElLISocnQXpoGDUlGksCtCrbmC7O8
Yu8TslnpAK1p8eljArN0ZssaYubzBsBRW6MTNHfMh2bL0ErVuzc2K/PHMg==
-----END PUBLIC KEY-----`
