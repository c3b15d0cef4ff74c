import type { ConsolePage, ConsoleParts } from '../../admin/app.ts'
import { Console } from '../../admin/console/console.ts'
import type {
  ConsoleSettings,
  ConsoleSources,
  Neighbours,
  PruneRequest,
} from '../../admin/console/sources.ts'
import { settingRows } from '../../config/effective.ts'
import type { Origin, Problem, Settings } from '../../config/load.ts'
import { hubApp } from '../../http/app.ts'
import type { EdgeOptions } from '../../http/edge.ts'
import { EventStream } from '../../stream/event-stream.ts'
import type { Counters } from '../../telemetry/counters.ts'
import type { Log } from '../../telemetry/log.ts'
import { NoticeBoard } from '../../telemetry/notice-board.ts'
import type { EdgeParts } from '../edge-options.ts'
import { processLoop } from '../loop.ts'
import { nodeName } from '../store/node-name.ts'
import type { Store } from '../store/store.ts'
import type { ResidentMemory } from '../system/resident.ts'
import { explainToken, mintable, mintToken } from './tokens.ts'

/** The executable gives the console its page, its version and its tool for histories. */
export interface ConsoleMaterial {
  readonly page: () => Promise<ConsolePage>
  readonly version: string
  readonly commit: string
  /** Drops entries of the history file. Rejects with a plain Error for the operator. */
  readonly prune: (
    path: string,
    asked: PruneRequest,
  ) => Promise<{ readonly count: number; readonly bytes: number }>
  readonly configuration: LoadedConfiguration
}

/** Where the settings came from. */
export interface LoadedConfiguration {
  readonly file: string | null
  readonly origins: ReadonlyMap<string, Origin>
  readonly warnings: readonly Problem[]
}

/** The state of a running server that a reload exchanges, as the console sees it. */
export interface Running {
  settings(): Settings
  edge(): EdgeOptions
  parts(): EdgeParts
  /** Where the hub listens, as URLs or `unix:` paths. */
  addresses(): readonly string[]
  configuration(): LoadedConfiguration & {
    readonly loadedAt: number
    readonly needRestart: readonly string[]
  }
}

/** The console of a server, or null where the settings have none. Its notices follow the log from now on. */
export function makeConsole(
  running: Running,
  material: ConsoleMaterial,
  { transport, neighbours }: Store,
  resident: ResidentMemory,
  counters: Counters,
  log: Log,
): ConsoleParts | null {
  const { admin, sqlite, transport: kind } = running.settings()
  if (!admin.console) return null
  const notices = new NoticeBoard(Date.now)
  followLog(log, notices)
  const { hub, location, drive } = running.parts()
  const startedAt = Date.now()
  const prune = material.prune
  const sources: ConsoleSources = {
    settings: () => consoleSettings(running.settings()),
    about: () => about(running, material, startedAt),
    configuration: () => configuration(running),
    neighbours: { nodes: neighbours ?? alone },
    counters,
    levels: levelsOf(running, transport, resident),
    hub,
    transport,
    location,
    loop: processLoop,
    wall: Date.now,
    random: Math.random,
    drive,
    notices,
    audit: (action, fields) => log.info('console', { action, ...fields }),
    openStream: openStreams(running),
    edge: edgeInProcess(running),
    explain: (token) => explainToken(running.parts().authenticator, token, audienceOf(running)),
    mint: (asked) => mintToken(running.settings(), audienceOf(running), asked, Date.now()),
    prune: kind === 'sqlite' ? (asked) => prune(sqlite.path, asked) : null,
  }
  return { api: new Console(sources), page: material.page }
}

function consoleSettings({ admin }: Settings): ConsoleSettings {
  return admin
}

/** A hub that is one process. */
const alone: Neighbours['nodes'] = () => Promise.resolve([])

function about(running: Running, { version, commit }: ConsoleMaterial, startedAt: number) {
  const settings = running.settings()
  const { limits, history, transport, hub } = settings
  const rules = history.rules.map(({ match, perTopic, maxCount = null, maxAge = null, maxBytes = null }) => ({
    match,
    perTopic,
    maxCount,
    maxAge: maxAge === null ? null : maxAge / 1000,
    maxBytes,
  }))
  const share = { perTopic: false, maxCount: null, maxAge: null, maxBytes: null }
  const own = { ...share, match: 'subscription events of the hub itself' }
  return {
    version,
    commit,
    startedAt,
    address: addressOf(running),
    transport,
    node: transport === 'redis' ? nodeName(settings) : 'this hub',
    limits: {
      memory: limits.memory,
      subscribers: limits.subscribers,
      subscriberBuffer: limits.subscriberBuffer,
      body: limits.body,
      bodies: limits.bodies,
      patternWeight: limits.patternWeightTotal,
      maxCount: history.maxCount,
      maxAge: history.maxAge === null ? null : history.maxAge / 1000,
      maxBytes: history.maxBytes,
    },
    rules: hub.subscriptions && history.maxCount !== 0 ? [own, ...rules] : rules,
    mints: mintable(settings),
  }
}

/** The URL of the hub for a client: a public one, else where it listens. */
function addressOf(running: Running): string {
  const { hub } = running.settings()
  const [origin] = hub.publicUrls
  const [listening = ''] = running.addresses()
  const own = listening.startsWith('unix:')
    ? 'http://localhost'
    : listening.replace('//0.0.0.0:', '//127.0.0.1:')
  return `${origin ?? own}${hub.path}`
}

function audienceOf(running: Running): string {
  return running.settings().hub.resourceIdentifier ?? addressOf(running)
}

function configuration(running: Running) {
  const { file, origins, warnings, loadedAt, needRestart } = running.configuration()
  return { file, loadedAt, needRestart, warnings, rows: settingRows(running.settings(), origins) }
}

/** The page asks the log first: all other figures are of the moment of its answer. */
function levelsOf(
  running: Running,
  transport: Store['transport'],
  resident: ResidentMemory,
): ConsoleSources['levels'] {
  return async () => {
    const history = await transport.stats().catch(() => null)
    const { hub, streams } = running.parts()
    return {
      hub: hub.gauges,
      history,
      waitingBytes: streams.waitingBytes,
      residentBytes: resident.bytes,
      loopLagSeconds: streams.lagMs / 1000,
    }
  }
}

/** Feeds are event streams like those of readers, with little room: a slow tab is cut. */
function openStreams(running: Running): ConsoleSources['openStream'] {
  const options = {
    bufferBytesMax: 256 * 1024,
    retryMs: 0,
    random: Math.random,
    streams: running.parts().streams,
  }
  return (headers, owner) => new EventStream(headers, owner, options)
}

/** The hub answers in this process, for whatever origin it is reached by, and for tokens of its own audience. */
function edgeInProcess(running: Running): ConsoleSources['edge'] {
  let app: ReturnType<typeof hubApp> | null = null
  const edge = (): EdgeOptions => ({
    ...running.edge(),
    publicOrigins: [],
    resourceIdentifier: audienceOf(running),
  })
  return async (request) => {
    app ??= hubApp(edge)
    return await app.handle(request)
  }
}

/** Lines that tell of a change are notices, and so are all warnings and errors; lines of single requests are not. */
function followLog(log: Log, notices: NoticeBoard): void {
  log.listener = (level, message, fields) => {
    if (level === 'info' && !notable.has(message)) return
    const { problem, setting } = fields
    const detail = [problem, setting].filter((part) => typeof part === 'string').join(' ')
    const text = detail === '' ? message : `${message}: ${detail}`
    notices.add(level === 'error' ? 'bad' : level === 'warn' ? 'warn' : 'info', sentence(text))
  }
}

const notable: ReadonlySet<string> = new Set([
  'listening',
  'configuration reloaded',
  'certificate renewed',
  'publications are accepted again',
  'memory is below its budget again',
  'the journal of the history was emptied again',
  'the machine slept',
])

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`
}
