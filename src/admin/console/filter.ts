import { ProtocolError } from '../../protocol/error.ts'
import { parseMatcher } from '../../protocol/matcher.ts'
import type { HubLocation } from '../../protocol/topic.ts'
import { Refusal } from './refusal.ts'

/** Whether an update with these topics is meant. */
export type TopicFilter = (topics: readonly string[]) => boolean

/** How the text of a filter is read: as a part of a topic, as one topic, or as a URL Pattern. */
export type FilterType = 'text' | 'exact' | 'urlpattern'

/**
 * The filter that a person typed; null: all updates. Throws a Refusal for a text that is too long and for one that is no
 * pattern, or that would be too heavy to be asked of every update.
 */
export function topicFilter(text: string, type: string, hub: HubLocation): TopicFilter | null {
  if (text === '') return null
  if (text.length > FILTER_MAX) throw new Refusal(400, `a filter has at most ${FILTER_MAX} characters`)
  if (type === 'text') return (topics) => topics.some((topic) => topic.includes(text))
  if (type !== 'exact' && type !== 'urlpattern') throw new Refusal(400, 'the type of the filter is not known')
  try {
    const matcher = parseMatcher(type, text, hub, WEIGHT_MAX)
    if (matcher.weight > WEIGHT_MAX) throw new Refusal(400, 'the filter is too costly')
    return (topics) => topics.some((topic) => matcher.test(topic))
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    throw new Refusal(400, `not a filter: ${error.message}`)
  }
}

const FILTER_MAX = 1000

/** An ordinary pattern weighs 4 to 10. */
const WEIGHT_MAX = 200
