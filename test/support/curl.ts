import { EventReader, type ReceivedEvent } from './event-stream.ts'

/** A stream that curl reads: the client that every protocol version and every kind of socket has. */
export class CurlStream {
  readonly #reader = new EventReader()
  readonly #child
  /** The status line and the fields, as they came. */
  head = ''
  isClosed = false

  /** Adds to the arguments what makes curl print everything at once. Certificates are not verified. */
  constructor(args: readonly string[]) {
    this.#child = Bun.spawn(['curl', '-sNik', ...args], { stdio: ['ignore', 'pipe', 'ignore'] })
    void this.#read(this.#child.stdout)
  }

  get events(): readonly ReceivedEvent[] {
    return this.#reader.events
  }

  get lines(): readonly string[] {
    return this.#reader.lines
  }

  get ids(): readonly string[] {
    return this.events.map(({ id }) => id)
  }

  /** Resolves with the exit code of curl: 0 after a clean end of the stream. */
  get ended(): Promise<number> {
    return this.#child.exited
  }

  close(): void {
    this.#child.kill()
  }

  async #read(output: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder()
    let text = ''
    for await (const chunk of output) {
      text += decoder.decode(chunk, { stream: true })
      if (this.head === '') {
        const end = text.indexOf('\r\n\r\n')
        if (end === -1) continue
        this.head = text.slice(0, end)
        text = text.slice(end + 4)
      }
      this.#reader.push(text)
      text = ''
    }
    this.isClosed = true
  }
}
