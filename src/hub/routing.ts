import { isLight, type Matcher, stepsOf } from '../protocol/matcher.ts'
import type { TopicUrl } from '../protocol/url-pattern/pattern.ts'
import { finish, type Work } from '../protocol/work.ts'

/**
 * Leads from the topics of an update to the readers who asked for them, without asking each one.
 *
 * Exact topics are a lookup, the wildcard is a set, and readers share each distinct pattern. A bounded cache remembers
 * which patterns match a topic: an entry knows up to which pattern it was computed, so a new pattern costs each
 * remembered topic one evaluation and nothing is thrown away. The cost of a publish therefore grows with matching
 * readers and distinct patterns only. A topic that is not remembered costs an evaluation of every pattern, which is
 * done in steps unless it `isShort`.
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
  /** The weight of all patterns that somebody asks for. */
  #weight = 0
  /** The weight of all patterns that ever came. */
  #weightEver = 0

  /** `rememberedMax`: the most remembered topics, and patterns in them, in sum. */
  constructor(rememberedMax: number) {
    this.#rememberedMax = rememberedMax
  }

  /** Exact topics, distinct patterns and the filling of the cache, for the gauges. */
  get size(): { readonly topics: number; readonly patterns: number; readonly remembered: number } {
    return { topics: this.#exact.size, patterns: this.#patterns.size, remembered: this.#rememberedSize }
  }

  /**
   * These matchers, or an equal list that a reader here has already: compiled patterns are kilobytes, and most
   * readers ask for the same as others.
   */
  shared(matchers: readonly Matcher[]): readonly Matcher[] {
    const [first] = matchers
    if (first === undefined) return matchers
    for (const { matchers: others } of this.#readersOf(first) ?? []) {
      // The list of the first reader is as good as any other: this is to save memory, not to find readers.
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
   * delivers once. The sets are live.
   */
  find(topics: readonly string[], parseUrl: ParseUrl): ReadonlySet<Reader>[] {
    const groups: ReadonlySet<Reader>[] = this.#wildcard.size > 0 ? [this.#wildcard] : []
    for (const topic of topics) {
      this.#addExact(topic, groups)
      if (this.#patterns.size === 0) continue
      addLive(this.#upToDate(topic) ?? finish(this.#evaluate(topic, parseUrl)), groups)
    }
    return groups
  }

  /** As `find`, some patterns at a step. A reader who joins or leaves meanwhile may be in the groups or not. */
  *findInSteps(topics: readonly string[], parseUrl: ParseUrl): Work<ReadonlySet<Reader>[]> {
    const groups: ReadonlySet<Reader>[] = this.#wildcard.size > 0 ? [this.#wildcard] : []
    for (const topic of topics) {
      this.#addExact(topic, groups)
      addLive(this.#upToDate(topic) ?? (yield* this.#evaluate(topic, parseUrl)), groups)
    }
    return groups
  }

  /** Whether `find` takes about a millisecond at most. */
  isShort(topics: readonly string[]): boolean {
    if (isLight(this.#weight, topics)) return true
    let steps = 0
    for (const topic of topics) steps += stepsOf(this.#weightToCome(topic), [topic])
    return steps <= 1
  }

  /** Forgets which patterns match which topics; `find` evaluates them again when needed. */
  forget(): void {
    this.#remembered.clear()
    this.#rememberedSize = 0
  }

  #addExact(topic: string, groups: ReadonlySet<Reader>[]): void {
    const exact = this.#exact.get(topic)
    if (exact !== undefined) groups.push(exact)
  }

  #upToDate(topic: string): Remembered<Reader> | null {
    const known = this.#remembered.get(topic)
    return known?.until === this.#nextPattern - 1 ? known : null
  }

  /** The most that the patterns weigh which came since the topic was evaluated. */
  #weightToCome(topic: string): number {
    const known = this.#remembered.get(topic)
    return Math.min(this.#weight, this.#weightEver - (known?.weightEver ?? 0))
  }

  /** Evaluates the patterns that came since the topic was evaluated. Nobody sees the result until it is whole. */
  *#evaluate(topic: string, parseUrl: ParseUrl): Work<Remembered<Reader>> {
    const before = this.#remembered.get(topic)
    const routes = before?.routes.filter((route) => route.readers.size > 0) ?? []
    const url = parseUrl(topic)
    const share = stepsOf(1, [topic])
    let until = before?.until ?? 0
    let steps = 0
    for (let at = firstAfter(this.#order, until); at < this.#order.length; at++) {
      const route = this.#order[at]
      if (route === undefined) break
      until = route.number
      if (route.matcher === null) continue
      if (route.matcher.test(topic, url)) routes.push(route)
      steps += route.matcher.weight * share
      if (steps <= 1) continue
      steps = 0
      yield
      // Patterns may have come and gone: the order may be another list by now.
      at = firstAfter(this.#order, until) - 1
    }
    return this.#remember(topic, { routes, until: this.#nextPattern - 1, weightEver: this.#weightEver })
  }

  #remember(topic: string, known: Remembered<Reader>): Remembered<Reader> {
    this.#evict(topic)
    this.#remembered.set(topic, known)
    this.#rememberedSize += sizeOf(topic, known)
    for (const oldest of this.#remembered.keys()) {
      if (this.#rememberedSize <= this.#rememberedMax) break
      this.#evict(oldest)
    }
    return known
  }

  #evict(topic: string): void {
    const known = this.#remembered.get(topic)
    if (known === undefined) return
    this.#remembered.delete(topic)
    this.#rememberedSize -= sizeOf(topic, known)
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
      this.#weight += matcher.weight
      this.#weightEver += matcher.weight
    }
    return route
  }

  #unroute(matcher: Matcher, reader: Reader): void {
    const key = routeKey(matcher)
    const route = this.#patterns.get(key)
    if (route === undefined) return
    route.readers.delete(reader)
    if (route.readers.size > 0) return
    // Remembered topics may still hold the route: they skip it and later filter it out. The compiled pattern goes at
    // once, or readers that come and go would fill the memory.
    route.matcher = null
    this.#patterns.delete(key)
    this.#weight -= matcher.weight
    if (this.#order.length > 2 * this.#patterns.size)
      this.#order = this.#order.filter(({ readers }) => readers.size > 0)
  }
}

type ParseUrl = (topic: string) => TopicUrl | null

interface PatternRoute<Reader> {
  /** The compiled pattern; null when nobody asks for it any more. */
  matcher: Matcher | null
  readonly number: number
  readonly readers: Set<Reader>
}

interface Remembered<Reader> {
  readonly routes: readonly PatternRoute<Reader>[]
  /** The number of the newest pattern that was evaluated for the topic. */
  readonly until: number
  /** The weight of all patterns up to that one. */
  readonly weightEver: number
}

function addLive<Reader>({ routes }: Remembered<Reader>, groups: ReadonlySet<Reader>[]): void {
  for (const { readers } of routes) if (readers.size > 0) groups.push(readers)
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

/** The size of a remembered topic: the number of its patterns, and 1 for 64 characters of its text. */
function sizeOf(topic: string, { routes }: Remembered<object>): number {
  return 1 + (topic.length >> 6) + routes.length
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
