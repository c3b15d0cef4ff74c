import { type Grant, type GrantLimits, parseAuthorizationDetails } from '../protocol/grant.ts'
import type { HubLocation } from '../protocol/topic.ts'
import type { Drive } from '../protocol/work.ts'
import { type ClaimCheck, claimChecks } from './claim-checks.ts'
import { type Claims, isCurrentGeneration, type Token } from './token.ts'

/** One generation's rules for tokens. Chosen once per token, by `profileOf`. */
export interface TokenProfile {
  /** Whether the token is one of this generation, by what it says and nothing else. It is not verified yet. */
  recognizes(token: Token): boolean
  /** Everything that can be told without a key, cheapest first. */
  readonly checks: readonly ClaimCheck[]
  /** Id of the issuer whose keys verify tokens that name no trusted issuer (LEG-14), or null: they are refused. */
  readonly implicitIssuer: string | null
  /** Reads what the claims grant. Throws or rejects with `invalid-token`. */
  rights(claims: Claims): Rights | Promise<Rights>
}

/** All that a token grants. */
export interface Rights {
  readonly grants: readonly Grant[]
  /** Only of the 0.x generation. */
  readonly defaultPayload?: unknown
  /** Only of the 0.x generation. */
  readonly publishesAnyPublic?: boolean
}

/**
 * The rules that the token is held to. A token of the 1.0 generation is always held to those, whatever the request
 * looks like and whatever `earlier` would recognize: otherwise asking in an old way would lift the checks of a new
 * token. The others are held to those of the first that recognizes them, and to those of 1.0 when none does.
 */
export function profileOf(
  token: Token,
  current: TokenProfile,
  earlier: readonly TokenProfile[],
): TokenProfile {
  if (current.recognizes(token)) return current
  return earlier.find((profile) => profile.recognizes(token)) ?? current
}

/** The 1.0 generation (sections 4.3 and 4.4). `drive` reads what grants much. */
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
