import type { Script } from './scripts/script.ts'
import type { Place, ServerOptions } from './server.ts'

/**
 * A connection to the server with one life: it is never made anew and sends nothing twice. When a call gets no answer in
 * time the connection is destroyed. The library is loaded with the first connection.
 */
export class Connection {
  readonly #client: Client

  private constructor(client: Client) {
    this.#client = client
  }

  /** Connects and authenticates. Rejects with the reason that the server, the network or TLS gave. */
  static async open(place: Place, options: ServerOptions): Promise<Connection> {
    const { createClient, RESP_TYPES } = await import('@redis/client')
    const { username, password, database, timeoutMs } = options
    const client: Client = createClient({
      socket: socketOf(place, options),
      ...(username !== null && { username }),
      ...(password !== null && { password }),
      ...(database !== 0 && { database }),
      RESP: 2,
      disableOfflineQueue: true,
      disableClientInfo: true,
      maintNotifications: 'disabled',
      commandOptions: { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } },
    })
    // The call that fails has the reason as well.
    client.on('error', () => {})
    const connection = new Connection(client)
    await connection.#within(timeoutMs, client.connect())
    return connection
  }

  /** The answer to a command. Rejects with the error of the server, or when the connection has ended. */
  async call(args: readonly (string | Buffer)[], timeoutMs: number): Promise<unknown> {
    return await this.#within(timeoutMs, this.#client.sendCommand(args))
  }

  /** The answer of a script, which the server gets to know when it does not. */
  async script(
    { text, digest }: Script,
    keys: readonly string[],
    args: readonly (string | Buffer)[],
    timeoutMs: number,
  ): Promise<unknown> {
    const rest = [String(keys.length), ...keys, ...args]
    try {
      return await this.call(['EVALSHA', digest, ...rest], timeoutMs)
    } catch (error) {
      if (!isReply(error) || !messageOf(error).startsWith('NOSCRIPT')) throw error
      return await this.call(['EVAL', text, ...rest], timeoutMs)
    }
  }

  /** Ends the connection; calls under way reject. Ending twice does nothing. */
  destroy(): void {
    try {
      this.#client.destroy()
    } catch {
      // It had ended by itself.
    }
  }

  async #within<Answer>(ms: number, answer: Promise<Answer>): Promise<Answer> {
    const { promise: late, reject } = Promise.withResolvers<never>()
    const timer = setTimeout(() => {
      reject(new Error(`no answer within ${ms} ms`))
      this.destroy()
    }, ms)
    return await Promise.race([answer, late]).finally(() => clearTimeout(timer))
  }
}

/** Whether the server answered with an error, so that the connection goes on. */
export function isReply(error: unknown): error is Error {
  return error instanceof Error && /^[A-Z]+ /.test(error.message)
}

/** The error, or one that says the same. */
export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}

/** The reason in an error of the library: some have it in a cause, and none holds a secret. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error.message !== '') return error.message
  return 'code' in error ? String(error.code) : error.name
}

/** The part of the library's client that is used. */
interface Client {
  connect(): Promise<unknown>
  sendCommand(args: readonly (string | Buffer)[]): Promise<unknown>
  destroy(): void
  on(event: 'error', listener: (error: unknown) => void): unknown
}

function socketOf(place: Place, { ca, timeoutMs }: ServerOptions) {
  const common = { reconnectStrategy: false, connectTimeout: timeoutMs } as const
  if (place.kind === 'unix') return { ...common, tls: false, path: place.path } as const
  const { host, port, isTls } = place
  if (!isTls) return { ...common, host, port }
  return { ...common, host, port, tls: true, ...(ca !== null && { ca }) } as const
}
