import type { TopicPage } from './answers.ts'
import { countReaders } from './audience.ts'
import type { Feeds } from './feeds.ts'
import type { ConsoleSources } from './sources.ts'

/** Asks for the topics, which the hub counts from now on for as long as somebody asks. */
export async function topicPage(sources: ConsoleSources, feeds: Feeds): Promise<TopicPage> {
  const { hub, drive, transport, wall, about } = sources
  const { topics, since } = feeds.hotTopics()
  const seconds = Math.max(1, (wall() - since) / 1000)
  const shown = topics.hottest(SHOWN)
  const hottest: TopicPage['hottest'][number][] = []
  for (const { topic, count, bytes, updates } of shown) {
    const readers = await drive(countReaders(hub, topic))
    hottest.push({
      topic: topic.slice(0, 500),
      perSecond: count / seconds,
      readers,
      bytes: Math.round(bytes / updates),
    })
  }
  const { rules = [] } = await transport.stats()
  const { counted, displaced } = topics.size
  return {
    since,
    counted: topics.updates,
    others: counted - shown.length + displaced,
    hottest,
    rules: about().rules.map((rule, at) => ({
      ...rule,
      rows: rules[at]?.rows ?? 0,
      bytes: rules[at]?.bytes ?? 0,
    })),
  }
}

const SHOWN = 30
