import * as v from 'valibot'
import { EventStreamParser } from '../protocol/event-reader.ts'
import { encode } from '../protocol/event-stream.ts'
import { isProtocolString } from '../protocol/topic.ts'
import type { NewEntry } from './import.ts'
import type { StoredEntry } from './pages.ts'

/** One entry of the history as one line of JSON. */

/** A line that is no entry. The message completes the sentence "line 7 …" and shows no content. */
export class WrongLine extends Error {
  override readonly name = 'WrongLine'
}

/** The entry as a line, with its line break. Throws TypeError when its event is not UTF-8. */
export function formatLine({ id, topics, private: isPrivate, at, frame }: NewEntry): string {
  const event = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(frame)
  return `${JSON.stringify({ id, topics, private: isPrivate, at, event })}\n`
}

/** Reads a line back. Throws WrongLine. */
export function parseLine(text: string): NewEntry {
  const parsed = v.safeParse(schema, parseJson(text))
  if (!parsed.success) throw new WrongLine(explain(parsed.issues[0]))
  const { id, topics, at, event, ...line } = parsed.output
  const frame = new TextEncoder().encode(event)
  if (!isOneEvent(frame, event, id))
    throw new WrongLine('has an event that is not one whole event with its id')
  return { id, topics, private: line.private, at, frame }
}

/** Whether an entry that was read from a damaged file is as a hub stores them. */
export function isSound(entry: StoredEntry): boolean {
  try {
    parseLine(formatLine(entry))
    return true
  } catch (error) {
    if (error instanceof WrongLine || error instanceof TypeError) return false
    throw error
  }
}

const protocolText = v.pipe(
  v.string('is not a text'),
  v.nonEmpty('is empty'),
  v.check(isProtocolString, 'holds a forbidden character'),
)

const schema = v.strictObject({
  id: v.pipe(
    protocolText,
    v.check((id) => !id.startsWith('#') && id !== 'earliest', 'is reserved'),
  ),
  topics: v.pipe(v.array(protocolText, 'is not a list'), v.nonEmpty('is empty')),
  private: v.boolean('is neither true nor false'),
  at: v.pipe(
    v.number('is not a number'),
    v.safeInteger('is not a whole number'),
    v.minValue(0, 'is before 1970'),
  ),
  event: v.string('is not a text'),
})

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new WrongLine('is not JSON')
  }
}

function explain(issue: v.BaseIssue<unknown>): string {
  const [member, ...inside] = (issue.path ?? []).map(({ key }) => String(key))
  if (member === undefined) return 'is not an object'
  if (!(member in schema.entries)) return 'has a member that no entry has'
  const place = inside.length === 0 ? member : `${member}[${inside.join('][')}]`
  return issue.received === 'undefined' ? `has no ${place}` : `has a wrong ${place}: it ${issue.message}`
}

/** Whether the hub's own encoder makes the same event of the event's fields again, byte by byte. */
function isOneEvent(frame: Uint8Array, text: string, id: string): boolean {
  const parser = new EventStreamParser()
  const [event, ...others] = parser.push(frame)
  if (event === undefined || others.length > 0 || event.id !== id) return false
  const types = event.type === 'message' ? [null, 'message'] : [event.type]
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  return types.some((type) => {
    return decoder.decode(encode({ data: event.data, type, retryMs: parser.retryMs }, id)) === text
  })
}
