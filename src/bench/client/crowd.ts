import { ChunkedBody } from './chunked.ts'
import { subscriptionRequest } from './target.ts'

/**
 * A subscriber that is cheap enough for thousands on one core: it keeps no event, only their number, a digest
 * of their ids in order, and the last id. When its connection ends it comes back with that id, as an event
 * source does. Understands events whose id is `n` and a number and whose data holds no blank line.
 */
export class CrowdReader {
  readonly #url: URL
  readonly #order: number[] | null
  #socket: Bun.Socket<CrowdReader> | null = null
  #isHeld = false
  #isStopped = false
  #answer = ''
  #head = ''
  #body = new ChunkedBody()
  #rest: Buffer = nothing
  #isInside = false
  #number = 0
  /** Whole events received, over all connections. */
  count = 0
  /** The numbers received, in order: equal for two readers that received the same. */
  digest = 0
  lastId: string | null
  /** Answers to requests: the status of each, and how often. */
  readonly statuses = new Map<number, number>()
  /** The seconds that the last refusal asked the reader to wait; null after an answer with events. */
  retryAfter: number | null = null

  /** `lastId`: the cursor of the first request, or null. `order`: takes the numbers as they come, or null. */
  constructor(url: string, lastId: string | null = null, order: number[] | null = null) {
    this.#url = new URL(url)
    this.lastId = lastId
    this.#order = order
  }

  get isOpen(): boolean {
    return this.#answer.startsWith('HTTP/1.1 200')
  }

  /** Connects. Resolves when the request is sent. */
  async connect(): Promise<void> {
    const { hostname, port } = this.#url
    // Not by `connect`: here all readers share their handlers.
    this.#socket = await Bun.connect<CrowdReader>({
      hostname,
      port: Number(port),
      data: this,
      socket: handlers,
    })
    if (this.#isHeld) this.#socket.pause()
  }

  /** Stops reading, across connections, until `resume`. */
  pause(): void {
    this.#isHeld = true
    this.#socket?.pause()
  }

  resume(): void {
    this.#isHeld = false
    this.#socket?.resume()
  }

  /** Leaves for good. */
  stop(): void {
    this.#isStopped = true
    this.#socket?.terminate()
    this.#socket = null
  }

  request(): string {
    const { pathname, search } = this.#url
    const cursor = this.lastId === null ? {} : { 'Last-Event-ID': this.lastId }
    return subscriptionRequest(this.#url, `${pathname}${search}`, cursor)
  }

  receive(chunk: Buffer): void {
    const bytes = this.isOpen ? chunk : this.#readHead(chunk)
    if (bytes === null) return
    const events = this.#body.content(bytes)
    const whole = this.#rest.length === 0 ? events : Buffer.concat([this.#rest, events])
    this.#rest = Buffer.from(whole.subarray(this.#readEvents(whole)))
  }

  /** The connection is gone: the reader forgets the bytes of an event that did not end. */
  end(): void {
    this.#socket = null
    this.#answer = ''
    this.#head = ''
    this.#rest = nothing
    this.#body = new ChunkedBody()
    this.#isInside = false
    // Readers that were sent away together do not come back together.
    const ms = this.retryAfter === null ? COME_BACK_MS : this.retryAfter * 1000 * (1 + Math.random())
    if (!this.#isStopped) setTimeout(() => this.#comeBack(), ms)
  }

  #comeBack(): void {
    if (!this.#isStopped) this.connect().catch(() => this.end())
  }

  /** Answers the bytes after the head, or null while the head is not whole or when there are no events. */
  #readHead(chunk: Buffer): Buffer | null {
    this.#head += chunk.toString('latin1')
    const end = this.#head.indexOf('\r\n\r\n')
    if (end === -1) return null
    this.#answer = this.#head.slice(0, end)
    const body = Buffer.from(this.#head.slice(end + 4), 'latin1')
    this.#head = ''
    const status = Number(this.#answer.slice(9, 12))
    this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1)
    if (status === 200) {
      this.retryAfter = null
      return body
    }
    this.retryAfter = Number(/\r\nretry-after: (\d+)/i.exec(this.#answer)?.[1] ?? 1)
    this.#socket?.terminate()
    return null
  }

  /** Takes whole events and answers where the first one begins that is not whole. */
  #readEvents(bytes: Buffer): number {
    let at = 0
    for (;;) {
      if (!this.#isInside) {
        const id = bytes.indexOf(ID, at)
        const line = id === -1 ? -1 : bytes.indexOf(10, id + 1)
        if (line === -1) return id === -1 ? Math.max(at, bytes.length - ID.length + 1) : id
        this.#number = decimal(bytes, id + ID.length, line)
        this.#isInside = true
        at = line
      }
      const end = bytes.indexOf('\n\n', at)
      if (end === -1) return Math.max(at, bytes.length - 1)
      this.#take(this.#number)
      at = end + 1
    }
  }

  #take(number: number): void {
    this.#isInside = false
    this.count++
    this.digest = (Math.imul(this.digest, 31) + number) | 0
    this.lastId = `n${number}`
    this.#order?.push(number)
  }
}

/** Opens `count` readers, a hundred at a time. Resolves when all are answered, and stops all when one fails. */
export async function openCrowd(count: number, make: (index: number) => CrowdReader): Promise<CrowdReader[]> {
  const crowd = Array.from({ length: count }, (_, index) => make(index))
  try {
    for (let from = 0; from < count; from += 100) {
      const some = crowd.slice(from, from + 100)
      await Promise.all(some.map((reader) => reader.connect()))
      const end = performance.now() + OPENING_MS
      while (some.some((reader) => !reader.isOpen)) {
        if (performance.now() > end) throw new Error('the readers are not answered')
        await Bun.sleep(5)
      }
    }
    return crowd
  } catch (error) {
    for (const reader of crowd) reader.stop()
    throw error
  }
}

const ID = Buffer.from('\nid: n')
const nothing = Buffer.alloc(0)
const COME_BACK_MS = 300
/** The time for a hundred readers that are opened at once. */
const OPENING_MS = 60_000

const handlers = {
  open: (socket: Bun.Socket<CrowdReader>) => {
    socket.write(socket.data.request())
  },
  data: (socket: Bun.Socket<CrowdReader>, chunk: Buffer) => socket.data.receive(chunk),
  close: (socket: Bun.Socket<CrowdReader>) => socket.data.end(),
  error: () => {},
}

function decimal(bytes: Buffer, start: number, end: number): number {
  let value = 0
  for (let at = start; at < end; at++) value = value * 10 + (bytes[at] ?? 48) - 48
  return value
}
