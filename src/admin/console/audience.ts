import type { Subscriber } from '../../hub/subscriber.ts'
import { mayReadInSteps } from '../../protocol/grant.ts'
import { parseTopic } from '../../protocol/topic.ts'
import { parseTopicUrl } from '../../protocol/url-pattern/pattern.ts'
import type { Work } from '../../protocol/work.ts'
import type { Audience } from './answers.ts'
import { Refusal } from './refusal.ts'
import type { ConsoleSources } from './sources.ts'

/** Finds the readers of an update that nobody has published. Throws a Refusal for topics that are none. */
export async function audienceOf(
  { hub, location, drive }: Pick<ConsoleSources, 'hub' | 'location' | 'drive'>,
  written: readonly string[],
  isPrivate: boolean,
): Promise<Audience> {
  const topics = written.map((text) => {
    try {
      return parseTopic(text, location)
    } catch (error) {
      throw new Refusal(400, error instanceof Error ? error.message : 'not a topic')
    }
  })
  const urls = topics.map((topic) => parseTopicUrl(topic, location))
  return await drive(look())

  function* look(): Work<Audience> {
    const readers = yield* readersIn(yield* hub.audience(topics))
    let permitted = 0
    const refused: { matcher: string; why: string }[] = []
    for (const reader of readers) {
      yield
      if (!isPrivate || (yield* mayReadInSteps(reader.identity, topics, urls))) permitted++
      else if (refused.length < EXAMPLES) refused.push(refusalOf(reader))
    }
    return { matching: readers.size, permitted, refused }
  }
}

/** The number of live readers of a topic, each counted once. */
export function* countReaders(hub: ConsoleSources['hub'], topic: string): Work<number> {
  const groups = yield* hub.audience([topic])
  return groups.length === 1 ? (groups[0]?.size ?? 0) : (yield* readersIn(groups)).size
}

function* readersIn(groups: readonly ReadonlySet<Subscriber>[]): Work<ReadonlySet<Subscriber>> {
  const readers = new Set<Subscriber>()
  let seen = 0
  for (const group of groups) {
    for (const reader of group) {
      readers.add(reader)
      if (++seen % STEP === 0) yield
    }
  }
  return readers
}

function refusalOf({ identity, matchers }: Subscriber): Audience['refused'][number] {
  const hasGrants = identity.grants.some(({ subscribe }) => subscribe)
  return {
    matcher: (matchers[0]?.pattern ?? '').slice(0, 500),
    why: hasGrants ? 'no grant of its token covers a topic' : 'its token grants no private updates',
  }
}

const EXAMPLES = 20
const STEP = 1000
