import { audienceProblems } from '../config/audience.ts'
import { describeProblem, type Settings } from '../config/load.ts'
import { readCertificate } from './listen/certificate.ts'
import { retention } from './rules.ts'
import { serverOptions } from './store/redis-server.ts'
import { descriptorLimit, descriptorWarning, streamsThatFit } from './system/descriptors.ts'

/**
 * The problems that would keep a hub with these settings from starting and can be told without starting it, a line
 * each: tokens that would be for any hub, rules that select by no matcher, and
 * certificates that cannot be used.
 */
export function startProblems(settings: Settings, isDev: boolean): readonly string[] {
  const attempts = [
    () => retention(settings),
    () => readCertificate(settings.tls),
    () => (settings.transport === 'redis' ? serverOptions(settings) : null),
  ]
  const problems = audienceProblems(settings, isDev)
  return [...problems.map(describeProblem), ...attempts.flatMap(problemOf)]
}

/** The warnings of such a hub at its start on this machine, a line each. */
export function startWarnings({ limits }: Settings): readonly string[] {
  const warning = descriptorWarning(limits.subscribers, streamsThatFit(descriptorLimit(), OPEN_AT_START))
  return warning === null ? [] : [warning]
}

/** Descriptors that a hub has open before the first connection, about. */
const OPEN_AT_START = 24

function problemOf(attempt: () => unknown): readonly string[] {
  try {
    attempt()
    return []
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)]
  }
}
