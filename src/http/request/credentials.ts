import { ProtocolError } from '../../protocol/error.ts'
import { queryValue } from '../../protocol/form.ts'
import type { OriginList } from './origin.ts'

/** A token as the client presented it. */
export interface Credentials {
  readonly token: string
  /** `query` is only of the 0.x generation. */
  readonly via: 'header' | 'cookie' | 'query'
}

/** Fewer characters cannot be a signed token: the presentation is malformed (AUT-06). */
const TOKEN_LENGTH_MIN = 41

/** Where a client of the 0.x generation puts its token. A hub that does not speak it takes none from there (AUT-08). */
export type EarlierPlace = 'the parameter authorization' | 'the cookie mercureAuthorization'

/** The way of a hub that speaks 1.0 alone with tokens of the 0.x generation in their places. */
export interface EarlierTokens {
  /** Whether the text is a token, and not one of 1.0, which is unknown there (SUB-18). */
  isOne(token: string): boolean
  /** Told of each. Nobody who moves to 1.0 is to look for the reason for long. */
  onRefused(place: EarlierPlace): void
}

/**
 * Looks for a token of 0.x in a request that presents none of 1.0. In the URL nothing but a credential can be meant,
 * which is not to be ignored in silence: throws `missing-token`. A cookie may be what another time has left, so its
 * reader is one without a token.
 */
export function refuseEarlier(request: Request, { isOne, onRefused }: EarlierTokens): void {
  const cookie = readCookie(request.headers.get('cookie'), 'mercureAuthorization')
  if (cookie !== null && isOne(cookie)) onRefused('the cookie mercureAuthorization')
  const parameter = queryValue(request.url, 'authorization')
  if (parameter === null || !isOne(parameter)) return
  onRefused('the parameter authorization')
  throw new ProtocolError('missing-token', 'a token of the 0.x generation is in the URL')
}

/**
 * The token of a request: the Authorization field alone when there is one (AUT-03), else the cookie. Null when
 * none is presented. Throws `invalid-credentials` when the presentation is malformed.
 */
export function readCredentials(request: Request, cookieName: string): Credentials | null {
  const field = request.headers.get('authorization')
  if (field !== null) return { token: bearerToken(field), via: 'header' }
  const token = readCookie(request.headers.get('cookie'), cookieName)
  return token === null ? null : { token, via: 'cookie' }
}

/**
 * Repeated fields arrive joined by a comma, which no token holds. The scheme is matched apart from the token:
 * one expression for both walks through the token several times as slowly.
 */
function bearerToken(field: string): string {
  const start = scheme.exec(field)?.[0].length ?? field.length
  const token = field.slice(start)
  if (token.length < TOKEN_LENGTH_MIN || noToken.test(token)) {
    throw new ProtocolError('invalid-credentials', 'the Authorization field is not one bearer token')
  }
  return token
}

const scheme = /^bearer +/i
const noToken = /[\s,]/

/** The first cookie of the name; an empty one is none (AUT-07). */
function readCookie(field: string | null, name: string): string | null {
  if (field === null) return null
  for (const part of field.split(';')) {
    const equals = part.indexOf('=')
    if (equals === -1 || part.slice(0, equals).trim() !== name) continue
    const value = part.slice(equals + 1).trim()
    return value === '' ? null : value.replace(/^"(.*)"$/, '$1')
  }
  return null
}

/**
 * Refuses a publication that a cookie authorizes unless it comes from the hub's own origin or a listed one:
 * `Origin` decides, else the origin of `Referer` (AUT-15 to AUT-18). Throws `forbidden-origin`.
 */
export function checkOrigin(request: Request, ownOrigin: string, allowed: OriginList): void {
  const origin = sourceOrigin(request)
  if (origin === null || (origin !== ownOrigin && !allowed.includes(origin))) {
    throw new ProtocolError('forbidden-origin', 'a cookie authorizes publications from listed origins only')
  }
}

function sourceOrigin(request: Request): string | null {
  const origin = request.headers.get('origin')
  if (origin !== null) return origin === '' ? null : origin
  const referer = URL.parse(request.headers.get('referer') ?? '')
  return referer === null || referer.origin === 'null' ? null : referer.origin
}
