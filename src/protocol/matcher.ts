import { ProtocolError } from './error.ts'
import { type HubLocation, isProtocolString } from './topic.ts'
import { compileUrlPattern, parseTopicUrl, type TopicUrl } from './url-pattern/pattern.ts'
import type { Work } from './work.ts'

/** Selects topics, for a subscription or in a grant: both mean the same by it (MAT-06). */
export interface Matcher {
  /** The name of a registered type. */
  readonly type: string
  /** The pattern as the client wrote it. */
  readonly pattern: string
  /** The way to look it up, for matchers of every type. */
  readonly kind: MatcherKind
  /**
   * The memory and the time that it takes: for each 1 at most 256 bytes, and 3 ns for each character of a topic. An
   * ordinary URL pattern weighs 4 to 10 (900 bytes, 0.1 us a test), one with a UUID written out 40, an exact topic
   * nothing. A pattern that is made to be heavy takes 9 bytes and 3 ns for each 1: measured with 4,800 optional
   * characters.
   */
  readonly weight: number
  /**
   * Whether the topic is selected. `url` is the topic from `parseTopicUrl`, so that many patterns share one
   * parse: undefined parses it here, null says that it is no URL. Never throws; too costly is false (MAT-32).
   */
  test(topic: string, url?: TopicUrl | null): boolean
}

/** A matcher as it is written. */
export interface WrittenMatcher {
  readonly type: string
  readonly pattern: string
  /** How it is read when its type is not registered: that of an earlier generation. Throws as `parseMatcher` does. */
  readonly compile?: (weightMax: number) => Matcher
}

/**
 * `wildcard`: the pattern is `*` alone, which matches every topic under every type (MAT-02). `exact`: the pattern is
 * the one topic that matches. `pattern`: each topic has to be tested.
 */
export type MatcherKind = 'wildcard' | 'exact' | 'pattern'

/**
 * Reads a matcher. Throws as `checkMatcher` does, and `invalid-matcher` when the pattern does not compile or would be
 * heavier than `weightMax`.
 */
export function parseMatcher(type: string, pattern: string, hub: HubLocation, weightMax?: number): Matcher {
  const { kind, compile } = typeOf({ type, pattern })
  if (pattern === '*') return { type, pattern, kind: 'wildcard', weight: 0, test: () => true }
  const { weight, test } = compile(pattern, hub, weightMax)
  return { type, pattern, kind, weight: weight + Math.floor(pattern.length / UNIT_LENGTH), test }
}

/**
 * Checks a matcher as far as that needs no compiling. Throws `unknown-matcher` for a type that is not registered
 * (MAT-05), and `invalid-matcher` when the pattern is empty or holds a forbidden character (GEN-01). The caller limits
 * the length of a pattern.
 */
export function checkMatcher(matcher: WrittenMatcher): void {
  typeOf(matcher)
}

/** Checks the text of a matcher, whatever its type. Throws `invalid-matcher` when it is empty or holds a forbidden character. */
export function checkPattern(pattern: string): void {
  if (pattern === '') throw new ProtocolError('invalid-matcher', 'a matcher is empty')
  if (!isProtocolString(pattern)) {
    throw new ProtocolError('invalid-matcher', 'a matcher holds a forbidden character')
  }
}

/**
 * Whether testing matchers of this weight on the topics fits into a step of work, about a millisecond at worst.
 * Otherwise the caller tests them in steps (`selects`).
 */
export function isLight(weight: number, topics: readonly string[]): boolean {
  return weight === 0 || stepsOf(weight, topics) <= 1
}

/** The number of steps that the tests take, or the part of one step. */
export function stepsOf(weight: number, topics: readonly string[]): number {
  let characters = 0
  for (const topic of topics) characters += topic.length + TOPIC_LENGTH_MIN
  return (weight * characters) / STEP_COST
}

/** The weight of all matchers as time: a comparison takes a fiftieth of the time of the lightest pattern. */
export function testWeight(matchers: readonly Matcher[]): number {
  return matchers.reduce((sum, { weight }) => sum + weight, Math.ceil(matchers.length / 50))
}

/** Whether one of the matchers selects the topic, in steps of about a millisecond. */
export function* selects(matchers: readonly Matcher[], topic: string, url: TopicUrl | null): Work<boolean> {
  const share = stepsOf(1, [topic])
  let steps = 0
  for (const matcher of matchers) {
    if (matcher.test(topic, url)) return true
    steps += matcher.weight * share
    if (steps <= 1) continue
    steps = 0
    yield
  }
  return false
}

/** Parsing a topic and beginning a test cost as much as testing this number of its characters. */
const TOPIC_LENGTH_MIN = 100
/** The weight times the characters of one step. */
const STEP_COST = 300_000

/** Characters of a pattern that weigh 1. A matcher keeps them twice, as text and compiled. */
const UNIT_LENGTH = 128

type Compiled = Pick<Matcher, 'weight' | 'test'>

interface MatcherType {
  readonly kind: Exclude<MatcherKind, 'wildcard'>
  readonly compile: (pattern: string, hub: HubLocation, weightMax?: number) => Compiled
}

/** The registered types by their names: a new one is a row here (MAT-05). */
const types: ReadonlyMap<string, MatcherType> = new Map<string, MatcherType>([
  ['exact', { kind: 'exact', compile: compileExact }],
  ['urlpattern', { kind: 'pattern', compile: compileUrl }],
])

/** The names of the registered types. */
export const matcherTypes: readonly string[] = [...types.keys()]

function typeOf({ type, pattern }: WrittenMatcher): MatcherType {
  const known = types.get(type)
  if (known === undefined) throw new ProtocolError('unknown-matcher', 'the matcher type is not supported')
  checkPattern(pattern)
  return known
}

/** Strings without lone surrogates are equal when their UTF-8 bytes are (MAT-10). */
function compileExact(pattern: string): Compiled {
  return { weight: 0, test: (topic) => topic === pattern }
}

function compileUrl(pattern: string, hub: HubLocation, weightMax?: number): Compiled {
  const compiled = compileUrlPattern(pattern, hub, weightMax)
  const test: Matcher['test'] = (topic, url = parseTopicUrl(topic, hub)) => url !== null && compiled.test(url)
  return { weight: compiled.weight, test }
}
