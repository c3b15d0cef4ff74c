import { type Identity, mayRead, mayReadInSteps } from '../protocol/grant.ts'
import { isLight, stepsOf } from '../protocol/matcher.ts'
import type { TopicUrl } from '../protocol/url-pattern/pattern.ts'
import type { Work } from '../protocol/work.ts'
import type { Routing } from './routing.ts'
import type { Subscriber } from './subscriber.ts'
import type { Entry } from './transport.ts'

/** The readers who get an entry. A reader may be in several of the groups. */
export interface Audience {
  readonly groups: readonly Iterable<Subscriber>[]
  /** Whether a reader of the groups may read the entry; null: everybody may. */
  readonly permitted: ((identity: Identity) => boolean) | null
}

/**
 * The search for the readers of one entry. Most searches are over at once. Where a topic comes for the first time among
 * very many patterns, or grants are as heavy as they may be, the search goes on in later turns; a reader who joins
 * meanwhile begins after the entry, and one who leaves takes nothing more.
 */
export class Search {
  readonly entry: Entry
  readonly #work: Work<Audience> | null
  #audience: Audience | null

  /** `identityWeight`: the weight of the identities of all readers, each counted once for each of its readers. */
  constructor(
    entry: Entry,
    routing: Routing<Subscriber>,
    identityWeight: number,
    parseUrl: (topic: string) => TopicUrl | null,
  ) {
    this.entry = entry
    const isShort = routing.isShort(entry.topics) && (!entry.private || isLight(identityWeight, entry.topics))
    this.#work = isShort ? null : searchInSteps(entry, routing, parseUrl)
    this.#audience = isShort ? search(entry, routing, parseUrl) : null
  }

  /** Goes on with the search, and asks after each step whether it is time to stop. Null: the search is not over. */
  run(isOver: () => boolean): Audience | null {
    while (this.#audience === null && this.#work !== null) {
      const step = this.#work.next()
      if (step.done === true) this.#audience = step.value
      else if (isOver()) break
    }
    return this.#audience
  }
}

type ParseUrl = (topic: string) => TopicUrl | null

function search(entry: Entry, routing: Routing<Subscriber>, parseUrl: ParseUrl): Audience {
  const groups = routing.find(entry.topics, parseUrl)
  return { groups, permitted: entry.private ? permission(entry, parseUrl) : null }
}

function* searchInSteps(entry: Entry, routing: Routing<Subscriber>, parseUrl: ParseUrl): Work<Audience> {
  const groups = yield* routing.findInSteps(entry.topics, parseUrl)
  if (!entry.private) return { groups, permitted: null }
  return { groups: [yield* permittedReaders(entry, groups, parseUrl)], permitted: null }
}

/** The readers who may read a private entry. The connections of a token share an identity, which is asked once. */
function* permittedReaders(
  entry: Entry,
  groups: readonly ReadonlySet<Subscriber>[],
  parseUrl: ParseUrl,
): Work<readonly Subscriber[]> {
  const urls = entry.topics.map(parseUrl)
  const known = new Map<Identity, boolean>()
  const readers: Subscriber[] = []
  const share = stepsOf(1, entry.topics)
  let steps = 0
  for (const group of groups) {
    for (const reader of group) {
      if (entry.position <= reader.after) continue
      const { identity } = reader
      let isPermitted = known.get(identity)
      if (isPermitted === undefined) {
        const more = identity.weight * share
        steps += more
        if (steps > 1) {
          steps = more
          yield
        }
        isPermitted =
          more > 1
            ? yield* mayReadInSteps(identity, entry.topics, urls)
            : mayRead(identity, entry.topics, urls)
        known.set(identity, isPermitted)
      }
      if (isPermitted) readers.push(reader)
    }
  }
  return readers
}

/** The connections of one token share an identity, so each is asked once per entry. */
function permission(entry: Entry, parseUrl: ParseUrl): (identity: Identity) => boolean {
  const known = new Map<Identity, boolean>()
  const urls = entry.topics.map(parseUrl)
  return (identity) => {
    let permitted = known.get(identity)
    if (permitted === undefined) {
      permitted = mayRead(identity, entry.topics, urls)
      known.set(identity, permitted)
    }
    return permitted
  }
}
