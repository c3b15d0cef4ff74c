import { adminApp, type ConsoleParts } from '../admin/app.ts'
import { health } from '../admin/health.ts'
import type { Authenticator } from '../auth/authenticate.ts'
import type { Settings } from '../config/load.ts'
import { hubUrl } from '../config/location.ts'
import { hubApp } from '../http/app.ts'
import type { EdgeOptions } from '../http/edge.ts'
import { statusOfRefusal } from '../http/error.ts'
import type { Exchange } from '../http/exchange.ts'
import { RefusedOrigins } from '../http/origin-refusal.ts'
import { RequestIds } from '../http/request/request-id.ts'
import { Uploads } from '../http/request/uploads.ts'
import { SubscriberCount } from '../http/subscriber-count.ts'
import type { HubEvent } from '../hub/event.ts'
import { MatcherPool } from '../hub/matcher-pool.ts'
import { Pace } from '../hub/pace.ts'
import type { Transport } from '../hub/transport.ts'
import type { ProtocolError } from '../protocol/error.ts'
import { hubLocation } from '../protocol/topic.ts'
import { OpenStreams } from '../stream/open-streams.ts'
import { Counters } from '../telemetry/counters.ts'
import { EventLog, type Log } from '../telemetry/log.ts'
import { type Refusal, Refusals } from '../telemetry/refusals.ts'
import { AccessLog } from './access-log.ts'
import type { ConsoleMaterial, LoadedConfiguration } from './console/console.ts'
import { drain, within } from './drain.ts'
import { type EdgeParts, edgeOptions, publishRate, subscriberLimits, uploadLimits } from './edge-options.ts'
import { earlierTokens } from './generations/earlier-tokens.ts'
import { type LoadGeneration, openGenerations } from './generations/generation.ts'
import { makeHub } from './hub.ts'
import { haveSameKeys, openKeys } from './keys.ts'
import { adminHosts } from './listen/admin-hosts.ts'
import { readCertificate } from './listen/certificate.ts'
import { Listeners } from './listen/listeners.ts'
import { processLoop } from './loop.ts'
import type { Figures } from './manager/status.ts'
import { metricSources } from './metric-sources.ts'
import { Proof } from './proof/proof.ts'
import { planReload } from './reload.ts'
import { makeStore } from './store/open.ts'
import type { Store } from './store/store.ts'
import { Sweep } from './sweep.ts'
import { descriptorLimit, descriptorWarning, openDescriptors, streamsThatFit } from './system/descriptors.ts'
import { ResidentMemory } from './system/resident.ts'
import type { Tracing } from './tracing.ts'

/**
 * The hub as a process: composition only. `open` builds from the inside out (store, keys, hub, edge, listeners);
 * `reload` exchanges the edge under the listeners; `close` takes down from the outside in, the store last.
 */
export class Server {
  readonly #log: Log
  readonly #counters: Counters
  readonly #proof: Proof
  readonly #transport: Transport
  readonly #listeners: Listeners
  readonly #watch: ReturnType<typeof setInterval>
  #settings: Settings
  #parts: EdgeParts
  #edge: EdgeOptions
  readonly #sweep = new Sweep(() => Bun.gc(true))
  #console: ConsoleParts | null = null
  /** Looks at the process since the last sample of the console. */
  #looks = 0
  #configuration: LoadedConfiguration & { readonly loadedAt: number; readonly needRestart: readonly string[] }
  #isClosing = false
  #isLeftOpen = false

  private constructor(
    settings: Settings,
    parts: EdgeParts,
    listeners: Listeners,
    counters: Counters,
    resident: ResidentMemory,
    proof: Proof,
    transport: Transport,
    log: Log,
    configuration: LoadedConfiguration,
  ) {
    this.#settings = settings
    this.#configuration = { ...configuration, loadedAt: Date.now(), needRestart: [] }
    this.#parts = parts
    this.#edge = edgeOptions(settings, parts)
    this.#listeners = listeners
    this.#counters = counters
    this.#proof = proof
    this.#transport = transport
    this.#log = log
    parts.streams.start()
    this.#watch = setInterval(() => this.#look(resident), WATCH_MS)
  }

  /**
   * `startWriter` starts the writer's thread of a history in a file. Rejects with a plain Error for the operator, and then closes again what it has opened.
   */
  static async open(
    settings: Settings,
    log: Log,
    startWriter: () => Worker,
    { build, isDev = false, earlier = [], tracing = null, console = null }: ServerOptions,
  ): Promise<Server> {
    const certificate = readCertificate(settings.tls)
    const events = new EventLog(log)
    // One URL for the life of the process: patterns and the reserved namespace depend on it (GEN-12).
    const location = hubLocation(hubUrl(settings))
    const generations = await openGenerations(settings, location, earlier)
    const counters = new Counters()
    // The log is there before the hub that counts.
    let countSubscribers = () => 0
    const store = await makeStore(settings, {
      startWriter,
      log,
      events,
      location,
      generations,
      onBatch: (ms) => counters.batchTimes.observe(ms / 1000),
      totals: () => ({ subscribers: countSubscribers(), updates: counters.updates }),
    })
    const pace = new Pace(processLoop)
    const authenticator = await openKeys(settings, location, counters, log, pace.drive, generations)
    const observe = (event: HubEvent) => {
      counters.observe(event)
      events.observe(event)
    }
    const hub = makeHub(settings, store, location, generations, observe, tracing?.traces ?? null)
    countSubscribers = () => hub.subscriberCount
    const heartbeatMs = settings.hub.heartbeat
    const descriptors = descriptorLimit()
    const streams = new OpenStreams({ loop: processLoop, wall: Date.now, heartbeatMs })
    const refusedOrigins = new RefusedOrigins(
      (summary) =>
        log.warn('origins refused: see hub.public_urls, and proxy.trusted behind a proxy', { ...summary }),
      processLoop,
    )
    const refusals = new Refusals(log, processLoop)
    const proof = new Proof(hub, counters, processLoop, log)
    const probes = health(() => proof.ready())
    const parts: EdgeParts = {
      location,
      hub,
      streams,
      authenticator,
      generations,
      earlierTokens: earlierTokens(log),
      counts: new SubscriberCount(subscriberLimits(settings), (total) =>
        streamsThatFit(descriptors, openDescriptors(), total),
      ),
      matchers: new MatcherPool(location, settings.limits.patternWeightTotal),
      drive: pace.drive,
      rate: publishRate(settings),
      uploads: new Uploads(uploadLimits(settings), processLoop),
      health: probes,
      // A developer may see the version; in production it would tell an attacker what to try.
      version: isDev ? (build['version'] ?? null) : null,
      onUnexpected: (error, request) =>
        log.error('unexpected error', { error: String(error), stack: stackOf(error), request }),
      onMisdirected: (refusal, peer) => refusedOrigins.add(refusal, peer),
      onAnswer: (route, status) => counters.answered(route, status),
      tracer: tracing?.traces ?? null,
      onRefused: (error, exchange) => {
        counters.refused(error.code)
        // Refused origins have a line of their own, with the setting.
        if (error.code !== 'misdirected') refusals.add(refusalOf(error, exchange))
      },
      requestIds: new RequestIds(crypto.randomUUID().slice(0, 8)),
      access: new AccessLog(log),
      explainsRefusals: isDev,
    }
    const resident = new ResidentMemory()
    const server = new Server(
      settings,
      parts,
      new Listeners(settings, certificate, log),
      counters,
      resident,
      proof,
      store.transport,
      log,
      console?.configuration ?? { file: null, origins: new Map(), warnings: [] },
    )
    try {
      // The writer of the log starts on another core while the first app is made here.
      const opened = hub.open()
      // The listeners await this promise and hear of its failure.
      opened.catch(() => {})
      const isReady = () => proof.ready().then(...truth)
      const sources = metricSources(settings, store, parts, {
        pace,
        counters,
        resident,
        tracing,
        isReady,
        build,
      })
      if (console !== null) server.#console = await server.#openConsole(console, store, resident)
      const hosts = adminHosts(() => server.#settings)
      await server.#listeners.open(
        {
          hub: () => hubApp(() => server.#edge),
          admin: () => adminApp(probes, sources, hosts, server.#console),
        },
        opened,
      )
      // So that the first page has something to show.
      void server.#console?.api.sample()
      server.#warnOfDescriptors()
    } catch (error) {
      await server.close(0)
      throw error
    }
    return server
  }

  /** Where the hub listens, as URLs or `unix:` paths, in the order of the settings. */
  get addresses(): readonly string[] {
    return this.#listeners.addresses
  }

  /** Where the admin listener listens, in the same form; null without one. */
  get adminAddress(): string | null {
    return this.#listeners.adminAddress
  }

  get subscriberCount(): number {
    return this.#parts.hub.subscriberCount
  }

  /** Resolves when the hub publishes, stores and delivers; see `Proof`. */
  work(): Promise<void> {
    return this.#proof.work()
  }

  /** The figures of this moment for a service manager. Never rejects. */
  async figures(): Promise<Figures> {
    const history = await this.#transport.stats().catch(() => null)
    return { subscribers: this.subscriberCount, history, problem: this.#proof.problem }
  }

  /**
   * Takes new settings, keys and certificates, and cuts no stream: an open stream keeps the rights and the
   * times that it began with. Answers with the names of changed settings that need a restart. Rejects with a
   * plain Error, one problem a line, and then nothing has changed. `isFileEmpty`: see `planReload`.
   */
  async reload(
    wanted: Settings,
    isFileEmpty = false,
    configuration: LoadedConfiguration | null = null,
  ): Promise<readonly string[]> {
    const { settings, needRestart } = planReload(this.#settings, wanted, isFileEmpty)
    const certificate = readCertificate(settings.tls)
    const authenticator = await this.#reloadKeys(settings)
    if (this.#isClosing) return []
    this.#take(settings, authenticator)
    this.#listeners.reload(settings, certificate)
    this.#configuration = {
      ...(configuration ?? this.#configuration),
      loadedAt: Date.now(),
      needRestart: [...new Set([...this.#configuration.needRestart, ...needRestart])],
    }
    return needRestart
  }

  /** Ends the streams, spread over at most `drainMs`, then everything else. */
  async close(drainMs = this.#settings.shutdown.drain): Promise<void> {
    this.#isClosing = true
    const { hub, streams } = this.#parts
    hub.stop()
    this.#console?.api.close()
    this.#listeners.stop(false)
    await drain(hub, drainMs)
    await this.#closeHub()
    streams.stop()
    clearInterval(this.#watch)
    this.#listeners.stop(true)
    this.#parts.authenticator.close()
  }

  /** Whether `close` had to leave the history as it was; the log says why. Then the process is to end at once. */
  get isLeftOpen(): boolean {
    return this.#isLeftOpen
  }

  async #closeHub(): Promise<void> {
    const leave = (problem: string) => {
      this.#isLeftOpen = true
      this.#log.warn('the history is left as it is', { problem })
    }
    try {
      const isClosed = await within(CLOSE_MS, this.#parts.hub.close())
      if (!isClosed) leave('the disk does not answer: what was not acknowledged may be lost')
    } catch (error) {
      leave(error instanceof Error ? error.message : 'unknown')
    }
  }

  /** Looks at the memory of the process, at the garbage of ended streams, and at the room for connections. */
  #look(resident: ResidentMemory): void {
    const { hub } = this.#parts
    hub.look(resident.bytes)
    this.#sweep.look(this.#counters.subscribers - hub.subscriberCount, hub.subscriberCount)
    this.#parts.counts.refit()
    if (this.#console === null || ++this.#looks < SAMPLE_MS / WATCH_MS) return
    this.#looks = 0
    void this.#console.api.sample()
  }

  /** Loads the console, which a hub without one never does. */
  async #openConsole(
    material: ConsoleMaterial,
    store: Store,
    resident: ResidentMemory,
  ): Promise<ConsoleParts | null> {
    const { makeConsole } = await import('./console/console.ts')
    const running = {
      settings: () => this.#settings,
      edge: () => this.#edge,
      parts: () => this.#parts,
      addresses: () => this.addresses,
      configuration: () => this.#configuration,
    }
    return makeConsole(running, material, store, resident, this.#counters, this.#log)
  }

  #warnOfDescriptors(): void {
    const fit = streamsThatFit(descriptorLimit(), openDescriptors())
    const warning = descriptorWarning(this.#settings.limits.subscribers, fit)
    if (warning !== null) this.#log.warn(warning)
  }

  /** The same issuers keep their authenticator, with the keys that it has loaded and the tokens it has verified. */
  async #reloadKeys(settings: Settings): Promise<Authenticator> {
    const { authenticator, location, drive, generations } = this.#parts
    if (!haveSameKeys(this.#settings, settings)) {
      return await openKeys(settings, location, this.#counters, this.#log, drive, generations)
    }
    authenticator.refresh()
    return authenticator
  }

  #take(settings: Settings, authenticator: Authenticator): void {
    const before = this.#parts
    const isSameRate = settings.limits.publishRate === this.#settings.limits.publishRate
    const rate = isSameRate ? before.rate : publishRate(settings)
    const parts: EdgeParts = { ...before, authenticator, rate }
    this.#edge = edgeOptions(settings, parts)
    this.#parts = parts
    this.#settings = settings
    if (before.authenticator !== authenticator) before.authenticator.close()
    before.counts.limits = subscriberLimits(settings)
    before.matchers.weightMax = settings.limits.patternWeightTotal
    before.uploads.limits = uploadLimits(settings)
    before.streams.heartbeatMs = settings.hub.heartbeat
    this.#log.level = settings.log.level
  }
}

/** The rest of what a server is made of, beside its settings. */
export interface ServerOptions {
  /** The version, the commit and the like: labels of a metric, and what a developer's visitors see. */
  readonly build: Readonly<Record<string, string>>
  /** Whether it is a developer's hub, which says more than others may. */
  readonly isDev?: boolean
  /** The generations before 1.0 that the settings may ask for. */
  readonly earlier?: readonly LoadGeneration[]
  /** Follows requests; by default nobody does. */
  readonly tracing?: Tracing | null
  /** The material of the console; by default there is none. */
  readonly console?: ConsoleMaterial | null
}

const truth = [() => true, () => false] as const

/** The longest time for a log to close, in milliseconds: the next start reads the rest from its journal. */
const CLOSE_MS = 3000

/** Milliseconds between two looks at the process. */
const WATCH_MS = 200

/** Milliseconds between two samples of the console, which tells its page so. */
const SAMPLE_MS = 10_000

function refusalOf(error: ProtocolError, exchange: Exchange): Refusal {
  const { code, facts } = error
  return { ...facts, code, status: statusOfRefusal(code), address: exchange.address(), request: exchange.id }
}

function stackOf(error: unknown): string | null {
  return error instanceof Error ? (error.stack ?? null) : null
}
