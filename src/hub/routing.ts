import type { Matcher } from '../protocol/matcher.ts'

/**
 * From the topics of an update to whoever asked for them, without asking each one.
 *
 * Exact topics are a lookup, the wildcard is a set, and each distinct pattern is held once however many
 * readers share it. Which patterns match a topic is remembered in a bounded cache: an entry knows up to which
 * pattern it was computed, so a new pattern costs each remembered topic one evaluation and nothing is thrown
 * away. The cost of a publish therefore grows with matching readers and distinct patterns only.
 */
export class Routing<Reader extends { readonly matchers: readonly Matcher[] }> {
  readonly #exact = new Map<string, Set<Reader>>()
  readonly #wildcard = new Set<Reader>()
  readonly #patterns = new Map<string, PatternRoute<Reader>>()
  /** The patterns in the order of their numbers, with some that nobody asks for any more among them. */
  #order: PatternRoute<Reader>[] = []
  readonly #remembered = new Map<string, Remembered<Reader>>()
  readonly #rememberedMax: number
  #rememberedSize = 0
  #nextPattern = 1

  /** `rememberedMax`: how many remembered topics, and patterns in them, there may be in sum. */
  constructor(rememberedMax: number) {
    this.#rememberedMax = rememberedMax
  }

  /** Exact topics, distinct patterns and the filling of the cache, for the gauges. */
  get size(): { readonly topics: number; readonly patterns: number; readonly remembered: number } {
    return { topics: this.#exact.size, patterns: this.#patterns.size, remembered: this.#rememberedSize }
  }

  /**
   * These matchers, or an equal list that a reader here has already: compiled patterns are kilobytes, and most
   * readers ask for what others ask for.
   */
  shared(matchers: readonly Matcher[]): readonly Matcher[] {
    const [first] = matchers
    if (first === undefined) return matchers
    for (const { matchers: others } of this.#readersOf(first) ?? []) {
      // Whoever came first is as good as all others: this is to save, not to find.
      return isEqual(matchers, others) ? others : matchers
    }
    return matchers
  }

  add(reader: Reader): void {
    for (const matcher of reader.matchers) {
      if (matcher.kind === 'wildcard') this.#wildcard.add(reader)
      else if (matcher.kind === 'exact') addTo(this.#exact, matcher.pattern, reader)
      else this.#route(matcher).readers.add(reader)
    }
  }

  remove(reader: Reader): void {
    for (const matcher of reader.matchers) {
      if (matcher.kind === 'wildcard') this.#wildcard.delete(reader)
      else if (matcher.kind === 'exact') removeFrom(this.#exact, matcher.pattern, reader)
      else this.#unroute(matcher, reader)
    }
  }

  /**
   * The groups of readers that one of the topics reaches. A reader may be in several of them: the caller
   * delivers once. The sets are live; they must be used before the routing changes.
   */
  find(topics: readonly string[], parseUrl: (topic: string) => ParsedTopic): ReadonlySet<Reader>[] {
    const groups: ReadonlySet<Reader>[] = []
    if (this.#wildcard.size > 0) groups.push(this.#wildcard)
    for (const topic of topics) {
      const exact = this.#exact.get(topic)
      if (exact !== undefined) groups.push(exact)
      if (this.#patterns.size > 0) this.#findPatterns(topic, parseUrl, groups)
    }
    return groups
  }

  /** Forgets which patterns match which topics; it is computed again when needed. */
  forget(): void {
    this.#remembered.clear()
    this.#rememberedSize = 0
  }

  #findPatterns(
    topic: string,
    parseUrl: (topic: string) => ParsedTopic,
    groups: ReadonlySet<Reader>[],
  ): void {
    const { routes } = this.#remember(topic, parseUrl)
    for (const route of routes) if (route.readers.size > 0) groups.push(route.readers)
  }

  #remember(topic: string, parseUrl: (topic: string) => ParsedTopic): Remembered<Reader> {
    const known = this.#remembered.get(topic) ?? { routes: [], until: 0 }
    if (known.until === this.#nextPattern - 1) return known
    this.#evict(topic)
    this.#extend(known, topic, parseUrl)
    this.#remembered.set(topic, known)
    this.#rememberedSize += weight(known)
    for (const oldest of this.#remembered.keys()) {
      if (this.#rememberedSize <= this.#rememberedMax) break
      this.#evict(oldest)
    }
    return known
  }

  #extend(known: Remembered<Reader>, topic: string, parseUrl: (topic: string) => ParsedTopic): void {
    known.routes = known.routes.filter((route) => route.readers.size > 0)
    const url = parseUrl(topic)
    for (let at = firstAfter(this.#order, known.until); at < this.#order.length; at++) {
      const route = this.#order[at]
      if (route !== undefined && route.readers.size > 0 && route.matcher.test(topic, url))
        known.routes.push(route)
    }
    known.until = this.#nextPattern - 1
  }

  #evict(topic: string): void {
    const known = this.#remembered.get(topic)
    if (known === undefined) return
    this.#remembered.delete(topic)
    this.#rememberedSize -= weight(known)
  }

  #readersOf(matcher: Matcher): ReadonlySet<Reader> | undefined {
    if (matcher.kind === 'wildcard') return this.#wildcard
    if (matcher.kind === 'exact') return this.#exact.get(matcher.pattern)
    return this.#patterns.get(routeKey(matcher))?.readers
  }

  #route(matcher: Matcher): PatternRoute<Reader> {
    const key = routeKey(matcher)
    let route = this.#patterns.get(key)
    if (route === undefined) {
      route = { matcher, number: this.#nextPattern++, readers: new Set() }
      this.#patterns.set(key, route)
      this.#order.push(route)
    }
    return route
  }

  #unroute(matcher: Matcher, reader: Reader): void {
    const key = routeKey(matcher)
    const route = this.#patterns.get(key)
    if (route === undefined) return
    route.readers.delete(reader)
    // Remembered topics may still hold the route; with no readers it is skipped and later filtered out.
    if (route.readers.size > 0) return
    this.#patterns.delete(key)
    if (this.#order.length > 2 * this.#patterns.size)
      this.#order = this.#order.filter(({ readers }) => readers.size > 0)
  }
}

type ParsedTopic = Parameters<Matcher['test']>[1]

interface PatternRoute<Reader> {
  readonly matcher: Matcher
  readonly number: number
  readonly readers: Set<Reader>
}

interface Remembered<Reader> {
  routes: PatternRoute<Reader>[]
  /** The number of the newest pattern that was evaluated. */
  until: number
}

/** The index of the first route with a greater number, by halving. */
function firstAfter(routes: readonly { readonly number: number }[], number: number): number {
  let low = 0
  let high = routes.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((routes[middle]?.number ?? 0) <= number) low = middle + 1
    else high = middle
  }
  return low
}

function isEqual(left: readonly Matcher[], right: readonly Matcher[]): boolean {
  const isSame = ({ type, pattern }: Matcher, at: number) =>
    right[at]?.type === type && right[at]?.pattern === pattern
  return left.length === right.length && left.every(isSame)
}

function weight(known: Remembered<object>): number {
  return 1 + known.routes.length
}

// Neither part can hold a control character (GEN-01), so the key cannot collide (MAT-36).
function routeKey(matcher: Matcher): string {
  return `${matcher.type}\n${matcher.pattern}`
}

function addTo<Reader>(map: Map<string, Set<Reader>>, key: string, reader: Reader): void {
  const readers = map.get(key)
  if (readers === undefined) map.set(key, new Set([reader]))
  else readers.add(reader)
}

function removeFrom<Reader>(map: Map<string, Set<Reader>>, key: string, reader: Reader): void {
  const readers = map.get(key)
  if (readers === undefined) return
  readers.delete(reader)
  if (readers.size === 0) map.delete(key)
}
