import type { adminApp } from '../../admin/app.ts'
import type { Settings } from '../../config/load.ts'
import type { hubApp } from '../../http/app.ts'
import type { Certificate } from './certificate.ts'
import { type ConnectionLimits, limitConnections } from './connection-limits.ts'
import { listenProblem } from './listen-problem.ts'
import { freeSocketPath, restrictSocket } from './unix-socket.ts'

/** The protocols that a listener speaks. */
export interface Transfer {
  /** With null the listener speaks without TLS. */
  readonly certificate: Certificate | null
  readonly http2: boolean
  readonly http3: boolean
  /** Seconds after which a connection that neither sends nor streams is closed. */
  readonly idleSeconds: number
}

type Address = Settings['listen'][number]
type App = ReturnType<typeof hubApp> | ReturnType<typeof adminApp>
type Listening = NonNullable<App['server']>

/**
 * Listens on one address.
 *
 * Bun 1.4.5 ignores a certificate in `server.reload`. So a new certificate is a new server on the same port,
 * and the one before stops accepting and lives on until its streams have ended. Two servers share a port only
 * with `reusePort`, which would let a second hub in as well: the port is first claimed without it.
 */
export class Listener {
  readonly #makeApp: () => App
  readonly #address: Address
  #transfer: Transfer
  #server: Listening
  /** Servers with an earlier certificate that still have streams. */
  readonly #leaving = new Set<Listening>()

  private constructor(makeApp: () => App, address: Address, transfer: Transfer, server: Listening) {
    this.#makeApp = makeApp
    this.#address = address
    this.#transfer = transfer
    this.#server = server
  }

  /**
   * `makeApp` makes one app per server. Rejects with a ListenProblem when the listener cannot have the address of the
   * setting, and as `ready` does, before which it lets nobody in.
   */
  static async open(
    setting: string,
    makeApp: () => App,
    address: Address,
    transfer: Transfer,
    ready: Promise<void>,
  ): Promise<Listener> {
    const app = makeApp()
    await ready
    const { certificate } = transfer
    try {
      if (address.kind === 'unix') await freeSocketPath(address.path)
      const claimed = address.kind === 'tcp' && certificate !== null ? claimPort(address) : address
      return new Listener(makeApp, claimed, transfer, listen(app, claimed, transfer))
    } catch (error) {
      throw await listenProblem(setting, address, error)
    }
  }

  /** The port, which the system may have chosen; null for a Unix socket. */
  get port(): number | null {
    return this.#address.kind === 'unix' ? null : (this.#server.port ?? null)
  }

  /** The address as a URL, or as `unix:` and the path. */
  get url(): string {
    if (this.#address.kind === 'unix') return `unix:${this.#address.path}`
    const { host } = this.#address
    const scheme = this.#transfer.certificate === null ? 'http' : 'https'
    return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${this.#server.port}`
  }

  /** New connections get the new certificate; no stream is cut. Answers false where only a restart can. */
  renew(certificate: Certificate): boolean {
    // A second QUIC server on a port answers nobody in Bun 1.4.5, not even after the first has stopped.
    if (this.#transfer.http3) return false
    this.#transfer = { ...this.#transfer, certificate }
    const before = this.#server
    const isUnix = this.#address.kind === 'unix'
    // Stopping removes the file of a socket, so there the old server goes first; a port is never without a server.
    if (isUnix) this.#leave(before)
    this.#server = listen(this.#makeApp(), this.#address, this.#transfer)
    if (!isUnix) this.#leave(before)
    return true
  }

  /** See `limitConnections`. True for a Unix socket, whose peer cannot vanish and whose buffer is small. */
  limitConnections(limits: ConnectionLimits): boolean {
    return this.#address.kind === 'unix' || limitConnections(this.#server.port ?? 0, limits)
  }

  /** Accepts nobody from now on; `isForced` ends open connections as well. */
  stop(isForced: boolean): void {
    for (const server of [this.#server, ...this.#leaving]) void server.stop(isForced)
  }

  #leave(server: Listening): void {
    this.#leaving.add(server)
    void server.stop(false).then(() => this.#leaving.delete(server))
  }
}

/**
 * The suites of TLS 1.2 with forward secrecy and authenticated encryption alone, as RFC 9325 section 4.2 recommends:
 * Bun 1.4.5 would also offer the key exchange by RSA. All suites of TLS 1.3 are such.
 */
const CIPHERS = 'ECDHE+AESGCM:ECDHE+CHACHA20'

/** Fails while anybody listens on the port, and answers with the port, which the system may have chosen. */
function claimPort(address: Address & { kind: 'tcp' }): Address {
  const place = { hostname: address.host, port: address.port, reusePort: false }
  const claim = Bun.serve({ ...place, fetch: () => new Response(null, { status: 503 }) })
  // A server that has stopped knows its port no more.
  const { port = address.port } = claim
  void claim.stop(true)
  return { ...address, port }
}

function listen(app: App, address: Address, { certificate, http2, http3, idleSeconds }: Transfer): Listening {
  const isSecure = certificate !== null
  const common = {
    ...(isSecure && { tls: { cert: certificate.cert, key: certificate.key, ciphers: CIPHERS } }),
    http2,
    ...(http3 && isSecure && { http3 }),
    development: false,
    idleTimeout: idleSeconds,
    // The hub counts the bytes of bodies itself, after it has seen the token (PUB-02).
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
  }
  const before = process.listeners('beforeExit')
  // Elysia's type knows ports only; Bun takes the path of a socket as well.
  if (address.kind === 'unix') app.listen({ ...common, unix: address.path } as object)
  else app.listen({ ...common, hostname: address.host, port: address.port, reusePort: isSecure })
  // Elysia adds a hook per server that stops the server, and would keep every earlier server in memory.
  for (const hook of process.listeners('beforeExit')) {
    if (!before.includes(hook)) process.removeListener('beforeExit', hook)
  }
  if (address.kind === 'unix') restrictSocket(address.path)
  const { server } = app
  if (server === null) throw new Error('the listener did not start')
  return server
}
