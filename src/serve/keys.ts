import { type Authenticator, openAuthenticator } from '../auth/authenticate.ts'
import type { Settings } from '../config/load.ts'
import type { HubLocation } from '../protocol/topic.ts'
import type { Drive } from '../protocol/work.ts'
import type { Counters } from '../telemetry/counters.ts'
import type { Log } from '../telemetry/log.ts'
import type { Generation } from './generations/generation.ts'

/** A configuration that is understood and cannot be served, such as keys that are none. One problem a line. */
export class WrongConfiguration extends Error {
  override readonly name = 'WrongConfiguration'
}

/** The authenticator of the settings. Rejects with WrongConfiguration for the operator. */
export function openKeys(
  { issuers, limits }: Settings,
  location: HubLocation,
  counters: Counters,
  log: Log,
  drive: Drive,
  generations: readonly Generation[],
): Promise<Authenticator> {
  const opened = openAuthenticator({
    issuers,
    hub: location,
    limits,
    clock: Date.now,
    cacheEntries: IDENTITIES_MAX,
    cacheBytes: IDENTITY_BYTES_MAX,
    drive,
    legacy: generations.map((generation) => generation.profile(limits, drive)),
    onFailure: (reason) => counters.tokenRefused(reason),
    onKeySetFailure: (issuer, problem) => log.warn('key set not loaded', { issuer, problem }),
  })
  return opened.catch((error) => {
    throw new WrongConfiguration(error instanceof Error ? error.message : String(error), { cause: error })
  })
}

/** Whether both settings judge tokens by the same keys and limits: then the authenticator stays, with all it knows. */
export function haveSameKeys(one: Settings, other: Settings): boolean {
  // The rest of the limits is not about tokens.
  const parts = ({ issuers, limits }: Settings) => [
    issuers,
    limits.details,
    limits.pattern,
    limits.patternWeight,
  ]
  return Bun.deepEquals(parts(one), parts(other))
}

/** Identities of verified tokens that the authenticator remembers, about 2 KB each, and their bytes in sum. */
const IDENTITIES_MAX = 10_000
const IDENTITY_BYTES_MAX = 64 * 1024 * 1024
