import { ChunkedBody } from './chunked.ts'
import { connect } from './connect.ts'
import { EventCounter, type Tally } from './events.ts'
import { STAMP_LENGTH, stampedMs } from './stamp.ts'
import type { Target } from './target.ts'

export interface ReaderOptions {
  readonly target: Target
  /** The whole request. */
  readonly request: string
  /** The least length of an event's data. */
  readonly dataBytes: number
  readonly tally: Tally
  /** Whether the delivery time of each event is taken. */
  readonly isTimed: boolean
}

/**
 * One subscriber on a plain socket. Takes HTTP/1.1 apart only as far as counting events needs: nothing is
 * allocated per event, so that thousands of them cost less than the hub does.
 */
export class Reader {
  readonly #options: ReaderOptions
  readonly #counter: EventCounter
  readonly #opened = Promise.withResolvers<number>()
  readonly #closed = Promise.withResolvers<void>()
  #socket: Bun.Socket | null = null
  /** The head of the answer until it is whole, then null. */
  #head: string | null = ''
  /** Null where the body has no framing. */
  #body: ChunkedBody | null = new ChunkedBody()

  private constructor(options: ReaderOptions) {
    this.#options = options
    this.#counter = new EventCounter(options.dataBytes)
  }

  /** Resolves with the reader and the status of the answer. Rejects when the connection ends before it. */
  static async open(options: ReaderOptions): Promise<{ reader: Reader; status: number }> {
    const reader = new Reader(options)
    reader.#socket = await connect(options.target, {
      open: (socket) => void socket.write(options.request),
      data: (_, chunk) => reader.#receive(chunk),
      close: () => reader.#end(),
    })
    return { reader, status: await reader.#opened.promise }
  }

  /** Resolves when either side has ended the connection. */
  get closed(): Promise<void> {
    return this.#closed.promise
  }

  /** Ends the sending half of the connection, which tells the hub that the subscriber is gone. */
  leave(): void {
    this.#socket?.shutdown()
  }

  close(): void {
    this.#socket?.terminate()
  }

  #receive(chunk: Buffer): void {
    const from = this.#head === null ? 0 : this.#readHead(chunk)
    if (from === -1) return
    const now = performance.now()
    const onMark = this.#options.isTimed ? (at: number) => this.#time(chunk, at, now) : null
    const events = this.#readBody(chunk, from, onMark)
    if (events > 0) this.#options.tally.add(events, now)
  }

  /** Where the body begins in the piece, or -1 when the head goes on. */
  #readHead(chunk: Buffer): number {
    const before = this.#head ?? ''
    const head = before + chunk.toString('latin1')
    const end = head.indexOf('\r\n\r\n')
    this.#head = end === -1 ? head : null
    if (end === -1) return -1
    const fields = head.slice(0, end)
    if (!/\r\ntransfer-encoding: *chunked/i.test(fields)) this.#body = null
    this.#opened.resolve(Number(fields.slice(9, 12)))
    return end + 4 - before.length
  }

  #readBody(chunk: Buffer, from: number, onMark: ((at: number) => void) | null): number {
    const body = this.#body
    if (body === null) return this.#counter.count(chunk, from, chunk.length, onMark)
    let events = 0
    for (let at = body.start(chunk, from); at < chunk.length; ) {
      const end = body.end(chunk, at)
      events += this.#counter.count(chunk, at, end, onMark)
      at = body.start(chunk, end)
    }
    return events
  }

  #time(chunk: Buffer, at: number, now: number): void {
    const from = chunk[at] === SPACE ? at + 1 : at
    // A stamp that is cut in two is left out: it is one of many.
    if (from + STAMP_LENGTH > chunk.length) return
    this.#options.tally.latency?.record(1000 * (now - stampedMs(chunk, from)))
  }

  #end(): void {
    this.#options.tally.ended++
    this.#opened.reject(new Error('the connection ended before an answer'))
    this.#closed.resolve()
  }
}

const SPACE = 0x20
