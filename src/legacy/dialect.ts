import { isCurrentGeneration, readToken } from '../auth/token.ts'
import type { Dialect, DialectOptions } from '../http/dialect.ts'
import { ProtocolError } from '../protocol/error.ts'
import { queryValue } from '../protocol/form.ts'
import type { HubLocation } from '../protocol/topic.ts'
import { writtenSelector } from './selector.ts'
import { legacyDocuments, noReferrer } from './subscription.ts'

const COOKIE = 'mercureAuthorization'

/** A shorter value cannot be a signed token, and is ignored (LEG-16). */
const TOKEN_LENGTH_MIN = 41

/** How the cursor is spelled in a URL beside `last_event_id`, which wins over them (LEG-17). */
const cursorNames: readonly string[] = ['lastEventID', 'Last-Event-ID', 'lastEventId']

/** A parameter that is only of this generation. It may stand beside those of 1.0 (LEG-01). */
const parameters = /[?&](?:topic|authorization|last-?event-?id)=/i

/**
 * Requests of the 0.x generation, those that mix it with 1.0 among them. `make` makes the dialect of 1.0, which reads
 * all that both have in common.
 */
export function legacyDialect(
  location: HubLocation,
  make: (changes: Partial<DialectOptions>) => Dialect,
): Dialect {
  const current = make({
    cursorNames,
    parameters: new Map([['topic', writtenSelector]]),
    earlierTokens: null,
  })
  const byCookie = make({ cookieName: COOKIE, earlierTokens: null })
  const documents = legacyDocuments(location)
  const api = `${location.path}/subscriptions`
  return {
    recognizes: ({ url, headers, method }) =>
      // The body of a query may have either generation's parameters, and is not read yet.
      method === 'QUERY' ||
      parameters.test(url) ||
      url.startsWith(api, url.indexOf('/', SCHEME_LENGTH_MAX)) ||
      headers.get('cookie')?.includes(`${COOKIE}=`) === true,
    credentials: (request) => {
      if (request.headers.has('authorization')) return current.credentials(request)
      const inUrl = queryValue(request.url, 'authorization') ?? ''
      if (inUrl.length >= TOKEN_LENGTH_MIN) return { token: ofThisGeneration(inUrl), via: 'query' }
      const presented = current.credentials(request)
      if (presented !== null) return presented
      const cookie = byCookie.credentials(request)
      return cookie === null ? null : { ...cookie, token: ofThisGeneration(cookie.token) }
    },
    form: current.form,
    subscription: (request, query, body) => current.subscription(request, query, body),
    cursorFields: (lastEventId) => {
      const fields = current.cursorFields(lastEventId)
      const cursor = fields['Mercure-Last-Event-ID']
      return { ...fields, ...noReferrer, ...(cursor !== undefined && { 'Last-Event-ID': cursor }) }
    },
    documents: (rawPath, token) => {
      const own = current.documents(rawPath, token)
      const path = own.path(rawPath)
      // The list of all is of both generations, and its reader is of that of the token (LEG-21).
      const isOwn = path === null || (path.kind === 'all' && !isCurrent(token))
      return isOwn ? documents : own
    },
  }
}

/** Of `https://`: the path of a URL begins with the next slash. */
const SCHEME_LENGTH_MAX = 8

/**
 * The places of this generation take its tokens only: one of 1.0 has no business in a URL, or in a cookie that scripts
 * may have set. Throws `invalid-token`.
 */
function ofThisGeneration(token: string): string {
  if (isCurrent(token)) throw new ProtocolError('invalid-token', 'a token of 1.0 in a place of 0.x')
  return token
}

function isCurrent(compact: string): boolean {
  const token = readToken(compact)
  return token !== null && isCurrentGeneration(token)
}
