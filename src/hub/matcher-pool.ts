import { ProtocolError } from '../protocol/error.ts'
import type { Identity } from '../protocol/grant.ts'
import { type Matcher, parseMatcher, type WrittenMatcher } from '../protocol/matcher.ts'
import type { HubLocation } from '../protocol/topic.ts'
import type { Work } from '../protocol/work.ts'

/**
 * The matchers of all streams, and their weight together with that of the grants of the tokens that were shown. A
 * stream that asks for a matcher of another stream gets the same one: nothing is compiled or counted twice.
 *
 * Life of a matcher: `compile`, then `hold` for as long as a stream has it, then `release`. The weight bounds memory,
 * and the cost of a topic that comes for the first time: with all 300,000 of the default in expressions that are made
 * to be slow, 40 ms of slices for a topic of 40 characters. The same holds for a private update and the grants.
 */
export class MatcherPool {
  readonly #location: HubLocation
  /** The matchers in use, by type and pattern. Matchers that weigh nothing are not here. */
  readonly #held = new Map<string, Map<string, Held>>()
  readonly #identities = new Map<Identity, number>()
  #weight = 0
  /** The limit on the weight of all, except for streams that add little. It may be set while streams are open. */
  weightMax: number

  constructor(location: HubLocation, weightMax: number) {
    this.#location = location
    this.weightMax = weightMax
  }

  /** The weight of all matchers and tokens in use, each counted once. */
  get weight(): number {
    return this.#weight
  }

  /**
   * Compiles matchers that were checked, one at a step. Throws `invalid-matcher`, and `matchers-too-heavy` when they
   * weigh more than `weightMax` together.
   */
  *compile(written: readonly WrittenMatcher[], weightMax: number): Work<readonly Matcher[]> {
    const matchers: Matcher[] = []
    let weight = 0
    for (const one of written) {
      const known = this.#held.get(one.type)?.get(one.pattern)
      const matcher = known?.matcher ?? this.#parse(one, weightMax)
      weight += matcher.weight
      if (weight > weightMax) {
        throw new ProtocolError('matchers-too-heavy', `the matchers of a request weigh at most ${weightMax}`)
      }
      matchers.push(matcher)
      // A matcher without weight takes no time and is not worth a look at the clock.
      if (known === undefined && matcher.weight > 0) yield
    }
    return matchers
  }

  /**
   * Counts the matchers and the token of a stream, and answers the matchers that the stream is to use and to give back
   * to `release`, once. Throws `too-many-patterns` when the limit is reached. It refuses no stream that adds little, so
   * that few heavy ones cannot keep many ordinary ones out: their number has a limit of its own.
   */
  hold(matchers: readonly Matcher[], identity: Identity): readonly Matcher[] {
    const added = this.#addedBy(matchers, identity)
    if (added > LITTLE_WEIGHT && this.#weight + added > this.weightMax) {
      throw new ProtocolError('too-many-patterns', 'the patterns of all connections weigh too much')
    }
    this.#holdIdentity(identity)
    return matchers.some(({ weight }) => weight > 0)
      ? matchers.map((each) => this.#holdMatcher(each))
      : matchers
  }

  release(matchers: readonly Matcher[], identity: Identity): void {
    for (const matcher of matchers) if (matcher.weight > 0) this.#releaseMatcher(matcher)
    const holders = this.#identities.get(identity)
    if (holders === undefined) return
    if (holders > 1) this.#identities.set(identity, holders - 1)
    else {
      this.#identities.delete(identity)
      this.#weight -= identity.weight
    }
  }

  #parse({ type, pattern, compile }: WrittenMatcher, weightMax: number): Matcher {
    return compile === undefined ? parseMatcher(type, pattern, this.#location, weightMax) : compile(weightMax)
  }

  #addedBy(matchers: readonly Matcher[], identity: Identity): number {
    let added = this.#identities.has(identity) ? 0 : identity.weight
    for (const { type, pattern, weight } of matchers) {
      if (weight > 0 && !this.#held.get(type)?.has(pattern)) added += weight
    }
    return added
  }

  #holdIdentity(identity: Identity): void {
    if (identity.weight === 0) return
    const holders = this.#identities.get(identity) ?? 0
    this.#identities.set(identity, holders + 1)
    if (holders === 0) this.#weight += identity.weight
  }

  #holdMatcher(matcher: Matcher): Matcher {
    const { type, pattern, weight } = matcher
    if (weight === 0) return matcher
    let ofType = this.#held.get(type)
    if (ofType === undefined) {
      ofType = new Map()
      this.#held.set(type, ofType)
    }
    const held = ofType.get(pattern)
    if (held !== undefined) {
      held.holders++
      return held.matcher
    }
    ofType.set(pattern, { matcher, holders: 1 })
    this.#weight += weight
    return matcher
  }

  #releaseMatcher({ type, pattern, weight }: Matcher): void {
    const ofType = this.#held.get(type)
    const held = ofType?.get(pattern)
    if (held === undefined || --held.holders > 0) return
    ofType?.delete(pattern)
    this.#weight -= weight
  }
}

/** The weight up to which a stream adds little: about ten ordinary URL patterns. */
const LITTLE_WEIGHT = 50

interface Held {
  readonly matcher: Matcher
  holders: number
}
