import type { Socket } from 'bun'

/** What the hub answered. */
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
  #socket: Socket | null = null
  #unsent: Uint8Array = new Uint8Array()
  #received = ''
  #answer: PromiseWithResolvers<Answer> | null = null

  private constructor(url: URL, token: string) {
    const fields = [
      `Host: ${url.host}`,
      `Authorization: Bearer ${token}`,
      'Content-Type: application/x-www-form-urlencoded',
    ]
    this.#head = `POST ${url.pathname} HTTP/1.1\r\n${fields.join('\r\n')}\r\nContent-Length: `
  }

  static async open(url: string, token: string): Promise<Publisher> {
    const address = new URL(url)
    const publisher = new Publisher(address, token)
    publisher.#socket = await Bun.connect({
      hostname: address.hostname,
      port: Number(address.port),
      socket: {
        data: (_, chunk) => publisher.#receive(chunk.toString('latin1')),
        drain: () => publisher.#send(),
        close: () => publisher.#end(),
        error: () => publisher.#end(),
      },
    })
    return publisher
  }

  /** Posts a form of ASCII characters. Rejects when the connection ends before the answer. */
  post(form: string): Promise<Answer> {
    if (this.#answer !== null) return Promise.reject(new Error('a request is under way'))
    if (this.#socket === null) return Promise.reject(new Error('the connection has ended'))
    this.#answer = Promise.withResolvers()
    this.#unsent = Buffer.from(`${this.#head}${form.length}\r\n\r\n${form}`, 'latin1')
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

/** Publishers that work side by side, and number what they publish. */
export class Load {
  readonly #publishers: readonly Publisher[]
  #next = 0

  private constructor(publishers: readonly Publisher[]) {
    this.#publishers = publishers
  }

  static async open(url: string, token: string, connections: number): Promise<Load> {
    return new Load(await Promise.all(Array.from({ length: connections }, () => Publisher.open(url, token))))
  }

  /**
   * Publishes so many more, as fast as the hub answers. `onAccepted` is told the number of each that was
   * accepted. Resolves when all are; rejects at the first that is not.
   */
  async publish(
    count: number,
    form: (number: number) => string,
    onAccepted?: (number: number) => void,
  ): Promise<void> {
    const until = this.#next + count
    const post = async (publisher: Publisher) => {
      while (this.#next < until) {
        const number = this.#next++
        const { status } = await publisher.post(form(number))
        if (status !== 200) throw new Error(`publishing was answered ${status}`)
        onAccepted?.(number)
      }
    }
    await Promise.all(this.#publishers.map(post))
  }

  close(): void {
    for (const publisher of this.#publishers) publisher.close()
  }
}
