import type { Settings } from '../config/load.ts'
import { hubUrl } from '../config/location.ts'
import { type Matcher, parseMatcher } from '../protocol/matcher.ts'
import { type HubLocation, hubLocation } from '../protocol/topic.ts'
import type { Retention, Rule, RuleLimits } from '../transport/retention.ts'

/** The retention of the settings. Throws a plain Error when the pattern of a rule is no matcher. */
export function retention(settings: Settings): Retention {
  const { maxCount, maxAge: maxAgeMs, maxBytes, rules } = settings.history
  const location = hubLocation(hubUrl(settings))
  const read = rules.map((rule, at) => toRule(rule, `history.rules[${at}].match`, location))
  // Without a past, or without subscription events, there is nothing to share.
  if (!settings.hub.subscriptions || maxCount === 0) return { maxCount, maxAgeMs, maxBytes, rules: read }
  const own = ownEvents(settings, location)
  return {
    maxCount: rest(maxCount, own.maxCount),
    maxAgeMs,
    maxBytes: rest(maxBytes, own.maxBytes),
    rules: [own, ...read],
  }
}

/**
 * The rule for the events that tell of subscriptions. Anybody who may connect makes them, so they have a share of the
 * limits to themselves, and updates that were published have the rest: neither pushes the other out.
 */
function ownEvents({ history }: Settings, location: HubLocation): Rule {
  const shareOf = (limit: number | null) => (limit === null ? null : Math.floor(limit * history.ownEvents))
  return {
    name: OWN_EVENTS,
    perTopic: false,
    isApart: true,
    maxCount: shareOf(history.maxCount),
    maxAgeMs: null,
    maxBytes: shareOf(history.maxBytes),
    test: isOwnEvent(location),
  }
}

/**
 * The rule with these limits: its name says what it selects, in the words of `retention`. A log that several nodes share
 * keeps rules in this form. Throws a plain Error when this version knows no such rule.
 */
export function compileRule(limits: RuleLimits, location: HubLocation): Rule {
  if (limits.name === OWN_EVENTS) return { ...limits, test: isOwnEvent(location) }
  const [, type = '', written = ''] = /^(\S+) (.*)$/s.exec(limits.name) ?? []
  const mayBeRelative = parseMatcher(type, '/', location).kind === 'pattern' && !isAbsolute(written)
  const [, relative, url] = mayBeRelative ? (/^(.*) at (\S+)$/s.exec(written) ?? []) : []
  const matcher =
    relative === undefined || url === undefined
      ? parseMatcher(type, written, location)
      : parseMatcher(type, relative, hubLocation(url))
  return { ...limits, test: (topic) => matcher.test(topic) }
}

const OWN_EVENTS = 'own events'

function isOwnEvent({ path }: HubLocation): (topic: string) => boolean {
  return (topic) => topic.startsWith(`${path}/subscriptions/`)
}

function rest(limit: number | null, share: number | null): number | null {
  return limit === null || share === null ? limit : limit - share
}

type RuleSettings = Settings['history']['rules'][number]

function toRule(settings: RuleSettings, setting: string, location: HubLocation): Rule {
  const matcher = toMatcher(settings, setting, location)
  return {
    name: nameOf(settings, matcher, location),
    perTopic: settings.perTopic,
    maxCount: settings.maxCount ?? null,
    maxAgeMs: settings.maxAge ?? null,
    maxBytes: settings.maxBytes ?? null,
    test: (topic) => matcher.test(topic),
  }
}

function toMatcher({ match, matchType }: RuleSettings, setting: string, location: HubLocation): Matcher {
  try {
    return parseMatcher(matchType, match, location)
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'not a matcher'
    throw new Error(`${setting} cannot be used as ${matchType}: ${reason}`, { cause: error })
  }
}

/** The name of a rule. A relative pattern selects by the place of the hub, so the name holds that too. */
function nameOf({ match, matchType }: RuleSettings, { kind }: Matcher, { url }: HubLocation): string {
  const isRelative = kind === 'pattern' && !isAbsolute(match)
  return isRelative ? `${matchType} ${match} at ${url}` : `${matchType} ${match}`
}

function isAbsolute(pattern: string): boolean {
  return /^[a-z][a-z0-9+.-]*:/i.test(pattern)
}
