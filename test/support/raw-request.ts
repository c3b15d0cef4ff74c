import { ChunkedBody } from '../../src/bench/client/chunked.ts'
import { type ReceivedEvent, readEvents } from './event-stream.ts'

/** Requests with exact bytes, which no HTTP client sends: repeated fields, odd targets, broken framing. */

export interface RawAnswer {
  readonly status: number
  readonly headers: Headers
  /** Empty for a stream and for HEAD. */
  readonly text: string
}

export interface RawRequest {
  readonly method?: string
  /** The request target as it goes on the wire, read as Latin-1 like everything else here. */
  readonly target: string
  /** In order, repeats kept. `Host` is added when it is not here. */
  readonly fields?: readonly (readonly [name: string, value: string])[]
  /** Sent as UTF-8 with its length, unless the fields say otherwise. */
  readonly body?: string
}

/** Text as its UTF-8 bytes, each of them one character: how a field value or a target holds it. */
export function utf8Bytes(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}

/**
 * Sends one request and resolves with the answer; of a stream it takes the head and hangs up.
 * Rejects when the connection ends before the answer is whole.
 */
export async function rawRequest(origin: string, request: RawRequest): Promise<RawAnswer> {
  const connection = await RawConnection.open(origin)
  connection.send(requestBytes(origin, request))
  try {
    return await connection.answer(request.method === 'HEAD')
  } finally {
    connection.close()
  }
}

/** The bytes of a request. */
export function requestBytes(origin: string, request: RawRequest): Buffer {
  const { method = 'GET', target, fields = [], body } = request
  const names = fields.map(([name]) => name.toLowerCase())
  const bytes = body === undefined ? Buffer.of() : Buffer.from(body, 'utf8')
  const added: [string, string][] = []
  if (!names.includes('host')) added.push(['Host', new URL(origin).host])
  const isFramed = names.includes('content-length') || names.includes('transfer-encoding')
  if (body !== undefined && !isFramed) added.push(['Content-Length', String(bytes.length)])
  const lines = [...added, ...fields].map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.concat([
    Buffer.from(`${method} ${target} HTTP/1.1\r\n${lines.join('')}\r\n`, 'latin1'),
    bytes,
  ])
}

/** A connection that sends what it is given and keeps what comes back. */
export class RawConnection {
  #socket: Awaited<ReturnType<typeof Bun.connect>> | null = null
  #received = Buffer.alloc(0)
  #unsent = Buffer.alloc(0)
  #changed = Promise.withResolvers<void>()
  isClosed = false

  static async open(origin: string): Promise<RawConnection> {
    const connection = new RawConnection()
    const { hostname, port } = new URL(origin)
    connection.#socket = await Bun.connect({
      hostname,
      port: Number(port),
      socket: {
        data: (_, chunk) => connection.#receive(chunk),
        drain: () => connection.send(Buffer.of()),
        end: () => connection.#end(),
        close: () => connection.#end(),
        error: () => connection.#end(),
      },
    })
    return connection
  }

  /** Everything that came, as Latin-1. */
  get received(): string {
    return this.#received.toString('latin1')
  }

  /** Bytes that the kernel has not taken yet. */
  get unsentBytes(): number {
    return this.#unsent.length
  }

  send(bytes: Uint8Array | string): void {
    this.#unsent = Buffer.concat([
      this.#unsent,
      typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes,
    ])
    if (this.isClosed || this.#unsent.length === 0) return
    const written = this.#socket?.write(this.#unsent) ?? 0
    this.#unsent = this.#unsent.subarray(Math.max(0, written))
  }

  /** Resolves with the first answer. Rejects when the connection ends before it is whole. */
  async answer(isHead = false): Promise<RawAnswer> {
    for (;;) {
      const answer = readAnswer(this.#received, isHead)
      if (answer !== null) return answer
      if (this.isClosed) throw new Error('the connection ended before the answer was whole')
      await this.#changed.promise
    }
  }

  /** The events of the stream that it answered with. */
  get events(): readonly ReceivedEvent[] {
    const head = this.#received.indexOf('\r\n\r\n')
    const content = new ChunkedBody().content(this.#received.subarray(head + 4))
    return head === -1 ? [] : readEvents(content.toString('utf8'))
  }

  /** Resolves when a chunked body has ended, or the connection. */
  async ended(): Promise<void> {
    while (!this.isClosed && !this.received.endsWith('\r\n0\r\n\r\n')) await this.#changed.promise
  }

  /** Resolves when the other side has closed, however. */
  async closed(): Promise<void> {
    while (!this.isClosed) await this.#changed.promise
  }

  /** Resets the connection. */
  close(): void {
    this.#socket?.terminate()
  }

  /** Says that nothing more will be sent, and goes on reading. */
  halfClose(): void {
    this.#socket?.shutdown()
  }

  #receive(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk])
    this.#change()
  }

  #end(): void {
    this.isClosed = true
    this.#change()
  }

  #change(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
  }
}

function readAnswer(bytes: Buffer, isHead: boolean): RawAnswer | null {
  const end = bytes.indexOf('\r\n\r\n')
  if (end === -1) return null
  const [first = '', ...lines] = bytes.subarray(0, end).toString('latin1').split('\r\n')
  const headers = new Headers()
  for (const line of lines) {
    const colon = line.indexOf(':')
    headers.append(line.slice(0, colon), line.slice(colon + 1).trim())
  }
  const status = Number(first.split(' ')[1])
  if (status === 100) return readAnswer(bytes.subarray(end + 4), isHead)
  const isStream = headers.get('content-type') === 'text/event-stream'
  const length = isHead || isStream ? 0 : Number(headers.get('content-length') ?? 0)
  if (bytes.length < end + 4 + length) return null
  return { status, headers, text: bytes.subarray(end + 4, end + 4 + length).toString('utf8') }
}
