/**
 * URL patterns with a bounded cost. The native `URLPattern` says whether a pattern is valid and what its
 * canonical components are; it never tests a topic, because it backtracks: `/*a*a*a*b` took seconds for
 * 600 characters (MAT-33). This module tests the components in linear time instead.
 */

import { ProtocolError } from '../error.ts'
import { type HubLocation, urlPath } from '../topic.ts'
import { WEIGHT_MAX } from './automaton.ts'
import { type ComponentTest, compileComponent } from './component.ts'
import type { ComponentRules } from './part.ts'
import { readPatternString } from './string.ts'

/** The components of a canonical URL, without their separators. An absent component is empty. */
export interface TopicUrl {
  readonly protocol: string
  readonly username: string
  readonly password: string
  readonly hostname: string
  readonly port: string
  readonly pathname: string
  readonly search: string
  readonly hash: string
}

/** Parses a topic relative to the hub (MAT-24). Null when it is no URL, so that no pattern matches (MAT-25). */
export function parseTopicUrl(topic: string, hub: HubLocation): TopicUrl | null {
  const url = URL.parse(topic, hub.url)
  if (url === null) return null
  return {
    protocol: url.protocol.slice(0, -1),
    username: url.username,
    password: url.password,
    hostname: url.hostname,
    port: url.port,
    pathname: pathnameOf(url),
    search: url.search.slice(1),
    hash: url.hash.slice(1),
  }
}

/**
 * Compiles a pattern to a test of topics. Throws `invalid-matcher` when it is no URL pattern, when it needs
 * more than a linear engine can do (MAT-35), when its scheme is out of bounds, or when it would be heavier than
 * `weightMax`.
 */
export function compileUrlPattern(pattern: string, hub: HubLocation, weightMax = WEIGHT_MAX): UrlPatternTest {
  const written = readPatternString(pattern)
  checkProtocol(written.protocol)
  if (countGroups(pattern) > weightMax) throw refusal('has too many groups')
  const native = parseNative(pattern, hub)
  const compile = (text: string, rules: ComponentRules) => compileComponent(text, rules, weightMax)
  const compileWritten = (text: string, own: string | null, canonical: ComponentRules['canonical']) =>
    // The native implementation of Bun 1.4.5 is not always right about these: it loses the start of an opaque path
    // (`foo:///.well-known/x` becomes `well-known/x`), and a question mark or number sign where a piece of search or
    // hash starts with one.
    own === null ? compile(text, plain) : compile(own, { ...plain, canonical })
  const protocol = compile(native.protocol, plain)
  const isSpecial = specialSchemes.some((scheme) => protocol.test(scheme))
  const test = new UrlPatternTest([
    ['protocol', protocol],
    ['hostname', compile(native.hostname, hostname)],
    ['port', compile(native.port, plain)],
    [
      'pathname',
      isSpecial
        ? compile(native.pathname, path)
        : compileWritten(native.pathname, written.pathname, encodePath),
    ],
    ['search', compileWritten(native.search, written.search, isSpecial ? encodeSpecialSearch : encodeSearch)],
    ['hash', compileWritten(native.hash, written.hash, encodeHash)],
    ['username', compile(native.username, plain)],
    ['password', compile(native.password, plain)],
  ])
  if (test.weight > weightMax) throw refusal('is too large')
  return test
}

/** A compiled pattern: the components that are not free, in the order of their cost. */
export class UrlPatternTest {
  readonly #names: readonly (keyof TopicUrl)[]
  readonly #tests: readonly ComponentTest[]

  constructor(components: readonly (readonly [keyof TopicUrl, ComponentTest])[]) {
    const needed = components.filter(([, { cost }]) => cost !== 'free')
    const ordered = needed.toSorted(([, a], [, b]) => costs.indexOf(a.cost) - costs.indexOf(b.cost))
    this.#names = ordered.map(([name]) => name)
    this.#tests = ordered.map(([, test]) => test)
  }

  /** The weight as `Matcher.weight` counts it. */
  get weight(): number {
    return this.#tests.reduce((sum, { weight }) => sum + weight, BASE_WEIGHT)
  }

  test(url: TopicUrl): boolean {
    let at = 0
    for (const name of this.#names) if (this.#tests[at++]?.test(url[name]) === false) return false
    return true
  }
}

/** The least weight of a pattern: one that needs nothing but comparisons holds up to a kilobyte. */
const BASE_WEIGHT = 4

/** Counts groups, because the native constructor takes the square of their number: 10 ms for 2,000. */
function countGroups(pattern: string): number {
  return pattern.match(/[*:({]/g)?.length ?? 0
}

const specialSchemes = ['https', 'http', 'wss', 'ws', 'ftp', 'file']

const unchanged = (text: string): string => text
const plain: ComponentRules = { delimiter: '', prefix: '', canonical: unchanged }
const hostname: ComponentRules = { delimiter: '.', prefix: '', canonical: unchanged }
const path: ComponentRules = { delimiter: '/', prefix: '/', canonical: unchanged }

const PROTOCOL_LENGTH_MAX = 40

/**
 * The native constructor evaluates the pattern of the scheme on the special schemes, and backtracks:
 * 300 times `{*}` before the colon kept it busy for a minute. A scheme of up to 40 characters is safe unless it has a
 * counted repeat such as `{9}`. The check refuses a space to be independent of the engine.
 */
function checkProtocol(protocol: string | null): void {
  if (protocol === null || /^[a-z0-9+.-]*$/i.test(protocol)) return
  if (protocol.includes(' ')) throw refusal('has a space in its scheme')
  if (protocol.length > PROTOCOL_LENGTH_MAX || /\{\d/.test(protocol)) {
    throw refusal('has a scheme that is too complex')
  }
}

/** An absolute pattern must not see the base: an opaque path would be put below the hub (MAT-22, MAT-23). */
function parseNative(pattern: string, hub: HubLocation): URLPattern {
  try {
    return new URLPattern(pattern)
  } catch {
    return parseRelative(pattern, hub)
  }
}

function parseRelative(pattern: string, hub: HubLocation): URLPattern {
  try {
    return new URLPattern(pattern, hub.url)
  } catch (cause) {
    throw refusal('does not compile', cause)
  }
}

/**
 * Encodes text with a slash first as a path below some host, as all implementations do. For other text only the C0
 * control percent-encode set counts, and nothing after a question mark or number sign.
 */
function encodePath(text: string): string {
  if (!text.startsWith('/')) return text.replace(/[?#].*/s, '').replace(/[^\x20-\x7e]+/g, encodeURIComponent)
  const url = new URL('foo://host')
  url.pathname = text
  return urlPath(url)
}

// The standard encodes an apostrophe only where the scheme is a special one.
function encodeSpecialSearch(text: string): string {
  return searchOf(new URL('https://host'), text)
}

function encodeSearch(text: string): string {
  return searchOf(new URL('foo://host'), text)
}

function searchOf(url: URL, text: string): string {
  url.search = `?${text}`
  return url.search.slice(1)
}

function encodeHash(text: string): string {
  const url = new URL('foo://host')
  url.hash = `#${text}`
  return url.hash.slice(1)
}

/** A serialized path starts with `/.` where it would otherwise look like a host; that is no part of it. */
function pathnameOf(url: URL): string {
  const pathname = urlPath(url)
  return pathname.startsWith('/.//') ? pathname.slice(2) : pathname
}

const costs: readonly ComponentTest['cost'][] = ['free', 'comparison', 'walk', 'regexp']

function refusal(reason: string, cause?: unknown): ProtocolError {
  return new ProtocolError('invalid-matcher', `a URL pattern ${reason}`, { cause })
}
