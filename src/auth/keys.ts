import type { KeyObject } from 'node:crypto'
import { type CryptoKey, importJWK, type JWK } from 'jose'
import { type Algorithm, findAlgorithm } from './algorithm.ts'

/** The two purposes of a token. An issuer has separate keys for them (SEC-13). */
export type Role = 'publisher' | 'subscriber'

/** The keys of one issuer for one role: one key with its algorithm, or the address of a key set. */
export interface KeySettings {
  /** A secret, PEM or JWK, in any spelling that `parseVerificationKey` takes. */
  readonly key?: string | undefined
  readonly algorithm?: string | undefined
  readonly jwksUri?: string | undefined
  /** Whether the key set may come over http and from an internal network. */
  readonly jwksInsecure?: boolean | undefined
  readonly algorithms?: readonly string[] | undefined
}

/** A trusted issuer: its exact `iss` value and the keys bound to it. */
export interface IssuerSettings {
  readonly id: string
  /** For the discovery document only. Verification does not read it. */
  readonly authorizationServer?: string | boolean | undefined
  readonly publisher?: KeySettings | undefined
  readonly subscriber?: KeySettings | undefined
}

/** A key that jose takes: the bytes of a secret, or an imported asymmetric key. */
export type Key = CryptoKey | Uint8Array

/**
 * Reads the key that verifies tokens of the algorithm: a shared secret, or a public key as PEM (SPKI,
 * PKCS#1, X.509 certificate), as bare base64 of one, or as a JWK. Line ends may be real, CRLF, spelled `\n`
 * or lost; the whole PEM may be base64; blanks around it do not count.
 * Rejects with a plain Error that says what is wrong and never shows the key.
 */
export async function parseVerificationKey(text: string, algorithm: string): Promise<Key> {
  const wanted = algorithmOf(algorithm)
  return importKey(await readSpelling(text, wanted), algorithm, wanted, 'public')
}

/**
 * Reads the key that signs tokens of the algorithm: a shared secret, or a private key as PEM (PKCS#8,
 * PKCS#1, SEC 1) or as a JWK, in the same spellings. Rejects as `parseVerificationKey` does.
 */
export async function parseSigningKey(text: string, algorithm: string): Promise<Key> {
  const wanted = algorithmOf(algorithm)
  return importKey(await readSpelling(text, wanted), algorithm, wanted, 'private')
}

type Spelling =
  | { readonly kind: 'secret'; readonly bytes: Uint8Array }
  | { readonly kind: 'pem'; readonly text: string }
  | { readonly kind: 'jwk'; readonly jwk: JWK }

type Half = 'public' | 'private'

function algorithmOf(name: string): Algorithm {
  const algorithm = findAlgorithm(name)
  if (algorithm === null) throw new Error('the algorithm is not one of those supported')
  return algorithm
}

async function readSpelling(raw: string, wanted: Algorithm): Promise<Spelling> {
  const text = raw.trim()
  if (text === '') throw new Error('the key is empty')
  const jwk = readJwk(text)
  if (jwk !== null) return { kind: 'jwk', jwk }
  const pem = readPem(text) ?? readPem(decodeBase64(text))
  if (pem !== null) return { kind: 'pem', text: pem }
  // Some issuers show their public key as bare base64. The hub looks for one under HMAC too: it is no secret.
  const armored = armor('PUBLIC KEY', text)
  if (await isPublicKey(armored)) return { kind: 'pem', text: armored }
  if (wanted.keyType !== 'oct') throw new Error('this algorithm needs a key as PEM or JWK')
  return { kind: 'secret', bytes: new TextEncoder().encode(text) }
}

function readJwk(text: string): JWK | null {
  if (!text.startsWith('{')) return null
  const value = parseJson(text)
  if (value === undefined || isJwk(value)) return value ?? null
  // A whole key set, most likely. Public text like that must not end up as a shared secret.
  throw new Error('a JSON document that is not a JWK')
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isJwk(value: unknown): value is JWK {
  return typeof value === 'object' && value !== null && 'kty' in value && typeof value.kty === 'string'
}

const pemBlock = /-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----/s

/** Rebuilds the PEM, also when a shell or an env file has changed or lost its line ends. */
function readPem(text: string): string | null {
  const [, label = '', body = ''] = pemBlock.exec(text) ?? []
  if (label === '') {
    if (text.includes('-----BEGIN ')) throw new Error('the PEM is cut off')
    return null
  }
  return armor(label, body.replace(/\\[nr]/g, ''))
}

function armor(label: string, base64: string): string {
  const lines = base64.replace(/\s/g, '').match(/.{1,64}/g) ?? []
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n')
}

function decodeBase64(text: string): string {
  const compact = text.replace(/\s|\\[nr]/g, '')
  return /^[A-Za-z0-9+/]+={0,2}$/.test(compact) ? Buffer.from(compact, 'base64').toString('latin1') : ''
}

async function isPublicKey(pem: string): Promise<boolean> {
  // A key in DER is a sequence, so that its base64 begins with this letter. Few secrets do.
  if (!pem.startsWith('M', pem.indexOf('\n') + 1)) return false
  const { createPublicKey } = await import('node:crypto')
  try {
    return createPublicKey(pem).type === 'public'
  } catch {
    return false
  }
}

async function importKey(spelling: Spelling, name: string, wanted: Algorithm, half: Half): Promise<Key> {
  if (spelling.kind === 'secret') return checkSecret(spelling.bytes, wanted)
  if (spelling.kind === 'pem' && wanted.keyType === 'oct') {
    throw new Error('a PEM is not a shared secret: HMAC algorithms need a secret that nobody else knows')
  }
  const jwk = spelling.kind === 'jwk' ? spelling.jwk : await pemToJwk(spelling.text, half)
  checkFit(jwk, wanted, half)
  const key = await importJWK({ ...jwk, alg: name }, name).catch(unusable)
  return key instanceof Uint8Array ? checkSecret(key, wanted) : checkModulus(key, wanted)
}

async function pemToJwk(pem: string, half: Half): Promise<JWK> {
  const { createPrivateKey, createPublicKey } = await import('node:crypto')
  if (half === 'private') return exportJwk(() => createPrivateKey(pem))
  // The hub only verifies. A reader of its configuration must not be able to sign.
  if (pem.includes('PRIVATE KEY')) throw new Error('a private key: only its public half belongs here')
  return exportJwk(() => createPublicKey(pem))
}

function exportJwk(create: () => KeyObject): JWK {
  try {
    return create().export({ format: 'jwk' })
  } catch (error) {
    return unusable(error)
  }
}

// The cause is left out: the message of a parser may quote the key.
function unusable(_cause: unknown): never {
  throw new Error('the key cannot be read')
}

/** Refuses a key of another kind than its algorithm, which jose would only refuse token by token. */
function checkFit(jwk: JWK, wanted: Algorithm, half: Half): void {
  if (jwk.kty !== wanted.keyType || (wanted.curve !== null && jwk.crv !== wanted.curve)) {
    throw new Error(
      `the algorithm needs a key of kind ${[wanted.keyType, wanted.curve ?? ''].join(' ').trim()}`,
    )
  }
  if (wanted.keyType === 'oct') return
  if (half === 'public' && jwk.d !== undefined) {
    throw new Error('a private key: only its public half belongs here')
  }
  if (half === 'private' && jwk.d === undefined) throw new Error('signing needs the private key')
}

function checkSecret(bytes: Uint8Array, wanted: Algorithm): Uint8Array {
  if (bytes.length * 8 >= wanted.bitsMin) return bytes
  throw new Error(`the secret is shorter than the ${wanted.bitsMin / 8} bytes that its algorithm needs`)
}

function checkModulus(key: CryptoKey, wanted: Algorithm): CryptoKey {
  const bits =
    'modulusLength' in key.algorithm ? Number(key.algorithm.modulusLength) : Number.POSITIVE_INFINITY
  if (bits >= wanted.bitsMin) return key
  throw new Error(`the RSA key is shorter than the ${wanted.bitsMin} bits that its algorithm needs`)
}
