import { legacyClaimChecks } from '../auth/claim-checks.ts'
import { type Claims, isCurrentGeneration } from '../auth/token.ts'
import type { Rights, TokenProfile } from '../auth/token-profile.ts'
import { ProtocolError } from '../protocol/error.ts'
import { type Grant, type GrantLimits, isJsonObject, type JsonObject } from '../protocol/grant.ts'
import { type Matcher, parseMatcher } from '../protocol/matcher.ts'
import type { HubLocation } from '../protocol/topic.ts'
import type { Drive, Work } from '../protocol/work.ts'
import { parseSelector } from './selector.ts'

/** Version 8 is spoken by hubs 0.14 to 0.24, version 7 by those before. 7 takes what 8 does. */
export type Version = '8' | '7'

export interface ProfileOptions {
  readonly version: Version
  /** Id of the issuer whose keys verify tokens that name no trusted one, or null: they are refused (LEG-14). */
  readonly implicitIssuer: string | null
  readonly location: HubLocation
  readonly limits: GrantLimits
  readonly drive: Drive
}

/** The rules for tokens of the 0.x generation: what is signed and not of 1.0 (LEG-06 to LEG-14). */
export function legacyProfile({
  version,
  implicitIssuer,
  location,
  limits,
  drive,
}: ProfileOptions): TokenProfile {
  return {
    recognizes: (token) => !isCurrentGeneration(token),
    checks: legacyClaimChecks,
    implicitIssuer,
    rights: async (claims) => await drive(readRights(claims, version, location, limits)),
  }
}

/** Without a claim, or with an empty one, there are no rights (LEG-13). Throws `invalid-token`. */
function* readRights(claims: Claims, version: Version, hub: HubLocation, limits: GrantLimits): Work<Rights> {
  // The namespaced claim is for identity providers that forbid others; it replaces the other one.
  const claim = claims['https://mercure.rocks/'] ?? claims['mercure'] ?? {}
  if (!isJsonObject(claim)) throw refusal('is not an object')
  const lists = { publish: listOf(claim, 'publish'), subscribe: listOf(claim, 'subscribe') }
  checkLimits([...(lists.publish ?? []), ...(lists.subscribe ?? [])], limits)
  const reader = new ListReader(hub, limits.patternWeight)
  const publish = yield* reader.read(lists.publish ?? [])
  const subscribe = yield* reader.read(lists.subscribe ?? [])
  return {
    grants: [
      ...publish.map((rest) => ({ ...rest, publish: true, subscribe: false })),
      ...subscribe.map((rest) => ({ ...rest, publish: false, subscribe: true })),
    ],
    // An empty list is one (LEG-08).
    ...(version === '7' && lists.publish !== null && { publishesAnyPublic: true }),
    ...(claim['payload'] != null && { defaultPayload: claim['payload'] }),
  }
}

/** An entry of a list: a selector, or a matcher in the way of 1.0 with a payload of its own (LEG-10). */
interface ListEntry {
  readonly type: string | null
  readonly match: string
  readonly payload: JsonObject | null
}

function listOf(claim: JsonObject, name: string): readonly ListEntry[] | null {
  const list = claim[name] ?? null
  if (list === null) return null
  if (!Array.isArray(list)) throw refusal(`has a ${name} that is no list`)
  // An empty text, as a setting that was left out makes one, selects no topic.
  return list.filter((entry) => entry !== '').map(entryOf)
}

function entryOf(entry: unknown): ListEntry {
  if (typeof entry === 'string') return { type: null, match: entry, payload: null }
  if (!isJsonObject(entry)) throw refusal('has an entry that is neither a selector nor an object')
  const { match, match_type: type = 'exact', payload = null } = entry
  if (typeof match !== 'string' || typeof type !== 'string' || (payload !== null && !isJsonObject(payload))) {
    throw refusal('has an entry that is no matcher')
  }
  return { type, match, payload }
}

/** Before anything is compiled, as with the details of 1.0. */
function checkLimits(entries: readonly ListEntry[], limits: GrantLimits): void {
  if (limits.details > 0 && entries.length > limits.details) {
    throw refusal(`has more than ${limits.details} entries`)
  }
  if (limits.pattern > 0 && entries.some(({ match }) => match.length > limits.pattern)) {
    throw refusal(`has an entry of more than ${limits.pattern} characters`)
  }
}

type Topics = Pick<Grant, 'topics' | 'payload'>

/** Compiles the entries of both lists, as long as their sum is within the limit. */
class ListReader {
  readonly #hub: HubLocation
  readonly #weightMax: number
  #weight = 0

  constructor(hub: HubLocation, weightMax: number) {
    this.#hub = hub
    this.#weightMax = weightMax
  }

  /** Those with a payload come first: it is more specific than that of the token (LEG-11). */
  *read(entries: readonly ListEntry[]): Work<readonly Topics[]> {
    const own: Topics[] = []
    const others: Matcher[] = []
    for (const entry of entries) {
      const matcher = this.#matcher(entry)
      if (entry.payload === null) others.push(matcher)
      else own.push({ topics: [matcher], payload: entry.payload })
      yield
    }
    return others.length === 0 ? own : [...own, { topics: others, payload: null }]
  }

  #matcher({ type, match }: ListEntry): Matcher {
    try {
      const matcher =
        type === null
          ? parseSelector(match, this.#weightMax)
          : parseMatcher(type, match, this.#hub, this.#weightMax)
      this.#weight += matcher.weight
      if (this.#weight <= this.#weightMax) return matcher
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      throw refusal(`has an entry that is no matcher: ${error.message}`)
    }
    throw refusal(`has entries that weigh more than ${this.#weightMax}`)
  }
}

/** The reason completes a sentence. */
function refusal(reason: string): ProtocolError {
  return new ProtocolError('invalid-token', `the claim mercure ${reason}`)
}
