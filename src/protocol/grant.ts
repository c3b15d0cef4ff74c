import * as v from 'valibot'
import { ProtocolError } from './error.ts'
import { type Matcher, parseMatcher, selects, testWeight } from './matcher.ts'
import type { HubLocation } from './topic.ts'
import { parseTopicUrl, type TopicUrl } from './url-pattern/pattern.ts'
import type { Work } from './work.ts'

/** A JSON object as a token carries it, with members of any kind. */
export type JsonObject = { readonly [name: string]: unknown }

/** One Mercure detail of a token. Details grant independently of each other (AUT-61). */
export interface Grant {
  readonly publish: boolean
  readonly subscribe: boolean
  readonly topics: readonly Matcher[]
  /** The payload of the subscriptions that this grant covers, or null. */
  readonly payload: JsonObject | null
}

/** The rights of a verified token, and its dates. */
export interface Identity {
  /** The grants in the order of the token, which decides the payload (AUT-81). */
  readonly grants: readonly Grant[]
  /** Milliseconds since the epoch, maybe with a fraction. null: the token never ends, or there is none. */
  readonly expiresAt: number | null
  /** Milliseconds since the epoch, maybe with a fraction. null: valid from the start. */
  readonly notBefore: number | null
  /** Stable key of the holder of the token, for limits. null for nobody in particular. Never shown. */
  readonly holder: string | null
  /** The weight of the matchers of all grants, as `testWeight` counts it. */
  readonly weight: number
  /** The payload of subscriptions that no grant covers. Only the 0.x generation has one (LEG-11). */
  readonly defaultPayload?: unknown
  /** Whether public updates need no grant. Only version 7 of the 0.x generation has it (LEG-08). */
  readonly publishesAnyPublic?: boolean
}

/** The identity of a client without a token: no grants, so only public updates (AUT-74). */
export const anonymous: Identity = { grants: [], expiresAt: null, notBefore: null, holder: null, weight: 0 }

/** Limits on the details of one token (AUT-60). Zero is no limit. */
export interface GrantLimits {
  /** Number of Mercure details and, separately, of topic entries summed over all of them. */
  readonly details: number
  /** Length of one `match` value, in UTF-16 code units. */
  readonly pattern: number
  /** The weight of all matchers in sum. Zero allows no matcher with a weight. */
  readonly patternWeight: number
}

/** The topics parsed by `parseTopicUrl`, in the same order, so that many readers share one parse. */
export type TopicUrls = readonly (TopicUrl | null)[]

/** Whether grants to publish cover every topic of an update, perhaps each topic by another grant (AUT-70). */
export function mayPublish(identity: Identity, topics: readonly string[], urls: TopicUrls = []): boolean {
  const grants = identity.grants.filter((grant) => grant.publish)
  const isCovered = (topic: string, at: number) => grants.some((grant) => covers(grant, topic, urls[at]))
  return topics.length > 0 && topics.every(isCovered)
}

/** As `mayPublish`, in steps: for an identity that is not light on the topics. */
export function* mayPublishInSteps(
  identity: Identity,
  topics: readonly string[],
  hub: HubLocation,
): Work<boolean> {
  for (const topic of topics) {
    if ((yield* firstGrant(identity, 'publish', topic, parseTopicUrl(topic, hub))) === null) return false
  }
  return topics.length > 0
}

/** Whether a grant to subscribe covers some topic of a private update (AUT-71). */
export function mayRead(identity: Identity, topics: readonly string[], urls: TopicUrls = []): boolean {
  for (const grant of identity.grants) {
    if (grant.subscribe && topics.some((topic, at) => covers(grant, topic, urls[at]))) return true
  }
  return false
}

/** As `mayRead`, in steps: for an identity that is not light on the topics. */
export function* mayReadInSteps(
  identity: Identity,
  topics: readonly string[],
  urls: TopicUrls,
): Work<boolean> {
  for (const [at, topic] of topics.entries()) {
    if ((yield* firstGrant(identity, 'subscribe', topic, urls[at] ?? null)) !== null) return true
  }
  return false
}

/**
 * The payload of a subscription, chosen by the text of its matcher and not by its type (AUT-80, AUT-83).
 * The first grant that covers the text decides, even when it has no payload (AUT-82). undefined: none.
 */
export function payloadFor(identity: Identity, match: string): unknown {
  const first = identity.grants.find((grant) => grant.subscribe && covers(grant, match))
  return first?.payload ?? identity.defaultPayload
}

/** `payloadFor` of each text, in steps: for an identity that is not light on them. */
export function* payloadsInSteps(
  identity: Identity,
  matches: readonly string[],
  hub: HubLocation,
): Work<readonly unknown[]> {
  const payloads: unknown[] = []
  for (const match of matches) {
    const first = yield* firstGrant(identity, 'subscribe', match, parseTopicUrl(match, hub))
    payloads.push(first?.payload ?? identity.defaultPayload)
  }
  return payloads
}

function covers(grant: Grant, topic: string, url?: TopicUrl | null): boolean {
  return grant.topics.some((matcher) => matcher.test(topic, url))
}

/** The first grant of the action that covers the topic, in steps. */
function* firstGrant(
  { grants }: Identity,
  action: 'publish' | 'subscribe',
  topic: string,
  url: TopicUrl | null,
): Work<Grant | null> {
  // A topic is a step, also when its first grant covers it.
  yield
  for (const grant of grants) {
    if (grant[action] && (yield* selects(grant.topics, topic, url))) return grant
  }
  return null
}

/** The weight of the matchers of all grants, for `Identity.weight`. */
export function grantsWeight(grants: readonly Grant[]): number {
  return testWeight(grants.flatMap(({ topics }) => topics))
}

/**
 * Reads the claim `authorization_details` (section 4.4), a matcher at a step. Details of other types are ignored.
 * Throws `invalid-token` when the claim or any Mercure detail is malformed or over a limit: all or nothing
 * (AUT-59).
 */
export function* parseAuthorizationDetails(
  claim: unknown,
  hub: HubLocation,
  limits: GrantLimits,
): Work<Grant[]> {
  if (claim === undefined || claim === null) return []
  const entries = read(entryList, claim, 'authorization_details is not an array of objects')
  const details = entries
    .filter(({ type }) => type === DETAIL_TYPE)
    .map((entry) => read(mercureDetail, entry, 'a Mercure detail is malformed'))
  checkLimits(details, limits)
  return yield* new GrantReader(hub, limits.patternWeight).read(details)
}

/** The `type` of the entries of `authorization_details` that are for Mercure, byte for byte (AUT-51). */
export const DETAIL_TYPE = 'https://mercure.rocks/authorization-detail'

// This schema tests objects by hand: to valibot an array is an object too, and its copies would lose odd names.
const jsonObject = v.custom<JsonObject>(isJsonObject)

const entryList = v.array(jsonObject)

const topicEntry = v.object({ match: v.string(), match_type: v.optional(v.string(), 'exact') })

const mercureDetail = v.object({
  actions: v.pipe(v.array(v.string()), v.nonEmpty()),
  topics: v.pipe(v.array(v.pipe(jsonObject, topicEntry)), v.nonEmpty()),
  payload: v.nullish(jsonObject, null),
})

type MercureDetail = v.InferOutput<typeof mercureDetail>
type TopicEntry = v.InferOutput<typeof topicEntry>

/** Whether the value is a JSON object, not an array and not null. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function read<Schema extends v.GenericSchema>(schema: Schema, value: unknown, problem: string) {
  const result = v.safeParse(schema, value, { abortEarly: true })
  if (!result.success) throw new ProtocolError('invalid-token', problem)
  return result.output
}

/** Checks the limits before the hub compiles anything: patterns cost time, and it must not help to split them. */
function checkLimits(details: readonly MercureDetail[], limits: GrantLimits): void {
  const topics = details.flatMap((detail) => detail.topics)
  if (limits.details > 0 && Math.max(details.length, topics.length) > limits.details) {
    throw new ProtocolError('invalid-token', `a token has at most ${limits.details} details and topics`)
  }
  if (limits.pattern > 0 && topics.some((topic) => topic.match.length > limits.pattern)) {
    throw new ProtocolError('invalid-token', `a match in a token has at most ${limits.pattern} characters`)
  }
}

/** Compiles the matchers of a token, as long as their sum is within the limit. */
class GrantReader {
  readonly #hub: HubLocation
  readonly #weightMax: number
  #weight = 0

  constructor(hub: HubLocation, weightMax: number) {
    this.#hub = hub
    this.#weightMax = weightMax
  }

  *read(details: readonly MercureDetail[]): Work<Grant[]> {
    const grants: Grant[] = []
    for (const detail of details) {
      const topics: Matcher[] = []
      for (const entry of detail.topics) {
        topics.push(this.#matcher(entry))
        yield
      }
      grants.push(grantOf(detail, topics))
    }
    return grants
  }

  #matcher({ match_type: type, match }: TopicEntry): Matcher {
    try {
      const matcher = parseMatcher(type, match, this.#hub, this.#weightMax)
      this.#weight += matcher.weight
      if (this.#weight <= this.#weightMax) return matcher
      throw new ProtocolError('invalid-matcher', `all of them weigh at most ${this.#weightMax}`)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      throw new ProtocolError('invalid-token', `a topic of a token is no matcher: ${error.message}`)
    }
  }
}

/** Unknown actions grant nothing and do no harm (AUT-52). */
function grantOf({ actions, payload }: MercureDetail, topics: readonly Matcher[]): Grant {
  return { publish: actions.includes('publish'), subscribe: actions.includes('subscribe'), topics, payload }
}
