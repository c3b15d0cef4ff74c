import type { Loop } from '../../hub/loop.ts'
import { ProtocolError } from '../../protocol/error.ts'
import type { Log } from '../../telemetry/log.ts'
import { processLoop } from '../loop.ts'
import { type NotifySocket, openNotifySocket } from './notify-socket.ts'
import { type Figures, many, statusText } from './status.ts'

/**
 * The service manager that has started the hub and asks to be told (sd_notify(3)).
 * Life: `watch` proves that the hub works until it does, then tells READY, and from then on feeds the watchdog after each
 * proof and renews STATUS; `reloading` and `reloaded` stand around each reload; `stopping` ends it all. Nothing here ever
 * waits for the manager: a notice that it does not take is sent again later.
 */
export class ServiceManager {
  readonly #options: ManagerOptions
  #isReady = false
  #isStopping = false
  /** The latest change of state that the manager has not taken yet; null: it has all. */
  #owed: string | null = null
  #status = ''
  /** Why the last proof has failed, or null. */
  #problem: string | null = null
  #isUnheard = false

  constructor(options: ManagerOptions) {
    this.#options = options
  }

  /** Watches the hub, which listens by now. */
  watch(hub: WatchedHub): void {
    this.#prove(hub)
    this.#renewStatus(hub)
  }

  /** Before a reload. */
  reloading(): void {
    if (!this.#isReady || this.#isStopping) return
    this.#tell(`RELOADING=1\nMONOTONIC_USEC=${this.#options.socket.monotonicUsec()}`)
  }

  /** After a reload, whatever came of it: the hub serves. */
  reloaded(): void {
    if (this.#isReady && !this.#isStopping) this.#tell('READY=1')
  }

  /** The hub drains. Feeds the watchdog no more: the manager has a time for the stop. */
  stopping(subscribers: number): void {
    this.#isStopping = true
    this.#tell(`STOPPING=1\nSTATUS=draining, ${many(subscribers, 'subscriber')}`)
  }

  /** Proves that the hub works, again and again, for as long as the manager wants to know. */
  async #prove(hub: WatchedHub): Promise<void> {
    if (this.#isStopping) return
    const problem = await hub.work().then(() => null, errorOf)
    if (this.#isStopping) return
    const isNews = this.#note(problem)
    if (!this.#isReady && problem === null) {
      this.#isReady = true
      this.#tell('READY=1')
    }
    if (isNews) this.#sendStatus(hub)
    const { watchdogMs, loop } = this.#options
    if (!this.#isReady) loop.delay(RETRY_MS, () => this.#prove(hub))
    else if (watchdogMs !== null) {
      if (isWorking(problem)) this.#send('WATCHDOG=1')
      loop.delay(watchdogMs / PROOFS, () => this.#prove(hub))
    }
  }

  /**
   * One line of the log when the hub begins to refuse its work, and one when it does it again; a silent part has a line
   * of its own. Answers whether this is news.
   */
  #note(problem: Error | null): boolean {
    const isNews = (problem === null) !== (this.#problem === null)
    this.#problem = problem?.message ?? null
    const { log } = this.#options
    if (isNews && problem === null) log.info('the hub can be published to again')
    if (isNews && problem !== null) log.error('the hub cannot be published to', { problem: problem.message })
    return isNews
  }

  #renewStatus(hub: WatchedHub): void {
    if (this.#isStopping) return
    this.#sendStatus(hub)
    this.#options.loop.delay(STATUS_MS, () => this.#renewStatus(hub))
  }

  async #sendStatus(hub: WatchedHub): Promise<void> {
    const figures = await hub.figures()
    const status = statusText({ ...figures, problem: figures.problem ?? this.#problem })
    if (this.#isStopping || status === this.#status) return
    if (this.#send(`STATUS=${status}`)) this.#status = status
  }

  /** Tells a change of state, now or when the manager takes it: only the latest one counts. */
  #tell(state: string): void {
    const isTrying = this.#owed !== null
    this.#owed = state
    if (!isTrying) this.#settle()
  }

  #settle(): void {
    if (this.#owed === null) return
    if (this.#send(this.#owed)) this.#owed = null
    else this.#options.loop.delay(RETRY_MS, () => this.#settle())
  }

  #send(message: string): boolean {
    const isHeard = this.#options.socket.send(message)
    if (!isHeard && !this.#isUnheard)
      this.#options.log.warn('the service manager does not take what the hub tells it')
    this.#isUnheard = !isHeard
    return isHeard
  }
}

function errorOf(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason))
}

/** A full disk is a store that works: to start the hub anew would make no room, and cut every reader. */
function isWorking(problem: Error | null): boolean {
  return problem === null || (problem instanceof ProtocolError && problem.code === 'store-full')
}

/** The parts of a service manager. */
export interface ManagerOptions {
  readonly socket: NotifySocket
  /** The time within which the manager wants to hear that the hub works, in milliseconds; null: it does not. */
  readonly watchdogMs: number | null
  readonly loop: Loop
  readonly log: Log
}

/** The hub as a service manager sees it. */
export interface WatchedHub {
  /** Resolves when the hub publishes, stores and delivers. Rejects with the reason, or waits while a part is silent. */
  work(): Promise<void>
  /** Never rejects. */
  figures(): Promise<Figures>
}

/** The environment of a service, as its manager fills it. */
export interface ManagerEnv {
  readonly NOTIFY_SOCKET: string
  readonly WATCHDOG_USEC?: string | undefined
  readonly WATCHDOG_PID?: string | undefined
}

/** The manager that the environment names, or null when it cannot be told anything, which the log then says. */
export function openServiceManager(env: ManagerEnv, pid: number, log: Log): ServiceManager | null {
  try {
    const socket = openNotifySocket(env.NOTIFY_SOCKET)
    return new ServiceManager({ socket, watchdogMs: watchdogMs(env, pid), loop: processLoop, log })
  } catch (error) {
    const problem = error instanceof Error ? error.message : 'unknown'
    log.warn('NOTIFY_SOCKET: the service manager is told nothing', { problem })
    return null
  }
}

/** The period of the watchdog in milliseconds; null where there is none, or where it is for another process. */
export function watchdogMs({ WATCHDOG_USEC, WATCHDOG_PID }: Omit<ManagerEnv, 'NOTIFY_SOCKET'>, pid: number) {
  const isOurs = WATCHDOG_PID === undefined || Number(WATCHDOG_PID) === pid
  const usec = Number(WATCHDOG_USEC ?? 0)
  return isOurs && usec > 0 && Number.isFinite(usec) ? usec / 1000 : null
}

/** The proofs in one period of the watchdog: a slow disk may take two thirds of it. */
const PROOFS = 3

/** Milliseconds until the hub tries again what did not succeed. */
const RETRY_MS = 1000

/** Milliseconds between two looks at the figures. */
const STATUS_MS = 10_000
