import { audienceProblems } from '../config/audience.ts'
import { refusedFeatures } from '../config/later.ts'
import { describeProblem, type Settings } from '../config/load.ts'
import { readCertificate } from './certificate.ts'
import { retention } from './rules.ts'

/**
 * What would keep a hub with these settings from starting and can be told without starting it, a line each: what this
 * version cannot do, tokens that would be for any hub, rules that select by no matcher, and a certificate that cannot be
 * used.
 */
export function startProblems(settings: Settings, isDev: boolean): readonly string[] {
  const attempts = [() => retention(settings), () => readCertificate(settings.tls)]
  const problems = [...refusedFeatures(settings), ...audienceProblems(settings, isDev)]
  return [...problems.map(describeProblem), ...attempts.flatMap(problemOf)]
}

function problemOf(attempt: () => unknown): readonly string[] {
  try {
    attempt()
    return []
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)]
  }
}
