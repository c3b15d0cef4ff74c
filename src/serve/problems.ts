import type { Settings } from '../config/load.ts'
import { readCertificate } from './certificate.ts'
import { retention } from './rules.ts'

/**
 * What would keep a hub with these settings from starting and can be told without starting it, a line each:
 * what this version cannot do, rules that select by no matcher, and a certificate that cannot be used.
 */
export function startProblems(settings: Settings): readonly string[] {
  const attempts = [() => retention(settings), () => readCertificate(settings.tls)]
  return [...unsupported(settings), ...attempts.flatMap(problemOf)]
}

/** Settings that this version knows and cannot carry out yet, a line each: none is ignored in silence. */
export function unsupported({ transport, hub }: Settings): readonly string[] {
  const later: readonly (readonly [boolean, string])[] = [
    [transport === 'redis', 'transport: redis is not part of this version'],
    [hub.legacy !== 'off', 'hub.legacy: the 0.x generation is not part of this version'],
  ]
  return later.filter(([isAsked]) => isAsked).map(([, text]) => text)
}

function problemOf(attempt: () => unknown): readonly string[] {
  try {
    attempt()
    return []
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)]
  }
}
