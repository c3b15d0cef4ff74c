import { ProtocolError } from '../protocol/error.ts'
import type { GrantLimits, Identity } from '../protocol/grant.ts'
import type { HubLocation } from '../protocol/topic.ts'
import { type Drive, finish } from '../protocol/work.ts'
import type { TokenFailure } from './claim-checks.ts'
import { IdentityCache } from './identity-cache.ts'
import { type Issuer, openIssuers } from './issuers.ts'
import type { Outside } from './key-set.ts'
import type { IssuerSettings, Role } from './keys.ts'
import { keysOf, readToken, type Token } from './token.ts'
import { currentProfile, profileOf, type TokenProfile } from './token-profile.ts'
import {
  type Case,
  type Explanation,
  explain,
  hash,
  TokenRefused,
  timeProblem,
  verify,
} from './verification.ts'

export type { TokenFailure } from './claim-checks.ts'

/** Turns tokens into identities. */
export interface Authenticator {
  /**
   * Verifies a token completely (section 4.3), for one role and one resource identifier. Answers at once for
   * a token that it has verified before. Throws or rejects with `invalid-token` for every reason, or with
   * `keys-unavailable` while the key set of the issuer cannot be fetched.
   */
  authenticate(token: string, role: Role, audience: string): Identity | Promise<Identity>
  /** Says of every check how the token fares. Rejects only when the hub itself is wrong. */
  explain(token: string, role: Role, audience: string): Promise<Explanation>
  /** Whether some issuer has a key for the role. A role without any is disabled. */
  hasKeys(role: Role): boolean
  /** Fetches every key set again, whether it is due or not. */
  refresh(): void
  /** Stops fetching key sets. Keys that are loaded can still be used. */
  close(): void
}

/** The keys and limits of the configuration, and all that comes in from outside. */
export interface AuthenticatorOptions {
  readonly issuers: readonly IssuerSettings[]
  readonly hub: HubLocation
  readonly limits: GrantLimits
  /** Milliseconds since the epoch. */
  readonly clock: () => number
  /** Identities remembered at most. Zero remembers none. */
  readonly cacheEntries: number
  /** The most bytes of the remembered identities, in sum. */
  readonly cacheBytes: number
  /** Drives work that may take longer than a few milliseconds. Without a drive it is done in one go. */
  readonly drive?: Drive | undefined
  /** The rules of the 0.x generation, where the configuration allows its tokens, for tokens that are not of 1.0. */
  readonly legacy?: readonly TokenProfile[] | undefined
  /** Told about each refused token. */
  readonly onFailure?: ((failure: TokenFailure) => void) | undefined
  /** Told when the key set of an issuer could not be loaded. */
  readonly onKeySetFailure?: ((issuer: string, problem: string) => void) | undefined
  readonly fetch?: Outside['fetch'] | undefined
  readonly schedule?: Outside['schedule'] | undefined
}

/**
 * Imports the configured keys and starts to fetch the key sets, without waiting for them.
 * Rejects with a plain Error that lists every mistake in the configuration, one a line.
 */
export async function openAuthenticator(options: AuthenticatorOptions): Promise<Authenticator> {
  const { clock, onKeySetFailure, fetch = globalThis.fetch, schedule = scheduleQuietly } = options
  const issuers = await openIssuers(options.issuers, (issuer) => ({
    clock,
    fetch,
    schedule,
    onFailure: (problem) => onKeySetFailure?.(issuer, problem),
  }))
  return new CachingAuthenticator(options, issuers)
}

/** A timer that does not keep the process alive. */
function scheduleQuietly(run: () => void, delayMs: number): () => void {
  const timer = setTimeout(run, delayMs)
  timer.unref()
  return () => clearTimeout(timer)
}

class CachingAuthenticator implements Authenticator {
  readonly #options: AuthenticatorOptions
  readonly #issuers: ReadonlyMap<string, Issuer>
  readonly #profile: TokenProfile
  readonly #cache: IdentityCache
  // A thousand readers that come back together with one token cost one verification.
  readonly #pending = new Map<string, Promise<Identity>>()

  constructor(options: AuthenticatorOptions, issuers: readonly Issuer[]) {
    this.#options = options
    this.#issuers = new Map(issuers.map((issuer) => [issuer.id, issuer]))
    this.#profile = currentProfile(options.hub, options.limits, options.drive ?? finish)
    this.#cache = new IdentityCache(options.cacheEntries, options.cacheBytes)
  }

  authenticate(token: string, role: Role, audience: string): Identity | Promise<Identity> {
    const key = hash(`${role}\n${audience}\n${token}`)
    const known = this.#cache.find(key)
    return known === null ? this.#verifyOnce(key, token, role, audience) : this.#stillValid(known, key)
  }

  explain(token: string, role: Role, audience: string): Promise<Explanation> {
    return explain(this.#open(token, role, audience))
  }

  hasKeys(role: Role): boolean {
    return [...this.#issuers.values()].some((issuer) => issuer.keys[role] !== null)
  }

  refresh(): void {
    for (const { keys } of this.#issuers.values()) {
      keys.publisher?.refresh()
      keys.subscriber?.refresh()
    }
  }

  close(): void {
    for (const { keys } of this.#issuers.values()) {
      keys.publisher?.close()
      keys.subscriber?.close()
    }
  }

  #stillValid(identity: Identity, key: string): Identity {
    const failure = timeProblem(identity, this.#options.clock())
    if (failure === null) return identity
    this.#cache.delete(key)
    this.#options.onFailure?.(failure)
    throw new TokenRefused(failure, 'it was accepted before')
  }

  #verifyOnce(key: string, token: string, role: Role, audience: string): Promise<Identity> {
    const known = this.#pending.get(key)
    if (known !== undefined) return known
    const pending = this.#verify(key, this.#open(token, role, audience))
    this.#pending.set(key, pending)
    const forget = () => this.#pending.delete(key)
    pending.then(forget, forget)
    return pending
  }

  async #verify(key: string, opened: Case | null): Promise<Identity> {
    const source = opened === null ? null : keysOf(opened.token, opened.expected)
    // The revision from before: keys that are withdrawn meanwhile must not count for the cache.
    const revision = source?.revision ?? 0
    try {
      const identity = await verify(opened)
      if (opened !== null && source !== null) {
        this.#cache.add(key, { identity, source, revision, bytes: bytesOf(opened.token, identity) })
      }
      return identity
    } catch (error) {
      const failure = failureOf(error)
      if (failure !== null) this.#options.onFailure?.(failure)
      throw error
    }
  }

  #open(compact: string, role: Role, audience: string): Case | null {
    const token = readToken(compact)
    if (token === null) return null
    const { legacy = [], clock } = this.#options
    const profile = profileOf(token, this.#profile, legacy)
    const implicitIssuer = this.#issuers.get(profile.implicitIssuer ?? '') ?? null
    const expected = { issuers: this.#issuers, implicitIssuer, role, audience, now: clock() }
    return { token, expected, profile }
  }
}

/**
 * The most bytes that an identity holds: 250 for each matcher beside its weight, two for each character of the
 * token, in which all texts stood, and sixteen where the JSON of payloads stood in it.
 */
function bytesOf({ compact }: Token, { grants, weight }: Identity): number {
  const matchers = grants.reduce((sum, { topics }) => sum + topics.length, 0)
  const perCharacter = grants.some(({ payload }) => payload !== null) ? 16 : 2
  return 1000 + perCharacter * compact.length + 250 * matchers + 256 * weight
}

function failureOf(error: unknown): TokenFailure | null {
  if (error instanceof TokenRefused) return error.failure
  return error instanceof ProtocolError && error.code === 'keys-unavailable' ? 'keys' : null
}
