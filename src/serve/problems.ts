import { legacyIssuer } from '../config/container.ts'
import type { Settings } from '../config/load.ts'
import { readCertificate } from './certificate.ts'
import { retention } from './rules.ts'

/**
 * What would keep a hub with these settings from starting and can be told without starting it, a line each: what the
 * settings alone tell, rules that select by no matcher, and a certificate that cannot be used.
 */
export function startProblems(settings: Settings, isDev: boolean): readonly string[] {
  const attempts = [() => retention(settings), () => readCertificate(settings.tls)]
  return [...settingProblems(settings, isDev), ...attempts.flatMap(problemOf)]
}

/** What the settings alone tell: what this version cannot do, and tokens that would be for no hub of their own. */
export function settingProblems(settings: Settings, isDev: boolean): readonly string[] {
  const lacksAudience = !isDev && !hasAudience(settings)
  return [...unsupported(settings), ...(lacksAudience ? [audienceProblem] : [])]
}

/**
 * A token is for one hub (AUT-40). Derived from the request, the client would choose for which: a token for one hub
 * would work at every other hub of its issuer. Tokens of the 0.x generation have no audience.
 */
function hasAudience(settings: Settings): boolean {
  const { hub, issuers } = settings
  // That of a port which the system chooses is derived as well.
  const isKnown = hub.resourceIdentifier !== null && URL.parse(hub.resourceIdentifier)?.port !== '0'
  return isKnown || issuers.every(({ id }) => id === legacyIssuer)
}

const audienceProblem =
  'hub.public_urls: is needed with issuers, or clients would choose for which hub a token is: add ' +
  'public_urls = ["https://hub.example.com"] under [hub], with the origin that clients use, ' +
  'or set hub.resource_identifier to the `aud` of its tokens'

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
