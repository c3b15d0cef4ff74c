import { readFileSync } from 'node:fs'
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2'
import { CrowdReader, openCrowd } from '../../src/bench/client/crowd.ts'
import { type RunningHub, until } from './binary.ts'

/**
 * 20,000 subscribers of one topic: 19,000 connections, and 1,000 streams of HTTP/2 on five connections, so that
 * a process that may open 20,000 files can be both ends of it. Updates are to have the ids `n1`, `n2`, ….
 */
export class Crowd {
  readonly #readers: readonly CrowdReader[]
  readonly #sessions: readonly ClientHttp2Session[]
  readonly #streams: readonly StreamReader[]

  private constructor(
    readers: readonly CrowdReader[],
    sessions: readonly ClientHttp2Session[],
    streams: readonly StreamReader[],
  ) {
    this.#readers = readers
    this.#sessions = sessions
    this.#streams = streams
  }

  /** Resolves when each has the head of its answer. */
  static async open({ url, origin }: RunningHub, topic: string): Promise<Crowd> {
    const target = `${url}?match=${encodeURIComponent(topic)}`
    const readers = await openCrowd(CONNECTIONS, () => new CrowdReader(target))
    const sessions = Array.from({ length: SESSIONS }, () => connect(origin))
    const { pathname, search } = new URL(target)
    const streams = sessions.flatMap((session) =>
      Array.from({ length: STREAMS / SESSIONS }, () => new StreamReader(session, pathname + search)),
    )
    const crowd = new Crowd(readers, sessions, streams)
    try {
      await until('every stream', () => streams.every(({ isOpen }) => isOpen), 60_000)
      return crowd
    } catch (error) {
      crowd.leave()
      throw error
    }
  }

  static readonly size = 20_000

  /** Whether this process, and so the ones it starts, may open the files that it takes. */
  static get isPossible(): boolean {
    const [, filesMax] = /Max open files\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
    return Number(filesMax) >= FILES
  }

  /** Resolves when each has so many updates. */
  async got(updates: number): Promise<void> {
    await until(`${updates} updates`, () => this.#all.every(({ count }) => count >= updates), 60_000)
  }

  /** How many got just these updates, in this order, on the connection that they began with. */
  countOf(numbers: readonly number[]): number {
    const digest = numbers.reduce((sum, number) => (Math.imul(sum, 31) + number) | 0, 0)
    return this.#all.filter(
      (reader) => reader.count === numbers.length && reader.digest === digest && reader.connections === 1,
    ).length
  }

  /** All of them go at once, without a word. */
  leave(): void {
    for (const reader of this.#readers) reader.stop()
    for (const stream of this.#streams) stream.cancel()
    for (const session of this.#sessions) session.destroy()
  }

  get #all(): readonly Received[] {
    return [...this.#readers.map(received), ...this.#streams]
  }
}

const CONNECTIONS = 19_000
const STREAMS = 1000
const SESSIONS = 5
const FILES = CONNECTIONS + 500

interface Received {
  readonly count: number
  readonly digest: number
  readonly connections: number
}

function received({ count, digest, statuses }: CrowdReader): Received {
  return { count, digest, connections: statuses.get(200) ?? 0 }
}

/** One of many subscribers on a connection. */
class StreamReader implements Received {
  readonly #stream: ClientHttp2Stream
  #text = ''
  isOpen = false
  connections = 1
  count = 0
  digest = 0

  constructor(session: ClientHttp2Session, path: string) {
    this.#stream = session.request({ ':path': path })
    this.#stream.setEncoding('utf8')
    this.#stream.on('response', (headers) => {
      this.isOpen = headers[':status'] === 200
    })
    this.#stream.on('data', (text) => this.#receive(String(text)))
    this.#stream.on('close', () => {
      this.connections = 0
    })
    this.#stream.on('error', () => {})
  }

  cancel(): void {
    this.#stream.close(constants.NGHTTP2_CANCEL)
  }

  #receive(text: string): void {
    const events = (this.#text + text).split('\n\n')
    this.#text = events.pop() ?? ''
    for (const event of events) {
      const number = /^id: n(\d+)$/m.exec(event)?.[1]
      if (number === undefined) continue
      this.count++
      this.digest = (Math.imul(this.digest, 31) + Number(number)) | 0
    }
  }
}
