import { adminApp } from '../admin/app.ts'
import type { Authenticator } from '../auth/authenticate.ts'
import type { Settings } from '../config/load.ts'
import { type AppOptions, hubApp } from '../http/app.ts'
import type { Transport } from '../hub/transport.ts'
import type { Log } from '../telemetry/log.ts'
import { MemoryTransport } from '../transport/memory/transport.ts'
import { SqliteTransport } from '../transport/sqlite/transport.ts'
import { type Certificate, readCertificate, watchCertificate } from './certificate.ts'
import { drain } from './drain.ts'
import { edge, type Inside, subscriberLimits } from './edge.ts'
import { Listener, type Transfer } from './listener.ts'
import { monotonic, openParts, type Parts, publishRate, startBeat } from './parts.ts'
import { planReload } from './reload.ts'
import { retention } from './rules.ts'
import { Sweep } from './sweep.ts'

/**
 * The hub as a process: composition only. `open` builds from the inside out (log, hub, edge, listeners);
 * `reload` exchanges the edge under the listeners; `close` takes down from the outside in, the log last.
 */
export class Server {
  readonly #log: Log
  readonly #parts: Parts
  readonly #listeners: Listener[] = []
  #admin: Listener | null = null
  #settings: Settings
  #inside: Inside
  #edge: AppOptions
  #certificate: Certificate | null
  #unwatch: () => void = () => {}
  #beat: ReturnType<typeof setInterval>
  readonly #watch: ReturnType<typeof setInterval>
  #isClosing = false

  private constructor(settings: Settings, log: Log, parts: Parts, certificate: Certificate | null) {
    this.#log = log
    this.#parts = parts
    this.#settings = settings
    this.#inside = parts.inside
    this.#edge = edge(settings, parts.inside)
    this.#certificate = certificate
    this.#beat = startBeat(parts.inside.streams)
    const sweep = new Sweep(() => Bun.gc(true))
    this.#watch = setInterval(() => {
      const { hub } = parts.inside
      hub.look(process.memoryUsage.rss())
      sweep.look(parts.sources.counters.subscribers - hub.subscriberCount, hub.subscriberCount)
    }, WATCH_MS)
  }

  /**
   * `startWriter` starts the writer's thread of a history in a file. `version` is shown to visitors; null keeps it.
   * Rejects with a plain Error for the operator; whatever was opened before is closed again.
   */
  static async open(
    settings: Settings,
    log: Log,
    startWriter: () => Worker,
    version: string | null = null,
  ): Promise<Server> {
    const certificate = readCertificate(settings.tls)
    const server = new Server(
      settings,
      log,
      await openParts(settings, openTransport(settings, startWriter), log, version),
      certificate,
    )
    try {
      await server.#listen()
    } catch (error) {
      await server.close(0)
      throw error
    }
    return server
  }

  /** Where the hub listens, as URLs or `unix:` paths, in the order of the settings. */
  get addresses(): readonly string[] {
    return this.#listeners.map(({ url }) => url)
  }

  /** Where the admin listener listens, in the same form; null without one. */
  get adminAddress(): string | null {
    return this.#admin?.url ?? null
  }

  get subscriberCount(): number {
    return this.#inside.hub.subscriberCount
  }

  /**
   * Takes new settings, keys and certificates, and cuts no stream: what is open keeps the rights and the
   * times that it began with. Answers with the names of changed settings that need a restart. Rejects with a
   * plain Error, one problem a line, and then nothing has changed. `isFileEmpty`: see `planReload`.
   */
  async reload(wanted: Settings, isFileEmpty = false): Promise<readonly string[]> {
    const { settings, needRestart } = planReload(this.#settings, wanted, isFileEmpty)
    const certificate = readCertificate(settings.tls)
    const authenticator = await this.#reloadKeys(settings)
    if (this.#isClosing) return []
    this.#take(settings, authenticator)
    this.#takeCertificate(certificate)
    return needRestart
  }

  /** Ends streams spread over at most the time of the settings, then everything else. */
  async close(drainMs = this.#settings.shutdown.drain): Promise<void> {
    this.#isClosing = true
    this.#unwatch()
    const { hub } = this.#inside
    hub.stop()
    for (const listener of this.#allListeners) listener.stop(false)
    await drain(hub, drainMs)
    await hub.close()
    clearInterval(this.#beat)
    clearInterval(this.#watch)
    for (const listener of this.#allListeners) listener.stop(true)
    this.#inside.authenticator.close()
  }

  get #allListeners(): readonly Listener[] {
    return this.#admin === null ? this.#listeners : [...this.#listeners, this.#admin]
  }

  async #listen(): Promise<void> {
    const { listen, admin, http2, http3, tls } = this.#settings
    const secure: Transfer = { certificate: this.#certificate, http2, http3 }
    // The writer of the log starts on another core while the first app is made here.
    const { opened, sources } = this.#parts
    const makeHub = () => hubApp(() => this.#edge)
    for (const address of listen) this.#listeners.push(await Listener.open(makeHub, address, secure, opened))
    await opened
    this.#limitConnections()
    if (tls.certFile !== null) this.#watchCertificate()
    if (admin.listen === null) return
    const makeAdmin = () => adminApp(this.#inside.health, sources)
    const plain: Transfer = { certificate: null, http2: false, http3: false }
    this.#admin = await Listener.open(makeAdmin, admin.listen, plain, opened)
  }

  /** The same issuers keep their authenticator, with the keys it has loaded and what it has verified. */
  async #reloadKeys(settings: Settings): Promise<Authenticator> {
    const { authenticator } = this.#inside
    // The rest of the limits is not about tokens.
    const parts = ({ issuers, limits }: Settings) => [issuers, limits.details, limits.pattern]
    if (!Bun.deepEquals(parts(this.#settings), parts(settings))) {
      return await this.#parts.openAuthenticator(settings)
    }
    authenticator.refresh()
    return authenticator
  }

  #take(settings: Settings, authenticator: Authenticator): void {
    const before = this.#inside
    if (before.authenticator !== authenticator) before.authenticator.close()
    const isSameRate = settings.limits.publishRate === this.#settings.limits.publishRate
    const rate = isSameRate ? before.rate : publishRate(settings)
    this.#settings = settings
    this.#inside = { ...before, authenticator, rate }
    this.#edge = edge(settings, this.#inside)
    before.counts.limits = subscriberLimits(settings)
    before.streams.heartbeatMs = settings.hub.heartbeat
    clearInterval(this.#beat)
    this.#beat = startBeat(before.streams)
    this.#limitConnections()
    this.#log.level = settings.log.level
  }

  #watchCertificate(): void {
    const renew = () => {
      try {
        this.#takeCertificate(readCertificate(this.#settings.tls))
      } catch (error) {
        this.#log.error('certificate refused', { problem: error instanceof Error ? error.message : null })
      }
    }
    this.#unwatch = watchCertificate(() => this.#settings.tls, renew, CERTIFICATE_LOOK_MS)
  }

  #takeCertificate(certificate: Certificate | null): void {
    if (certificate === null || Bun.deepEquals(certificate, this.#certificate)) return
    const expires = new Date(certificate.expiresAt).toISOString()
    const renewed = this.#listeners.map((listener) => listener.renew(certificate))
    this.#certificate = certificate
    this.#limitConnections()
    if (renewed.every(Boolean)) this.#log.info('certificate renewed', { expires })
    else this.#log.warn('the new certificate needs a restart: http3 is on', { expires })
  }

  /**
   * A vanished reader is gone within two heartbeats: one may pass before anything is sent to it. What the kernel
   * holds for a reader that has stopped follows what the hub holds for it, and has room for the largest body.
   */
  #limitConnections(): void {
    const { hub, limits } = this.#settings
    const silenceMs = Math.round(hub.heartbeat * SILENCE_SHARE)
    const unsentBytes = Math.max(UNSENT_SHARE * limits.subscriberBuffer, limits.body)
    const unlimited = this.#listeners.filter(
      (listener) => !listener.limitConnections({ silenceMs, unsentBytes }),
    )
    if (unlimited.length > 0) this.#log.debug('vanished and stalled readers are left to the kernel to notice')
  }
}

/** Milliseconds between two looks at the certificate files. */
const CERTIFICATE_LOOK_MS = 2000

/** The rest of the second heartbeat is for the timers on the way. */
const SILENCE_SHARE = 0.75

/**
 * With the default buffer this is about what the kernel would take by itself. With less, readers of many large updates
 * are cut in a burst.
 */
const UNSENT_SHARE = 4

/** How often the memory budget looks at the process, in milliseconds. */
const WATCH_MS = 200

function openTransport(settings: Settings, startWriter: () => Worker): Transport {
  const { transport, sqlite } = settings
  const keep = retention(settings)
  switch (transport) {
    case 'memory':
      return new MemoryTransport({ retention: keep, clock: monotonic })
    case 'local':
      return new MemoryTransport({ retention: { ...keep, maxCount: 0 }, clock: monotonic })
    case 'sqlite':
      return new SqliteTransport({ ...sqlite, retention: keep, clock: monotonic, startWriter })
    case 'redis':
      throw new Error('transport: redis is not part of this version')
    default:
      return transport satisfies never
  }
}
