import type { TokenProfile } from '../../auth/token-profile.ts'
import type { Settings } from '../../config/load.ts'
import { hubUrl } from '../../config/location.ts'
import type { Dialect, DialectOptions } from '../../http/dialect.ts'
import type { GrantLimits } from '../../protocol/grant.ts'
import type { Announcement, Subscription } from '../../protocol/subscription.ts'
import { type HubLocation, hubLocation } from '../../protocol/topic.ts'
import { type Drive, finish } from '../../protocol/work.ts'

/**
 * An earlier generation of the protocol that a hub speaks beside 1.0. Its two seams are independent: a dialect for each
 * request, a profile for each token.
 */
export interface Generation {
  profile(limits: GrantLimits, drive: Drive): TokenProfile
  /** `make` makes the dialect of 1.0 of the settings, with changes. */
  dialect(make: (changes: Partial<DialectOptions>) => Dialect): Dialect
  /** The update that the hub publishes of a subscription of this generation, or null: it is not one. */
  announce: (...about: Parameters<Announcement>) => ReturnType<Announcement> | null
  /** The document of a subscription of this generation in a collection of 1.0, or null: it is not one. */
  document(subscription: Subscription): object | null
  /** Further response fields that pages of other origins may read. */
  readonly exposedFields: readonly string[]
}

/** Makes a generation, and loads its code only then. */
export type LoadGeneration = (
  settings: { readonly version: '8' | '7'; readonly implicitIssuer: string | null },
  location: HubLocation,
) => Promise<Generation>

/** The first answer that is one. */
export function firstOf<Answer>(
  generations: readonly Generation[],
  ask: (generation: Generation) => Answer | null,
): Answer | null {
  for (const generation of generations) {
    const answer = ask(generation)
    if (answer !== null) return answer
  }
  return null
}

/** The generations that the settings ask for. Rejects with a plain Error when this build has none. */
export async function openGenerations(
  { hub, issuers }: Pick<Settings, 'hub' | 'issuers'>,
  location: HubLocation,
  earlier: readonly LoadGeneration[],
): Promise<readonly Generation[]> {
  const { legacy: version, legacyIssuer } = hub
  if (version === 'off') return []
  if (earlier.length === 0) throw new Error('hub.legacy: the 0.x generation is not part of this build')
  const [only, ...others] = issuers
  const implicitIssuer = legacyIssuer ?? (others.length === 0 ? (only?.id ?? null) : null)
  return await Promise.all(earlier.map((loadOne) => loadOne({ version, implicitIssuer }, location)))
}

/** The rules for their tokens, where there is no hub to be opened. */
export async function tokenProfiles(
  settings: Settings,
  earlier: readonly LoadGeneration[],
): Promise<readonly TokenProfile[]> {
  const generations = await openGenerations(settings, hubLocation(hubUrl(settings)), earlier)
  return generations.map((generation) => generation.profile(settings.limits, finish))
}
