import type { TokenProfile } from '../auth/token-profile.ts'
import type { Dialect, DialectOptions } from '../http/dialect.ts'
import type { GrantLimits } from '../protocol/grant.ts'
import type { Subscription } from '../protocol/subscription.ts'
import type { HubLocation } from '../protocol/topic.ts'
import type { Update } from '../protocol/update.ts'
import type { Drive } from '../protocol/work.ts'
import { legacyDialect } from './dialect.ts'
import { legacyProfile, type Version } from './profile.ts'
import { isLegacy, legacyInCurrent, legacyUpdate } from './subscription.ts'

export interface LegacySettings {
  readonly version: Version
  readonly implicitIssuer: string | null
}

/** The 0.x generation (section 10), whole: nothing else knows what it looks like. */
export async function legacyGeneration(settings: LegacySettings, location: HubLocation) {
  return {
    profile: (limits: GrantLimits, drive: Drive): TokenProfile =>
      legacyProfile({ ...settings, location, limits, drive }),
    dialect: (make: (changes: Partial<DialectOptions>) => Dialect): Dialect => legacyDialect(location, make),
    announce: (hub: HubLocation, subscription: Subscription, active: boolean): Update | null =>
      isLegacy(subscription) ? legacyUpdate(hub, subscription, active) : null,
    document: (subscription: Subscription): object | null =>
      isLegacy(subscription) ? legacyInCurrent(location, subscription) : null,
    exposedFields: ['Last-Event-ID'],
  }
}
