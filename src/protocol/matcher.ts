import { ProtocolError } from './error.ts'
import { type HubLocation, isProtocolString } from './topic.ts'
import { compileUrlPattern, parseTopicUrl, type TopicUrl } from './url-pattern/pattern.ts'

/** Selects topics, for a subscription or in a grant: both mean the same by it (MAT-06). */
export interface Matcher {
  /** The name of a registered type. */
  readonly type: string
  /** As the client wrote it. */
  readonly pattern: string
  /** Whether the pattern is `*` alone, which matches every topic under every type (MAT-02). */
  readonly isWildcard: boolean
  /**
   * Whether the topic is selected. `url` is the topic from `parseTopicUrl`, so that many patterns share one
   * parse: undefined parses it here, null says that it is no URL. Never throws; too costly is false (MAT-32).
   */
  test(topic: string, url?: TopicUrl | null): boolean
}

/**
 * Reads a matcher. Throws `unknown-matcher` for a type that is not registered (MAT-05), and `invalid-matcher`
 * when the pattern is empty, holds a forbidden character (GEN-01) or does not compile. How long a pattern may
 * be is for the caller to say.
 */
export function parseMatcher(type: string, pattern: string, hub: HubLocation): Matcher {
  const compile = compilers.get(type)
  if (compile === undefined) throw new ProtocolError('unknown-matcher', 'the matcher type is not supported')
  if (pattern === '') throw new ProtocolError('invalid-matcher', 'a matcher is empty')
  if (!isProtocolString(pattern)) {
    throw new ProtocolError('invalid-matcher', 'a matcher holds a forbidden character')
  }
  const isWildcard = pattern === '*'
  return { type, pattern, isWildcard, test: isWildcard ? () => true : compile(pattern, hub) }
}

const compilers: ReadonlyMap<string, (pattern: string, hub: HubLocation) => Matcher['test']> = new Map([
  ['exact', compileExact],
  ['urlpattern', compileUrl],
])

/** The names of the registered types. */
export const matcherTypes: readonly string[] = [...compilers.keys()]

/** Strings without lone surrogates are equal when their UTF-8 bytes are (MAT-10). */
function compileExact(pattern: string): Matcher['test'] {
  return (topic) => topic === pattern
}

function compileUrl(pattern: string, hub: HubLocation): Matcher['test'] {
  const { test } = compileUrlPattern(pattern, hub)
  return (topic, url = parseTopicUrl(topic, hub)) => url !== null && test(url)
}
