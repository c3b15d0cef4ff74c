import { ProtocolError } from '../protocol/error.ts'
import { type FormPair, type FormRules, UNKNOWN_FIELDS_MAX } from '../protocol/form.ts'
import { checkMatcher, matcherTypes, type WrittenMatcher } from '../protocol/matcher.ts'
import type { HubLocation } from '../protocol/topic.ts'
import {
  type Credentials,
  type EarlierTokens,
  readCredentials,
  refuseEarlier,
} from './request/credentials.ts'
import { fromFieldValue, toFieldValue } from './request/field-value.ts'
import {
  currentDocuments,
  type ForeignDocument,
  type SubscriptionDocuments,
} from './subscription-documents.ts'

/** The matchers and the cursor of a client that subscribes. */
export interface SubscribeRequest {
  /** The matchers: never empty, without repeats, checked as far as that costs nothing, and not compiled. */
  readonly matchers: readonly WrittenMatcher[]
  /** The requested event id: null without a cursor, empty when it is present but empty (REC-03). */
  readonly lastEventId: string | null
  /** Event ids that client libraries have put into the URL under names of their own; few. */
  readonly resumedIds: readonly string[]
}

export interface SubscribeLimits {
  /** The number of matcher parameters of one request, counted before repeats are merged (SUB-31). 0 is no limit. */
  readonly matchers: number
  /** Length of one matcher in UTF-16 code units. 0 is no limit. */
  readonly pattern: number
}

/** One generation's way to read requests and to write answers. `dialectOf` chooses one for each request. */
export interface Dialect {
  /** Whether the request is written in this dialect. Must not read its body. */
  recognizes(request: Request): boolean
  /** The token of the request, or null. Throws `invalid-credentials` when its presentation is malformed. */
  credentials(request: Request): Credentials | null
  /** The rules for the query and the body of a subscription. More pairs are `too-many-parameters`. */
  readonly form: FormRules
  /**
   * Reads the matchers and the cursor from the pairs of the query and of the body.
   * Throws `missing-matcher`, `unknown-matcher`, `invalid-matcher`, `matcher-too-long`, `too-many-matchers`
   * or `invalid-form`.
   */
  subscription(request: Request, query: readonly FormPair[], body: readonly FormPair[]): SubscribeRequest
  /** The response fields that name the cursor, none without one (SUB-52), and whatever else its streams are to have. */
  cursorFields(lastEventId: string | null): Readonly<Record<string, string>>
  /** How the resource at the raw path, below `subscriptions`, is shown to the holder of the token. */
  documents(rawPath: string, token: string): SubscriptionDocuments
}

/**
 * The first dialect that recognizes the request. The list ends with that of the 1.0 generation, which recognizes every
 * request; throws a plain Error when it does not.
 */
export function dialectOf(request: Request, dialects: readonly Dialect[]): Dialect {
  for (const dialect of dialects) if (dialect.recognizes(request)) return dialect
  throw new Error('no dialect recognizes the request')
}

/** Reads the value of a parameter. Throws as `checkMatcher` does. */
export type MatcherReader = (value: string) => WrittenMatcher

export interface DialectOptions {
  readonly location: HubLocation
  readonly cookieName: string
  readonly limits: SubscribeLimits
  /** Null: the 0.x generation is spoken too. */
  readonly earlierTokens: EarlierTokens | null
  /** The documents of subscriptions of an earlier generation in collections. */
  readonly foreignDocument?: ForeignDocument
  /** Parameters that ask for matchers of an earlier generation. */
  readonly parameters?: ReadonlyMap<string, MatcherReader>
  /** Names of the cursor in a URL, after that of 1.0. */
  readonly cursorNames?: readonly string[]
}

/** The 1.0 generation (sections 1, 4.1 and 6), to which every request belongs that no earlier dialect recognizes. */
export function currentDialect(options: DialectOptions): Dialect {
  const documents = currentDocuments(options.location, options.foreignDocument ?? (() => null))
  return {
    recognizes: () => true,
    credentials: (request) => credentialsOf(request, options),
    documents: () => documents,
    form: subscriptionForm(options),
    subscription: (request, query, body) => ({
      matchers: readMatchers([...query, ...body], options),
      lastEventId: readCursor(request, query, body, options.cursorNames ?? []),
      resumedIds: readResumedIds(request, query),
    }),
    cursorFields: (lastEventId) =>
      lastEventId === null ? {} : { 'Mercure-Last-Event-ID': toFieldValue(lastEventId) },
  }
}

function credentialsOf(request: Request, { cookieName, earlierTokens }: DialectOptions): Credentials | null {
  const presented = readCredentials(request, cookieName)
  if (presented === null && earlierTokens !== null) refuseEarlier(request, earlierTokens)
  return presented
}

function subscriptionForm({ limits: { matchers } }: DialectOptions): FormRules {
  const isKnown = (name: string | null) =>
    name !== null &&
    (name === CURSOR || name === EARLIER_MATCHER || librarySpellings.includes(name) || reserved.test(name))
  const pairsMax = matchers > 0 ? matchers + UNKNOWN_FIELDS_MAX : 0
  return { isKnown, pairsMax, refusal: 'too-many-parameters' }
}

const CURSOR = 'last_event_id'
/** How the 0.x generation spells a matcher. */
const EARLIER_MATCHER = 'topic'
const reserved = /^match/i

function readMatchers(
  pairs: readonly FormPair[],
  { limits, parameters, earlierTokens }: DialectOptions,
): WrittenMatcher[] {
  const merged = new Map<string, WrittenMatcher>()
  let count = 0
  for (const { name, value } of pairs) {
    const reader = name === null ? null : (parameters?.get(name) ?? readerOf(name))
    if (reader === null) continue
    if (value === null) throw new ProtocolError('invalid-form', 'a matcher is not UTF-8')
    if (limits.matchers > 0 && ++count > limits.matchers) {
      throw new ProtocolError('too-many-matchers', `a request has at most ${limits.matchers} matchers`)
    }
    if (limits.pattern > 0 && value.length > limits.pattern) {
      throw new ProtocolError('matcher-too-long', `a matcher has at most ${limits.pattern} characters`)
    }
    const matcher = reader(value)
    const key = `${matcher.type}\n${value}`
    if (!merged.has(key)) merged.set(key, matcher)
  }
  if (merged.size === 0 && earlierTokens !== null && pairs.some(({ name }) => name === EARLIER_MATCHER))
    throw new ProtocolError('earlier-matcher', 'the request has a topic of the 0.x generation and no matcher')
  if (merged.size === 0) throw new ProtocolError('missing-matcher', 'the request has no matcher')
  return [...merged.values()]
}

function readerOf(name: string): MatcherReader | null {
  const type = matcherType(name)
  if (type === null) return null
  return (pattern) => {
    const matcher = { type, pattern }
    checkMatcher(matcher)
    return matcher
  }
}

/**
 * The matcher type that a parameter name stands for, or null for an unrelated name. The whole prefix is
 * reserved, in every ASCII case (SUB-07): a type that is not supported fails instead of being ignored.
 */
function matcherType(name: string): string | null {
  if (name === 'match') return 'exact'
  if (!reserved.test(name)) return null
  const type = name.startsWith('match_') ? name.slice('match_'.length) : ''
  if (matcherTypes.includes(type)) return type
  throw new ProtocolError('unknown-matcher', 'a parameter name that starts with match is not supported')
}

/** The field wins over the query, the query over the body; an empty field hides nothing (REC-02). */
function readCursor(
  request: Request,
  query: readonly FormPair[],
  body: readonly FormPair[],
  otherNames: readonly string[],
): string | null {
  const field = request.headers.get('last-event-id')
  if (field !== null && field !== '') return fromFieldValue(field) ?? ''
  const parameter = firstValue(query, CURSOR) ?? firstValue(body, CURSOR)
  if (parameter !== undefined) return parameter
  for (const name of otherNames) {
    const value = firstValue(query, name)
    if (value !== undefined) return value
  }
  return field
}

/**
 * The spellings of the cursor by libraries that cannot send a field when they reconnect: event-source-polyfill by
 * default, as an option of it, and as in its documentation for Mercure hubs; reconnecting-eventsource after a bad
 * answer.
 */
const librarySpellings: readonly string[] = ['lastEventId', 'lastEventID', 'Last-Event-Id', 'Last-Event-ID']

/** The ids of libraries; none beside a field: a client that sends the field knows best where it is (REC-02). */
function readResumedIds(request: Request, query: readonly FormPair[]): readonly string[] {
  if ((request.headers.get('last-event-id') ?? '') !== '') return []
  const ids = librarySpellings.map((name) => firstValue(query, name) ?? '')
  return [...new Set(ids)].filter((id) => id !== '')
}

/** An id that is not UTF-8 or not a protocol string is unknown, like any other that never existed. */
function firstValue(pairs: readonly FormPair[], name: string): string | undefined {
  const pair = pairs.find((candidate) => candidate.name === name)
  return pair === undefined ? undefined : (pair.value ?? '')
}
