import type { Entry, Position } from '../../hub/transport.ts'
import type { Frame } from '../../protocol/event-stream.ts'
import type { Envelope } from '../../protocol/update.ts'

/**
 * An entry as the server keeps it: its id, topics and whether it is private as a line of JSON, then its frame. The server
 * looks at neither.
 */

/** An envelope as it is stored. */
export function packEntry(envelope: Envelope): Buffer {
  return Buffer.concat([headerOf(envelope), envelope.frame])
}

/** The entry at this position; its frame is a view of the bytes. Throws a plain Error for bytes that are none. */
export function unpackEntry(packed: Buffer, position: Position): Entry {
  const end = packed.indexOf(LINE_FEED)
  const { id, topics, isPrivate } = parseHeader(packed.toString('utf8', 0, Math.max(0, end)))
  const frame = new Uint8Array(packed.buffer, packed.byteOffset + end + 1, packed.length - end - 1) as Frame
  return { id, topics, private: isPrivate, frame, position }
}

/** The header of a stored entry. Throws a plain Error for a text that is none. */
export function parseHeader(text: string): Header {
  const [id, topics, isPrivate]: unknown[] = parseArray(text)
  if (typeof id !== 'string' || !isTexts(topics)) throw new Error('the log holds an entry that no hub wrote')
  return { id, topics, isPrivate: isPrivate === 1 }
}

/** The parts of an entry that are not its frame. */
export interface Header {
  readonly id: string
  readonly topics: readonly string[]
  readonly isPrivate: boolean
}

/**
 * The cost of an entry on the server, in bytes: its text, its places in the order and under its id and, when it belongs to
 * a rule, its places in the groups of that. The memory that the server counts is 0.6 to 1.2 times that.
 */
export function redisBytes(envelope: Envelope, isRuled = false): number {
  return sizeOf(envelope.id, headerOf(envelope).length, envelope.frame.length, isRuled)
}

/** The same of a stored entry with a header of this text. */
export function storedBytes(id: string, headerText: string, frameBytes: number, isRuled: boolean): number {
  return sizeOf(id, Buffer.byteLength(headerText) + 1, frameBytes, isRuled)
}

/** The cost of the place of an entry that a rule dropped, in bytes. */
export function redisPlaceBytes(id: string): number {
  return 2 * Buffer.byteLength(id) + PLACE_OVERHEAD
}

/** Bytes of a place without its id. Less than those of an entry, so that to drop one never takes room. */
export const PLACE_OVERHEAD = 260

const ENTRY_OVERHEAD = 320
const RULED_OVERHEAD = 450
const LINE_FEED = 10

function sizeOf(id: string, headerBytes: number, frameBytes: number, isRuled: boolean): number {
  const ruled = isRuled ? RULED_OVERHEAD : 0
  return headerBytes + frameBytes + 2 * Buffer.byteLength(id) + ENTRY_OVERHEAD + ruled
}

function headerOf({ id, topics, private: isPrivate }: Envelope): Buffer {
  return Buffer.from(`${JSON.stringify([id, topics, isPrivate ? 1 : 0])}\n`)
}

function parseArray(text: string): unknown[] {
  const parsed: unknown = JSON.parse(text)
  return Array.isArray(parsed) ? parsed : []
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string')
}
