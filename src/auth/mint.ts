import { SignJWT } from 'jose'
import { DETAIL_TYPE, type JsonObject } from '../protocol/grant.ts'
import { parseSigningKey } from './keys.ts'

/** The content of a new token. It leaves absent members out. */
export interface MintOptions {
  /** A secret or a private key, in any spelling that `parseSigningKey` takes. */
  readonly key: string
  readonly algorithm: string
  readonly keyId?: string | undefined
  readonly issuer?: string | undefined
  readonly audience?: string | readonly string[] | undefined
  readonly subject?: string | undefined
  readonly clientId?: string | undefined
  /** The `jti`. */
  readonly id?: string | undefined
  /** Milliseconds since the epoch. */
  readonly issuedAt?: number | undefined
  /** Milliseconds since the epoch. */
  readonly expiresAt?: number | undefined
  readonly rights: MintRights
  /** Makes a token of the 0.x generation: `typ` JWT and the claim `mercure`. */
  readonly legacy?: boolean | undefined
}

/** The rights of a new token, by matcher type. */
export interface MintRights {
  readonly publish?: readonly string[] | undefined
  readonly subscribe?: readonly string[] | undefined
  readonly publishPatterns?: readonly string[] | undefined
  readonly subscribePatterns?: readonly string[] | undefined
  /** The payload of the holder's subscriptions. */
  readonly payload?: JsonObject | undefined
}

/** Signs a token. Rejects with a plain Error, which never shows the key, when the key does not fit. */
export async function mint(options: MintOptions): Promise<string> {
  const key = await parseSigningKey(options.key, options.algorithm)
  const header = {
    typ: options.legacy === true ? 'JWT' : 'at+jwt',
    alg: options.algorithm,
    ...(options.keyId === undefined ? {} : { kid: options.keyId }),
  }
  return new SignJWT(claimsOf(options)).setProtectedHeader(header).sign(key)
}

function claimsOf(options: MintOptions): Record<string, unknown> {
  const { issuer, audience, subject, clientId, id, issuedAt, expiresAt, rights } = options
  return {
    iss: issuer,
    aud: audience,
    sub: subject,
    client_id: clientId,
    jti: id,
    iat: seconds(issuedAt),
    exp: seconds(expiresAt),
    ...(options.legacy === true
      ? { mercure: legacyClaim(rights) }
      : { authorization_details: authorizationDetails(rights) }),
  }
}

/** The claim `authorization_details`: a detail to publish and one to subscribe, each where there is such a right. */
export function authorizationDetails(rights: MintRights): JsonObject[] {
  const publish = topicsOf(rights.publish, rights.publishPatterns)
  const subscribe = topicsOf(rights.subscribe, rights.subscribePatterns)
  const payload = rights.payload === undefined ? {} : { payload: rights.payload }
  return [
    { type: DETAIL_TYPE, actions: ['publish'], topics: publish },
    { type: DETAIL_TYPE, actions: ['subscribe'], topics: subscribe, ...payload },
  ].filter(({ topics }) => topics.length > 0)
}

function topicsOf(exact: readonly string[] = [], patterns: readonly string[] = []): JsonObject[] {
  return [
    ...exact.map((match) => ({ match })),
    ...patterns.map((match) => ({ match, match_type: 'urlpattern' })),
  ]
}

// Selectors of the 0.x generation are exact, "*" or URI Templates. URL Patterns need the object form (LEG-10).
function legacyClaim(rights: MintRights): JsonObject {
  const list = (exact: readonly string[] = [], patterns: readonly string[] = []) => [
    ...exact,
    ...topicsOf([], patterns),
  ]
  return {
    publish: list(rights.publish, rights.publishPatterns),
    subscribe: list(rights.subscribe, rights.subscribePatterns),
    payload: rights.payload,
  }
}

function seconds(date: number | undefined): number | undefined {
  return date === undefined ? undefined : Math.floor(date / 1000)
}
