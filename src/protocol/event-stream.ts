/**
 * The event stream format of the HTML standard, section 9.2.6, as bytes. The one encoder of the hub:
 * it makes exactly one event of every publication (SUB-78).
 */

declare const frame: unique symbol

/** The bytes of one or more whole events. Shared by every subscriber, so never written to. */
export type Frame = Uint8Array & { readonly [frame]: true }

/** The content of an event on the wire. */
export interface EventFields {
  readonly data: string
  /** Absent when null or empty (SUB-72). */
  readonly type: string | null
  readonly retryMs: number | null
}

const encoder = new TextEncoder()

/** One event with its id. Fields other than the data must be free of line breaks: the parsers refuse them. */
export function encode(fields: EventFields, id: string): Frame {
  let text = ''
  if (fields.type !== null && fields.type !== '') text += `event: ${fields.type}\n`
  if (fields.retryMs !== null) text += `retry: ${fields.retryMs}\n`
  text += `id: ${id}\ndata: ${dataLines(fields.data)}\n\n`
  return encoder.encode(text) as Uint8Array as Frame
}

/** A comment of one line, which keeps a silent connection open (SUB-85). */
export const heartbeat: Frame = bytes(':\n')

/** Sets the reconnection time of the reader, in milliseconds (SUB-86). */
export function encodeRetry(retryMs: number): Frame {
  return bytes(`retry: ${retryMs}\n\n`)
}

/** Frames after each other in one piece. The parts are copied. */
export function concat(frames: readonly Frame[], length: number): Frame {
  const whole = new Uint8Array(length)
  let offset = 0
  for (const part of frames) {
    whole.set(part, offset)
    offset += part.length
  }
  return whole as Frame
}

function bytes(text: string): Frame {
  return encoder.encode(text) as Uint8Array as Frame
}

/** CRLF, CR and LF each end a line; nothing else does (SUB-74). */
function dataLines(data: string): string {
  if (!data.includes('\n') && !data.includes('\r')) return data
  return data.replace(/\r\n|\r|\n/g, '\ndata: ')
}
