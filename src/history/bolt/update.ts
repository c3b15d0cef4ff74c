import * as v from 'valibot'
import { ProtocolError } from '../../protocol/error.ts'
import { encode } from '../../protocol/event-stream.ts'
import { type HubLocation, isProtocolString, parseTopic } from '../../protocol/topic.ts'
import type { NewEntry } from '../import.ts'
import type { Pair } from './bucket.ts'

/** Why an update of the other hub, or a part of it, is not taken over. Shown to operators, as it is. */
export type Omission =
  | 'subscription events'
  | 'ids that are reserved or hold forbidden characters'
  | 'updates without a topic that is allowed'
  | 'topics that are not allowed, of updates with others'
  | 'types that are not allowed'
  | 'retry times over 2147483647 ms'

/** An update as the other hub stored it. */
export interface StoredUpdate {
  readonly id: string
  readonly topics: readonly string[]
  readonly private: boolean
  readonly data: string
  /** Empty: none. */
  readonly type: string
  /** Milliseconds; zero: none. Above 2^53 it is not exact. */
  readonly retry: number
}

/** The id that a key ends with; the key need not be one of an update. */
export function idIn(key: Buffer): string {
  return key.subarray(POSITION_BYTES).toString('utf8')
}

/** Reads a key and its value; null when they are not an update. */
export function parseStored({ key, value }: Pair): StoredUpdate | null {
  if (key.length < POSITION_BYTES) return null
  const parsed = v.safeParse(schema, parseJson(value))
  if (!parsed.success) return null
  const { ID: id, Topics, Private, Data, Type, Retry } = parsed.output
  if (idIn(key) !== id) return null
  return { id, topics: Topics, private: Private, data: Data, type: Type, retry: Retry }
}

/**
 * The entry of this hub, or null when it is left out. `omit` is told of everything that is not taken over: what only
 * concerns a field leaves the rest of the update.
 */
export function toEntry(
  { id, type, retry, ...update }: StoredUpdate,
  at: number,
  hub: HubLocation,
  omit: (reason: Omission) => void,
): NewEntry | null {
  // The other hub published them itself: private, with one topic.
  if (update.private && update.topics.length === 1 && update.topics.some(isSubscriptionTopic)) {
    omit('subscription events')
    return null
  }
  // Fields of requests lose blanks at their ends, so no reader could come back with a blank id.
  if (id.trim() === '' || id === 'earliest' || id.startsWith('#') || !isProtocolString(id)) {
    omit('ids that are reserved or hold forbidden characters')
    return null
  }
  const topics = update.topics.filter((topic) => isAllowed(topic, hub))
  if (topics.length === 0) {
    omit('updates without a topic that is allowed')
    return null
  }
  if (topics.length < update.topics.length) omit('topics that are not allowed, of updates with others')
  const hasType = isProtocolString(type) && type !== 'mercure'
  if (!hasType) omit('types that are not allowed')
  const hasRetry = retry <= RETRY_MAX
  if (!hasRetry) omit('retry times over 2147483647 ms')
  const fields = {
    data: update.data,
    type: hasType && type !== '' ? type : null,
    retryMs: hasRetry && retry > 0 ? retry : null,
  }
  return { id, topics, private: update.private, at, frame: encode(fields, id) }
}

/** Milliseconds since the epoch that an id tells, or null: a version 7 UUID begins with them (RFC 9562 section 5.7). */
export function timeOf(id: string): number | null {
  const [, high = '', low = ''] = UUID_7.exec(id) ?? []
  return high === '' ? null : Number.parseInt(high + low, 16)
}

const UUID_7 = /^urn:uuid:([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i

/** Keys begin with the position of the update, in eight bytes. */
const POSITION_BYTES = 8
const RETRY_MAX = 2 ** 31 - 1

const schema = v.object({
  ID: v.string(),
  Topics: v.array(v.string()),
  Private: v.boolean(),
  Data: v.string(),
  Type: v.string(),
  Retry: v.pipe(v.number(), v.integer(), v.minValue(0)),
})

function isSubscriptionTopic(topic: string): boolean {
  return topic.startsWith('/.well-known/mercure/subscriptions/')
}

function isAllowed(topic: string, hub: HubLocation): boolean {
  if (topic === '') return false
  try {
    parseTopic(topic, hub)
    return true
  } catch (error) {
    if (error instanceof ProtocolError) return false
    throw error
  }
}

function parseJson(value: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(value))
  } catch {
    return null
  }
}
