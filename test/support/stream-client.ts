import type { Socket } from 'bun'
import { ChunkedBody } from '../../src/bench/client/chunked.ts'
import { EventReader, type ReceivedEvent } from './event-stream.ts'

/**
 * A subscriber on a plain socket: cheap enough for thousands, and able to stop reading, which no HTTP client
 * offers. Reads HTTP/1.1 with chunked bodies, as the hub answers streams.
 */
export class StreamClient {
  readonly #reader = new EventReader()
  readonly #decoder = new TextDecoder()
  readonly #opened = Promise.withResolvers<void>()
  readonly #closed = Promise.withResolvers<void>()
  readonly #over = Promise.withResolvers<void>()
  #socket: Socket | null = null
  readonly #body = new ChunkedBody()
  #head = Buffer.alloc(0)
  #isPaused = false
  status = 0
  headers = new Headers()
  isClosed = false
  /** Whether the answer is over: its last chunk has come, or the connection has ended. */
  hasEnded = false

  /** Resolves when the headers are there. Rejects when the connection ends before. */
  static async open(
    url: string,
    headers: Readonly<Record<string, string>> = {},
    method = 'GET',
  ): Promise<StreamClient> {
    const client = new StreamClient()
    const { hostname, port, pathname, search, host } = new URL(url)
    const fields = Object.entries({ Host: host, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`)
    await Bun.connect({
      hostname,
      port: Number(port),
      socket: {
        open: (socket) => {
          client.#socket = socket
          socket.write(`${method} ${pathname}${search} HTTP/1.1\r\n${fields.join('')}\r\n`)
        },
        data: (_, chunk) => client.#receive(chunk),
        close: () => client.#end(),
        error: () => client.#end(),
      },
    })
    await client.#opened.promise
    return client
  }

  get events(): readonly ReceivedEvent[] {
    return this.#reader.events
  }

  get ids(): readonly string[] {
    return this.events.map(({ id }) => id)
  }

  get lines(): readonly string[] {
    return this.#reader.lines
  }

  /** Resolves when the connection has ended, whoever ended it. */
  get closed(): Promise<void> {
    return this.#closed.promise
  }

  /** Resolves when the answer is over: a proxy may keep the connection. */
  get ended(): Promise<void> {
    return this.#over.promise
  }

  /** Stops reading: the kernel's buffers fill up, then the hub's. */
  pause(): void {
    this.#isPaused = true
    this.#socket?.pause()
  }

  resume(): void {
    this.#isPaused = false
    this.#socket?.resume()
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  close(): void {
    this.#socket?.terminate()
  }

  #receive(chunk: Buffer): void {
    const bytes = this.status === 0 ? this.#readHead(chunk) : chunk
    if (bytes === null || this.headers.get('transfer-encoding') !== 'chunked') return
    // Nothing but the last chunk is of size zero, and it comes in one piece.
    if (bytes.subarray(-5).toString('latin1') === '0\r\n\r\n') this.hasEnded = true
    this.#reader.push(this.#decoder.decode(this.#body.content(bytes), { stream: true }))
    if (this.hasEnded) this.#over.resolve()
  }

  /** Answers what follows the head, or null while it is not whole. */
  #readHead(chunk: Buffer): Buffer | null {
    this.#head = Buffer.concat([this.#head, chunk])
    const end = this.#head.indexOf('\r\n\r\n')
    if (end === -1) return null
    const [first = '', ...lines] = this.#head.subarray(0, end).toString('latin1').split('\r\n')
    this.status = Number(first.split(' ')[1])
    for (const line of lines) {
      const colon = line.indexOf(':')
      this.headers.append(line.slice(0, colon), line.slice(colon + 1).trim())
    }
    this.#opened.resolve()
    return this.#head.subarray(end + 4)
  }

  #end(): void {
    this.isClosed = true
    this.hasEnded = true
    this.#opened.reject(new Error('the connection ended before an answer'))
    this.#opened.promise.catch(() => {})
    this.#closed.resolve()
    this.#over.resolve()
  }
}
