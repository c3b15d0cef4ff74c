import { ProtocolError } from '../../protocol/error.ts'
import type { Notice } from '../notice.ts'
import { asError, messageOf } from './connection.ts'
import { locatePrimary } from './primary.ts'
import { isSamePlace, type Place, placeText, type ServerOptions } from './server.ts'
import { Session } from './session.ts'

/** The parts of a link that the log gives it. */
export interface LinkOptions {
  readonly server: ServerOptions
  /** The names of the keys begin with this. */
  readonly prefix: string
  readonly notify: (notice: Notice) => void
  /** Says hello in a session before anything else is done in it. When it rejects the session is over. */
  readonly greet: (session: Session) => Promise<void>
  /** The session may be used. */
  readonly onSession: (session: Session) => void
  /** Whether nobody needs a session any more. */
  readonly isOver: () => boolean
}

/**
 * The way of a node to its server: one session after the other, as long as somebody needs one. When one ends the link
 * locates the primary anew, connects, says hello and goes on, a little later after each failure.
 */
export class Link {
  readonly #options: LinkOptions
  #session: Session | null = null
  /** Since when there is no session, and why. */
  #away = { since: 0, problem: 'the log is not open' }
  /** Resolves when there is a session again; null when nobody waits for that. */
  #back: PromiseWithResolvers<void> | null = null
  /** Where a server of a cluster has said that the log is. */
  #moved: Place | null = null
  #reconnects = 0

  constructor(options: LinkOptions) {
    this.#options = options
  }

  /** The session of this moment; null while the server is away. */
  get session(): Session | null {
    return this.#session?.isOver === true ? null : this.#session
  }

  /** The number of sessions after the first. */
  get reconnects(): number {
    return this.#reconnects
  }

  /** Begins the first session. Rejects with a plain Error for the operator. */
  async open(greet: (session: Session) => Promise<void>): Promise<void> {
    try {
      this.#session = await this.#begin(greet)
    } catch (error) {
      if (this.#moved === null) throw error
      this.#session = await this.#begin(greet)
    }
  }

  /** From now on there is always a session, or the link tries to make one. */
  async keep(): Promise<void> {
    for (let session = this.#session; session !== null; session = await this.#next()) {
      this.#session = session
      this.#back?.resolve()
      this.#back = null
      this.#options.onSession(session)
      const reason = await session.ended
      if (this.#options.isOver()) return
      this.#noteMove(reason)
      this.#away = { since: performance.now(), problem: messageOf(reason) }
      this.#options.notify({ kind: 'away', problem: this.#away.problem })
    }
  }

  /**
   * The session, or the next one when that comes before `until`, in milliseconds of the monotonic clock. Rejects with
   * `store-unavailable` when there is none in time.
   */
  async reach(until: number): Promise<Session> {
    for (;;) {
      const { session } = this
      if (session !== null) return session
      const leftMs = until - performance.now()
      if (leftMs <= 0 || this.#options.isOver()) throw this.unreachable()
      this.checkPatience()
      this.#back ??= Promise.withResolvers()
      const { promise: late, resolve } = Promise.withResolvers<void>()
      const timer = setTimeout(resolve, leftMs)
      await Promise.race([this.#back.promise, late]).finally(() => clearTimeout(timer))
    }
  }

  /** Throws `store-unavailable` when the server has been away for so long that nobody should wait for it. */
  checkPatience(): void {
    if (this.session !== null) return
    if (this.#session === null && performance.now() - this.#away.since > this.#options.server.timeoutMs)
      throw this.unreachable()
  }

  /** The refusal of a client while the server is away: it names no place. */
  unreachable(): ProtocolError {
    return new ProtocolError('store-unavailable', 'the server of the log cannot be reached')
  }

  /** Another answer of the Sentinels than where the session goes to ends it: there was a failover. */
  async askSentinels(session: Session): Promise<void> {
    const { server } = this.#options
    if (server.sentinels.length === 0) return
    // Sentinels that do not answer are no reason to give up a server that does.
    const place = await locatePrimary(server).catch(() => session.place)
    if (!isSamePlace(place, session.place))
      session.end(new Error(`the Sentinels name another primary: ${placeText(place)}`))
  }

  /** Ends the session. */
  close(): void {
    this.#session?.end(new Error('the log was closed'))
    this.#session = null
  }

  /** Null: nobody needs one any more. */
  async #next(): Promise<Session | null> {
    this.#session = null
    for (let wait = RETRY_MS_MIN; !this.#options.isOver(); wait = Math.min(2 * wait, RETRY_MS_MAX)) {
      try {
        const session = await this.#begin(this.#options.greet)
        this.#reconnects++
        this.#options.notify({ kind: 'back', ms: Math.round(performance.now() - this.#away.since) })
        return session
      } catch (error) {
        this.#away = { ...this.#away, problem: messageOf(error) }
        await new Promise((resolve) => setTimeout(resolve, wait * (0.5 + Math.random())))
      }
    }
    return null
  }

  async #begin(greet: (session: Session) => Promise<void>): Promise<Session> {
    const { server, prefix } = this.#options
    const place = this.#moved ?? (await locatePrimary(server))
    this.#moved = null
    try {
      const session = await Session.open(place, prefix, server)
      await greet(session).catch((error) => {
        session.end(asError(error))
        throw error
      })
      return session
    } catch (error) {
      this.#noteMove(error)
      throw new Error(`${placeText(place)}: ${messageOf(error)}`, { cause: error })
    }
  }

  #noteMove(error: unknown): void {
    const [, host = '', port] = /\bMOVED \d+ (\S*):(\d+)$/.exec(messageOf(error)) ?? []
    const { place } = this.#options.server
    if (port === undefined || place.kind !== 'tcp') return
    // A server that does not know its own name means itself.
    this.#moved = { ...place, host: host === '' ? place.host : host, port: Number(port) }
  }
}

const RETRY_MS_MIN = 20
const RETRY_MS_MAX = 1000
