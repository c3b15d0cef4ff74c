/** A reader of event streams for tests, written from the processing model of HTML 9.2.6 and not from ours. */

export interface ReceivedEvent {
  readonly id: string
  readonly type: string
  readonly data: string
  readonly retry: number | null
}

/** Feeds text in whatever pieces it comes and collects what a browser would dispatch. */
export class EventReader {
  readonly events: ReceivedEvent[] = []
  readonly lines: string[] = []
  #buffer = ''
  #lastId = ''
  #data: string[] | null = null
  #type = ''
  #retry: number | null = null

  push(text: string): void {
    this.#buffer += text
    for (;;) {
      const end = /\r\n|\n|\r(?=[^\n])/.exec(this.#buffer)
      if (end === null) return
      this.#line(this.#buffer.slice(0, end.index))
      this.#buffer = this.#buffer.slice(end.index + end[0].length)
    }
  }

  #line(line: string): void {
    this.lines.push(line)
    if (line === '') this.#dispatch()
    else if (!line.startsWith(':')) this.#field(line)
  }

  #field(line: string): void {
    const colon = line.indexOf(':')
    const name = colon === -1 ? line : line.slice(0, colon)
    const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (name === 'data') this.#data = [...(this.#data ?? []), value]
    if (name === 'event') this.#type = value
    if (name === 'id' && !value.includes('\0')) this.#lastId = value
    if (name === 'retry' && /^\d+$/.test(value)) this.#retry = Number(value)
  }

  #dispatch(): void {
    if (this.#data !== null) {
      const type = this.#type === '' ? 'message' : this.#type
      this.events.push({ id: this.#lastId, type, data: this.#data.join('\n'), retry: this.#retry })
    }
    this.#data = null
    this.#type = ''
    this.#retry = null
  }
}

/** The events of a whole stream. */
export function readEvents(text: string): ReceivedEvent[] {
  const reader = new EventReader()
  reader.push(text)
  return reader.events
}
