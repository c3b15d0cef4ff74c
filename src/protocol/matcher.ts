import { ProtocolError } from './error.ts'
import { type HubLocation, isProtocolString } from './topic.ts'
import { compileUrlPattern, parseTopicUrl, type TopicUrl } from './url-pattern/pattern.ts'

/** Selects topics, for a subscription or in a grant: both mean the same by it (MAT-06). */
export interface Matcher {
  /** The name of a registered type. */
  readonly type: string
  /** As the client wrote it. */
  readonly pattern: string
  /** How it is to be looked up, whatever its type. */
  readonly kind: MatcherKind
  /**
   * Whether the topic is selected. `url` is the topic from `parseTopicUrl`, so that many patterns share one
   * parse: undefined parses it here, null says that it is no URL. Never throws; too costly is false (MAT-32).
   */
  test(topic: string, url?: TopicUrl | null): boolean
}

/**
 * `wildcard`: the pattern is `*` alone, which matches every topic under every type (MAT-02). `exact`: the pattern is
 * the one topic that matches. `pattern`: each topic has to be tested.
 */
export type MatcherKind = 'wildcard' | 'exact' | 'pattern'

/**
 * Reads a matcher. Throws `unknown-matcher` for a type that is not registered (MAT-05), and `invalid-matcher`
 * when the pattern is empty, holds a forbidden character (GEN-01) or does not compile. How long a pattern may
 * be is for the caller to say.
 */
export function parseMatcher(type: string, pattern: string, hub: HubLocation): Matcher {
  const known = types.get(type)
  if (known === undefined) throw new ProtocolError('unknown-matcher', 'the matcher type is not supported')
  if (pattern === '') throw new ProtocolError('invalid-matcher', 'a matcher is empty')
  if (!isProtocolString(pattern)) {
    throw new ProtocolError('invalid-matcher', 'a matcher holds a forbidden character')
  }
  if (pattern === '*') return { type, pattern, kind: 'wildcard', test: () => true }
  return { type, pattern, kind: known.kind, test: known.compile(pattern, hub) }
}

interface MatcherType {
  readonly kind: Exclude<MatcherKind, 'wildcard'>
  readonly compile: (pattern: string, hub: HubLocation) => Matcher['test']
}

/** The registered types by their names: a new one is a row here (MAT-05). */
const types: ReadonlyMap<string, MatcherType> = new Map<string, MatcherType>([
  ['exact', { kind: 'exact', compile: compileExact }],
  ['urlpattern', { kind: 'pattern', compile: compileUrl }],
])

/** The names of the registered types. */
export const matcherTypes: readonly string[] = [...types.keys()]

/** Strings without lone surrogates are equal when their UTF-8 bytes are (MAT-10). */
function compileExact(pattern: string): Matcher['test'] {
  return (topic) => topic === pattern
}

function compileUrl(pattern: string, hub: HubLocation): Matcher['test'] {
  const test = compileUrlPattern(pattern, hub)
  return (topic, url = parseTopicUrl(topic, hub)) => url !== null && test(url)
}
