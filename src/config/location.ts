import type { Settings } from './checks.ts'

/**
 * The absolute URL of the hub as far as the configuration knows it: the base of relative topics and patterns
 * (GEN-12). The first public URL decides, then the resource identifier. Without either the base is made up,
 * so that matching never depends on the host of a request.
 */
export function hubUrl({ hub }: Pick<Settings, 'hub'>): string {
  const [origin] = hub.publicUrls
  if (origin !== undefined) return origin + hub.path
  const identifier = URL.parse(hub.resourceIdentifier ?? '')
  const isWeb = identifier?.protocol === 'https:' || identifier?.protocol === 'http:'
  return `${isWeb ? identifier.origin : 'https://hub.invalid'}${hub.path}`
}

/**
 * The audience of the hub's tokens (AUT-40): the one that is set, else the first public URL and the hub path. With null
 * the hub derives it from each request, as it does for a URL with a port that the system is to choose.
 */
export function resourceIdentifier({ hub }: Pick<Settings, 'hub'>): string | null {
  const [origin] = hub.publicUrls
  const identifier = hub.resourceIdentifier ?? (origin === undefined ? null : origin + hub.path)
  return identifier !== null && URL.parse(identifier)?.port === '0' ? null : identifier
}
