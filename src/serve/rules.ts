import type { Settings } from '../config/load.ts'
import { hubUrl } from '../config/location.ts'
import { type Matcher, parseMatcher } from '../protocol/matcher.ts'
import { type HubLocation, hubLocation } from '../protocol/topic.ts'
import type { Retention, Rule } from '../transport/retention.ts'

/** How much of the past the settings keep. Throws a plain Error when a rule selects by what is no matcher. */
export function retention(settings: Settings): Retention {
  const { maxCount, maxAge, maxBytes, rules } = settings.history
  const location = hubLocation(hubUrl(settings))
  const read = rules.map((rule, at) => toRule(rule, `history.rules[${at}].match`, location))
  return { maxCount, maxAgeMs: maxAge, maxBytes, rules: read }
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

/** What a relative pattern selects depends on where the hub is. */
function nameOf({ match, matchType }: RuleSettings, { kind }: Matcher, { url }: HubLocation): string {
  const isRelative = kind === 'pattern' && !/^[a-z][a-z0-9+.-]*:/i.test(match)
  return isRelative ? `${matchType} ${match} at ${url}` : `${matchType} ${match}`
}
