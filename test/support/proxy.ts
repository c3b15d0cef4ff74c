import { connect, createServer, type Server, type Socket } from 'node:net'

/**
 * A network between a client and the hub that breaks on command: a TCP proxy on loopback.
 *
 * Its own address stays the same while the hub behind it comes and goes, as behind a load balancer.
 */
export class BreakableProxy {
  readonly #server: Server
  readonly #pairs = new Set<Pair>()
  readonly #heads: string[] = []
  #target: URL
  #mode: 'forward' | 'gateway' | 'stalled' = 'forward'
  #port = 0
  #accepted = 0

  private constructor(target: string) {
    this.#target = new URL(target)
    // Half a connection stays open for the answer, as without a proxy.
    this.#server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) =>
      this.#accept(client),
    )
  }

  /** Listens on a port that the system chooses and forwards to the target's host and port. */
  static async open(target: string): Promise<BreakableProxy> {
    const proxy = new BreakableProxy(target)
    await proxy.#listen()
    return proxy
  }

  get origin(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  /** The heads of the requests that came, first lines and fields, when clients keep to HTTP/1.1. */
  get heads(): readonly string[] {
    return this.#heads
  }

  /** How many connections there have been. */
  get accepted(): number {
    return this.#accepted
  }

  /** Where further connections go. */
  set target(url: string) {
    this.#target = new URL(url)
  }

  /** Resets every connection, as when a cable is pulled and somebody notices. */
  cut(): void {
    for (const pair of this.#pairs) pair.reset()
  }

  /** From now on nothing arrives any more, and nobody is told. */
  stall(): void {
    this.#mode = 'stalled'
    for (const pair of this.#pairs) pair.pause()
  }

  /** From now on what clients send arrives, and no answer does, until the connections are cut. */
  mute(): void {
    for (const pair of this.#pairs) pair.mute()
  }

  /** Cuts, and refuses connections from now on, as a port where nobody listens. */
  async refuse(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.cut()
    await closed
  }

  /** Cuts, and answers requests with 502 from now on, as a gateway without its hub. */
  fail(): void {
    this.#mode = 'gateway'
    this.cut()
  }

  /** Everything works again, connections that were stalled included. */
  async recover(): Promise<void> {
    this.#mode = 'forward'
    for (const pair of this.#pairs) pair.resume()
    if (!this.#server.listening) await this.#listen()
  }

  async dispose(): Promise<void> {
    if (this.#server.listening) await this.refuse()
  }

  async #listen(): Promise<void> {
    const listening = Promise.withResolvers<void>()
    this.#server.once('error', listening.reject)
    this.#server.listen(this.#port, '127.0.0.1', () => listening.resolve())
    await listening.promise
    const address = this.#server.address()
    if (typeof address === 'object' && address !== null) this.#port = address.port
  }

  #accept(client: Socket): void {
    this.#accepted++
    client.on('data', (bytes) => this.#note(bytes.toString('latin1')))
    if (this.#mode === 'gateway') {
      client.on('error', () => client.destroy())
      client.once('data', () => client.end(badGateway))
      client.resume()
      return
    }
    const upstream = connect({
      host: this.#target.hostname,
      port: Number(this.#target.port),
      allowHalfOpen: true,
    })
    const pair = new Pair(client, upstream, () => this.#pairs.delete(pair))
    this.#pairs.add(pair)
    if (this.#mode === 'forward') pair.resume()
  }

  #note(text: string): void {
    if (/^[A-Z]+ \S+ HTTP\/1\.1\r\n/.test(text)) this.#heads.push(text.slice(0, text.indexOf('\r\n\r\n')))
  }
}

const badGateway = 'HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'

/** A connection and its continuation: both end alike, whichever ends first. */
class Pair {
  readonly #sockets: readonly [client: Socket, upstream: Socket]
  readonly #onEnded: () => void

  constructor(client: Socket, upstream: Socket, onEnded: () => void) {
    this.#sockets = [client, upstream]
    this.#onEnded = onEnded
    client.pipe(upstream)
    upstream.pipe(client)
    for (const socket of this.#sockets) {
      socket.on('error', () => this.reset())
      socket.on('close', () => this.#close())
    }
    this.pause()
  }

  pause(): void {
    for (const socket of this.#sockets) socket.pause()
  }

  resume(): void {
    for (const socket of this.#sockets) socket.resume()
  }

  /** Nothing comes back any more. */
  mute(): void {
    const [client, upstream] = this.#sockets
    upstream.unpipe(client)
    upstream.resume()
  }

  reset(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy()
    this.#onEnded()
  }

  #close(): void {
    if (this.#sockets.every((socket) => socket.destroyed)) this.#onEnded()
  }
}
