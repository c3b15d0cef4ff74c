import { connect } from './connect.ts'
import type { Target } from './target.ts'

/** The hub's answer. */
export interface Answer {
  readonly status: number
  /** The id of the update when the status is 200. */
  readonly body: string
}

/**
 * One publisher on a connection of its own that stays open, with one request under way at a time. On a plain
 * socket, because `fetch` costs more than the hub does. Reads answers with a `Content-Length`.
 */
export class Publisher {
  readonly #head: string
  #socket: Bun.Socket | null = null
  #unsent: Uint8Array = new Uint8Array()
  #received = ''
  #answer: PromiseWithResolvers<Answer> | null = null

  private constructor(head: string) {
    this.#head = head
  }

  static async open(target: Target): Promise<Publisher> {
    const publisher = new Publisher(target.publicationHead)
    const opened = Promise.withResolvers<void>()
    publisher.#socket = await connect(target, {
      open: () => opened.resolve(),
      data: (_, chunk) => publisher.#receive(chunk.toString('latin1')),
      drain: () => publisher.#send(),
      close: () => {
        opened.reject(new Error('the connection has ended'))
        publisher.#end()
      },
    })
    await opened.promise
    return publisher
  }

  /** Posts a body of ASCII characters. Rejects when the connection ends before the answer. */
  post(body: string): Promise<Answer> {
    if (this.#answer !== null) return Promise.reject(new Error('a request is under way'))
    if (this.#socket === null) return Promise.reject(new Error('the connection has ended'))
    this.#answer = Promise.withResolvers()
    this.#unsent = Buffer.from(`${this.#head}${body.length}\r\n\r\n${body}`, 'latin1')
    const { promise } = this.#answer
    this.#send()
    return promise
  }

  close(): void {
    this.#socket?.terminate()
    this.#end()
  }

  #send(): void {
    if (this.#unsent.length === 0) return
    const sent = this.#socket?.write(this.#unsent) ?? 0
    this.#unsent = this.#unsent.subarray(Math.max(0, sent))
  }

  #receive(text: string): void {
    this.#received += text
    const bodyAt = this.#received.indexOf('\r\n\r\n') + 4
    if (bodyAt === 3) return
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(this.#received.slice(0, bodyAt))?.[1] ?? 0)
    const end = bodyAt + length
    if (this.#received.length < end) return
    const answer = { status: Number(this.#received.slice(9, 12)), body: this.#received.slice(bodyAt, end) }
    this.#received = this.#received.slice(end)
    const { resolve } = this.#answer ?? {}
    this.#answer = null
    resolve?.(answer)
  }

  #end(): void {
    this.#socket = null
    this.#answer?.reject(new Error('the connection has ended'))
    this.#answer = null
  }
}
