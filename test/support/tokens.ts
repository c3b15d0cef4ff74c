import { createHmac, generateKeyPairSync, sign } from 'node:crypto'
import type { IssuerSettings, Role } from '../../src/auth/keys.ts'
import { type MintOptions, mint } from '../../src/auth/mint.ts'
import type { JsonObject } from '../../src/protocol/grant.ts'
import { readVectors, type VectorBase, vectorHubUrl } from './vectors.ts'

/** The one mint of test tokens, with the trusted issuers that go with them. */

/** The resource identifier that the tokens are for. */
export const audience = vectorHubUrl

/** The issuers with shared secrets: two whole ones, and one that may only sign for subscribers. */
export const secretIssuers: readonly IssuerSettings[] = [
  {
    id: 'https://a.example',
    publisher: { key: secretOf('issuer-a/publisher'), algorithm: 'HS256' },
    subscriber: { key: secretOf('issuer-a/subscriber'), algorithm: 'HS256' },
  },
  {
    id: 'https://b.example',
    publisher: { key: secretOf('issuer-b/publisher'), algorithm: 'HS256' },
    subscriber: { key: secretOf('issuer-b/subscriber'), algorithm: 'HS256' },
  },
  {
    id: 'https://sub-only.example',
    subscriber: { key: secretOf('issuer-sub-only/subscriber'), algorithm: 'HS256' },
  },
]

/** All issuers that the token vectors assume, `https://rsa.example` included. */
export function vectorIssuers(): readonly IssuerSettings[] {
  return [
    ...secretIssuers,
    {
      id: 'https://rsa.example',
      publisher: { key: rsaPair('issuer-rsa/publisher').publicKey, algorithm: 'RS256' },
      subscriber: { key: rsaPair('issuer-rsa/subscriber').publicKey, algorithm: 'RS256' },
    },
  ]
}

/** What a test says about a token. The rest has a default. */
export type TokenWish = Partial<Omit<MintOptions, 'key' | 'algorithm' | 'rights'>> &
  MintOptions['rights'] & {
    /** Whose key signs. By default the publisher's when there is something to publish. */
    readonly role?: Role
    /** Milliseconds since the epoch. By default the time of day. */
    readonly now?: number
  }

/** A token of `https://a.example`, valid for an hour. */
export function tokenFor(wish: TokenWish): Promise<string> {
  const { now = Date.now(), role = isPublisher(wish) ? 'publisher' : 'subscriber' } = wish
  return mint({
    issuer: 'https://a.example',
    audience,
    subject: 'https://example.com/users/42',
    issuedAt: now,
    expiresAt: now + 3_600_000,
    ...wish,
    key: secretOf(`issuer-a/${role}`),
    algorithm: 'HS256',
    rights: wish,
  })
}

function isPublisher({ publish, publishPatterns }: TokenWish): boolean {
  return publish !== undefined || publishPatterns !== undefined
}

/** A case of `tokens.json`. */
export interface TokenVector extends VectorBase {
  readonly role: Role
  readonly header: JsonObject
  readonly claims: JsonObject
  /** The label of the key, or how the signature is made without one. */
  readonly signWith: string
  readonly present: string
  readonly tamper?: 'header' | 'payload' | 'signature'
  readonly origin?: string
  readonly referer?: string
  readonly hub?: { readonly anonymous?: boolean }
  /** Seconds since the epoch. */
  readonly now: number
  readonly expect: { readonly status: number; readonly error: string | null }
  readonly alt?: { readonly status: number; readonly error: string | null }
}

/** The cases of `tokens.json`. */
export function readTokenVectors(): Promise<readonly TokenVector[]> {
  return readVectors<TokenVector>('tokens')
}

/** Whether the outcome depends on the token alone, and not on how it is sent. */
export function isAboutToken({ present }: TokenVector): boolean {
  return /^header(:bearer)?$/i.test(present) || literalToken(present) !== null
}

/** The token of a case: signed with the key of its label, or forged as the case says. */
export function vectorToken(vector: TokenVector, now = vector.now): string {
  const literal = literalToken(vector.present)
  if (literal !== null) return literal
  const { header, signWith, tamper } = vector
  const claims = shiftDates(vector.claims, now - vector.now)
  const signature = signatureOf(`${encode(header)}.${encode(claims)}`, header, signWith)
  const sent = {
    header: tamper === 'header' ? { ...header, extra: true } : header,
    claims: tamper === 'payload' ? { ...claims, sub: 'https://example.com/users/1' } : claims,
    signature: tamper === 'signature' ? signature.toReversed() : signature,
  }
  return [encode(sent.header), encode(sent.claims), sent.signature.toString('base64url')].join('.')
}

function literalToken(present: string): string | null {
  return /^(?:header|cookie)-value:(.*)$/.exec(present)?.[1] ?? null
}

// For a hub whose clock a test does not own.
function shiftDates(claims: JsonObject, seconds: number): JsonObject {
  const isDate = (name: string) => ['exp', 'nbf', 'iat'].includes(name)
  const shift = (name: string, value: unknown) =>
    isDate(name) && typeof value === 'number' ? value + seconds : value
  return Object.fromEntries(Object.entries(claims).map(([name, value]) => [name, shift(name, value)]))
}

/** A compact JWS of any header and claims under a shared secret, however wrong they are. */
export function forge(header: JsonObject, claims: unknown, secret: string): string {
  const input = `${encode(header)}.${encode(claims)}`
  return `${input}.${hmac(input, header, secret).toString('base64url')}`
}

function signatureOf(input: string, header: JsonObject, signWith: string): Buffer {
  switch (signWith) {
    case 'none':
      return Buffer.of()
    case 'embedded':
      return hmac(input, header, Buffer.from(embeddedKey(header), 'base64url'))
    case 'issuer-rsa/public-key-as-hmac-secret':
      return hmac(input, header, rsaPair('issuer-rsa/subscriber').publicKey)
    case 'issuer-rsa/publisher':
    case 'issuer-rsa/subscriber':
      return sign('RSA-SHA256', Buffer.from(input), rsaPair(signWith).privateKey)
    default:
      return hmac(input, header, secretOf(signWith))
  }
}

function embeddedKey(header: JsonObject): string {
  const { jwk } = header
  return typeof jwk === 'object' && jwk !== null && 'k' in jwk ? String(jwk.k) : ''
}

function hmac(input: string, header: JsonObject, secret: string | Buffer): Buffer {
  const { alg } = header
  const bits = /^HS(256|384|512)$/.exec(String(alg))?.[1] ?? '256'
  return createHmac(`sha${bits}`, secret).update(input).digest()
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

/** The secret of a label, as a configuration string. Always the same, long enough for every HMAC. */
export function secretOf(label: string): string {
  return new Bun.CryptoHasher('sha256').update(label).digest('hex')
}

const rsaPairs = new Map<string, { readonly publicKey: string; readonly privateKey: string }>()

/** The RSA keys of a label as PEM, made when they are first asked for. */
export function rsaPair(label: string) {
  const known = rsaPairs.get(label)
  if (known !== undefined) return known
  const made = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })
  rsaPairs.set(label, made)
  return made
}
