import { isJsonObject, type JsonObject } from '../protocol/grant.ts'
import type { Issuer } from './issuers.ts'
import type { KeySource } from './key-source.ts'
import type { Role } from './keys.ts'

/** A compact JWS taken apart. Nothing in it is trusted yet. */
export interface Token {
  readonly compact: string
  readonly header: Header
  readonly claims: Claims
}

/** A JOSE header (RFC 7515). */
export type Header = JsonObject & {
  readonly typ?: unknown
  readonly alg?: unknown
  readonly kid?: unknown
  readonly crit?: unknown
}

/** The claims of a JWT (RFC 7519) and of rich authorization (RFC 9396). */
export type Claims = JsonObject & {
  readonly iss?: unknown
  readonly sub?: unknown
  readonly aud?: unknown
  readonly exp?: unknown
  readonly nbf?: unknown
  readonly authorization_details?: unknown
}

/** The expectations against which the hub checks a token. */
export interface Expectation {
  /** The trusted issuers by their exact `iss`. */
  readonly issuers: ReadonlyMap<string, Issuer>
  /** The issuer of tokens that name no trusted one: only for the 0.x generation (LEG-14). */
  readonly implicitIssuer: Issuer | null
  readonly role: Role
  /** The resource identifier of this hub. */
  readonly audience: string
  /** Milliseconds since the epoch. */
  readonly now: number
}

/**
 * Takes the token apart, or null: not three parts of canonical base64url, or the first two not JSON objects (AUT-20).
 */
export function readToken(compact: string): Token | null {
  const [, header = '', claims = '', signature = ''] = threeParts.exec(compact) ?? []
  if (![header, claims, signature].every(isCanonical)) return null
  const parts = { header: decodeJson(header), claims: decodeJson(claims) }
  if (!isJsonObject(parts.header) || !isJsonObject(parts.claims)) return null
  return { compact, header: parts.header, claims: parts.claims }
}

/** The keys that may have signed the token: those of its issuer for the role, no others. */
export function keysOf(token: Token, expected: Expectation): KeySource | null {
  return issuerOf(token, expected)?.keys[expected.role] ?? null
}

/** The issuer of the token, when it is trusted. */
export function issuerOf({ claims }: Token, expected: Expectation): Issuer | null {
  const named = typeof claims.iss === 'string' ? expected.issuers.get(claims.iss) : undefined
  return named ?? expected.implicitIssuer
}

/** A NumericDate in milliseconds, fractions kept (AUT-34), or null when it is not a number. */
export function dateOf(claim: unknown): number | null {
  return typeof claim === 'number' && Number.isFinite(claim) ? claim * 1000 : null
}

// An empty signature is for `none`, which the hub refuses by its name.
const threeParts = /^([\w-]+)\.([\w-]+)\.([\w-]*)$/

/**
 * Whether the bits of the last character that belong to no byte are zero (RFC 4648 section 3.5). Otherwise one
 * signature would have up to sixteen spellings, each of them a token of its own.
 */
function isCanonical(base64url: string): boolean {
  const last = base64url.slice(-1)
  switch (base64url.length % 4) {
    case 0:
      return true
    case 2:
      return 'AQgw'.includes(last)
    case 3:
      return 'AEIMQUYcgkosw048'.includes(last)
    default:
      return false
  }
}

// A decoder that keeps a byte order mark makes JSON refuse it.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function decodeJson(part: string): unknown {
  try {
    return JSON.parse(decoder.decode(Buffer.from(part, 'base64url')))
  } catch {
    return null
  }
}

/**
 * Whether the 1.0 rules hold for the token in requests of every generation: otherwise asking in the
 * old way would lift the checks of a new token.
 */
export function isCurrentGeneration({ header, claims }: Token): boolean {
  return isAccessToken(header) || claims.authorization_details !== undefined
}

/** Whether `typ` is that of RFC 9068, its prefix optional, in any case (AUT-21). */
export function isAccessToken(header: Header): boolean {
  return typeof header.typ === 'string' && /^(application\/)?at\+jwt$/i.test(header.typ)
}
