import { ProtocolError } from '../../protocol/error.ts'
import type { OriginList } from './origin.ts'

/** A token as the client presented it. */
export interface Credentials {
  readonly token: string
  readonly via: 'header' | 'cookie'
}

/** Fewer characters cannot be a signed token: the presentation is malformed (AUT-06). */
const TOKEN_LENGTH_MIN = 41

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
