import type { DatedEntry, Entry } from '../../hub/transport.ts'
import { EventStreamParser } from '../../protocol/event-reader.ts'
import type { Payloads, ShownUpdate } from './answers.ts'

/** The parts of an entry that a list shows. Its frame may be the beginning of the whole, which has `bytes`. */
export interface Seen extends Pick<Entry, 'position' | 'id' | 'topics' | 'private' | 'frame'> {
  readonly at: number
  readonly bytes: number
}

/** The entry for a list: with as much of its frame as a list shows, so that nothing large is kept for it. */
export function seen({ position, id, topics, private: isPrivate, frame }: Entry, at: number): Seen {
  const start =
    frame.length <= LIST_FRAME_BYTES ? frame : (frame.slice(0, LIST_FRAME_BYTES) as Entry['frame'])
  return { position, id, topics, private: isPrivate, frame: start, at, bytes: frame.length }
}

/** As a list shows it: few topics and the beginning of the data. */
export function listed(update: Seen, payloads: Payloads): ShownUpdate {
  const shown = shownOf(update, payloads, LIST_DATA)
  const topics = update.topics.slice(0, LIST_TOPICS).map((topic) => cut(topic, LIST_TOPIC))
  return { ...shown, topics }
}

/** As the inspector shows it: with up to 64 KiB of data. `at`: milliseconds since the epoch. */
export function inspected(entry: DatedEntry, at: number, payloads: Payloads): ShownUpdate {
  return shownOf({ ...entry, at, bytes: entry.frame.length }, payloads, INSPECTED_DATA)
}

/** Whether the data of such an update is shown. */
export function isShown({ private: isPrivate }: Pick<Entry, 'private'>, payloads: Payloads): boolean {
  return payloads === 'all' || (payloads === 'public' && !isPrivate)
}

function shownOf(update: Seen, payloads: Payloads, dataMax: number): ShownUpdate {
  const { position, id, at, topics, bytes } = update
  const { type, data } = contentOf(update)
  const isReadable = isShown(update, payloads)
  return {
    p: position,
    id,
    at: Math.round(at),
    topics,
    topicCount: topics.length,
    type,
    private: update.private,
    bytes,
    data: isReadable ? data.slice(0, dataMax) : null,
    truncated: isReadable && (data.length > dataMax || update.frame.length < bytes),
  }
}

/** Reads a frame, or the beginning of one, with the parser that reads every event stream. */
function contentOf({ frame }: Seen): { readonly type: string | null; readonly data: string } {
  const parser = new EventStreamParser()
  const event = parser.push(frame)[0] ?? parser.push(END)[0]
  if (event === undefined) return { type: null, data: '' }
  // The parser calls an event without a type by the name that browsers give it; the encoder puts a type first.
  const hasType = frame[0] === EVENT
  return { type: hasType ? event.type : null, data: event.data }
}

function cut(text: string, max: number): string {
  return text.length > max ? `${text.slice(0, max)}…` : text
}

/** The first byte of the field `event`. */
const EVENT = 0x65
const END = new TextEncoder().encode('\n\n')

/** The type and the id stand before the data: their limits, and the beginning of the data. */
const LIST_FRAME_BYTES = 16 * 1024
const LIST_DATA = 200
const LIST_TOPICS = 10
const LIST_TOPIC = 500
const INSPECTED_DATA = 64 * 1024
