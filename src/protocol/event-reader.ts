/** Reads an event stream as the HTML standard says, section 9.2.6: the counterpart of the hub's encoder. */

/** One dispatched event. */
export interface ReceivedEvent {
  /** The last event id at that moment: an event without one keeps the id before it. */
  readonly id: string
  readonly type: string
  readonly data: string
}

/** Turns the bytes of one response into events, wherever the chunks are cut. */
export class EventStreamParser {
  readonly #decoder = new TextDecoder()
  /** The text after the last whole line, in the pieces in which it arrived. */
  #partial: string[] = []
  #endedWithCr = false
  #lastId: string
  #id: string
  #type = ''
  #data: string[] = []
  #retryMs: number | null = null

  /** `lastId` is where the connection before this one ended. */
  constructor(lastId = '') {
    this.#lastId = lastId
    this.#id = lastId
  }

  /** The id with which the reader is to reconnect, or an empty text. */
  get lastId(): string {
    return this.#lastId
  }

  /** The reconnection time that the hub asked for, or null. */
  get retryMs(): number | null {
    return this.#retryMs
  }

  /** The events that these bytes complete. An event that the end of the stream cuts off never counts. */
  push(chunk: Uint8Array): readonly ReceivedEvent[] {
    const events: ReceivedEvent[] = []
    for (const line of this.#lines(this.#decoder.decode(chunk, { stream: true }))) {
      const event = line === '' ? this.#dispatch() : this.#field(line)
      if (event !== null) events.push(event)
    }
    return events
  }

  /** CRLF, LF and CR each end a line; a CRLF may be cut in two. */
  #lines(decoded: string): readonly string[] {
    if (decoded === '') return []
    const text = this.#endedWithCr && decoded.startsWith('\n') ? decoded.slice(1) : decoded
    this.#endedWithCr = decoded.endsWith('\r')
    const lines = text.split(/\r\n|\n|\r/)
    const rest = lines.pop() ?? ''
    const [first] = lines
    if (first !== undefined) {
      lines[0] = this.#partial.join('') + first
      this.#partial = []
    }
    if (rest !== '') this.#partial.push(rest)
    return lines
  }

  #field(line: string): null {
    const colon = line.indexOf(':')
    const name = colon === -1 ? line : line.slice(0, colon)
    const after = colon === -1 ? '' : line.slice(colon + 1)
    const value = after.startsWith(' ') ? after.slice(1) : after
    if (name === 'data') this.#data.push(value)
    else if (name === 'event') this.#type = value
    else if (name === 'id' && !value.includes('\0')) this.#id = value
    else if (name === 'retry' && /^[0-9]+$/.test(value)) this.#retryMs = Number(value)
    return null
  }

  #dispatch(): ReceivedEvent | null {
    this.#lastId = this.#id
    const [data, type] = [this.#data, this.#type]
    this.#data = []
    this.#type = ''
    if (data.length === 0) return null
    return { id: this.#lastId, type: type === '' ? 'message' : type, data: data.join('\n') }
  }
}
