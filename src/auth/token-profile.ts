import { type Grant, type GrantLimits, parseAuthorizationDetails } from '../protocol/grant.ts'
import type { HubLocation } from '../protocol/topic.ts'
import type { Drive } from '../protocol/work.ts'
import { type ClaimCheck, claimChecks } from './claim-checks.ts'
import { type Claims, isCurrentGeneration, type Token } from './token.ts'

/** One generation's rules for tokens. `profileOf` chooses one for each token. */
export interface TokenProfile {
  /** Whether the token is one of this generation, by its own words alone. It is not verified yet. */
  recognizes(token: Token): boolean
  /** All checks that need no key, cheapest first. */
  readonly checks: readonly ClaimCheck[]
  /** Id of the issuer whose keys verify tokens that name no trusted issuer (LEG-14), or null: they are refused. */
  readonly implicitIssuer: string | null
  /** Reads the rights that the claims grant. Throws or rejects with `invalid-token`. */
  rights(claims: Claims): Rights | Promise<Rights>
}

/** All that a token grants. */
export interface Rights {
  readonly grants: readonly Grant[]
  /** The payload of subscriptions that no grant covers, in the 0.x generation only. */
  readonly defaultPayload?: unknown
  /** Only of the 0.x generation. */
  readonly publishesAnyPublic?: boolean
}

/**
 * The rules for the token. A token of the 1.0 generation always gets its own, in requests of every generation and also
 * where `earlier` would recognize it: otherwise asking in an old way would lift the checks of a new token. Other tokens
 * get the rules of the first profile that recognizes them, and those of 1.0 when none does.
 */
export function profileOf(
  token: Token,
  current: TokenProfile,
  earlier: readonly TokenProfile[],
): TokenProfile {
  if (current.recognizes(token)) return current
  return earlier.find((profile) => profile.recognizes(token)) ?? current
}

/** The 1.0 generation (sections 4.3 and 4.4). `drive` reads tokens that grant much. */
export function currentProfile(hub: HubLocation, limits: GrantLimits, drive: Drive): TokenProfile {
  return {
    recognizes: isCurrentGeneration,
    checks: claimChecks,
    implicitIssuer: null,
    rights: async (claims) => ({
      grants: await drive(parseAuthorizationDetails(claims.authorization_details, hub, limits)),
    }),
  }
}
